// Attention and its gradients on warpgroup matmuls, down to PTX: tiles come by TMA, products are formed by wgmma, the
// consumers take the producer's registers, and nothing is added atomically or kept in local memory.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o %t.mlir
// RUN: FileCheck %s --check-prefix=FORWARD --input-file=%t/attention.ptx
// RUN: FileCheck %s --check-prefix=GRADIENTS --input-file=%t/backward.ptx
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=NEVER
// RUN: FileCheck %s --check-prefix=MAPS --input-file=%t.mlir

// FORWARD: setmaxnreg.inc.sync.aligned.u32 240
// FORWARD-COUNT-8: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// FORWARD-DAG: setmaxnreg.dec.sync.aligned.u32 24
// FORWARD-DAG: cp.async.bulk.tensor.4d.shared::cluster.global
// GRADIENTS-DAG: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
// GRADIENTS-DAG: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// GRADIENTS-DAG: cp.async.bulk.tensor.4d.shared::cluster.global
// GRADIENTS-DAG: cp.async.bulk.tensor.4d.global.shared::cta
// NEVER-NOT: {{[[:space:]](ld|st)\.local|[[:space:]](atom|red)\.|\.reduce\.}}

// A head of a sequence is a box of its own: what lies outside is zero, not the next sequence or head.
// MAPS: moe_exec.kernel @attention
// MAPS-SAME: #moe_exec.tensor_map<buffer 0 : bf16, dims{{ ?}}[128, 200, 4, 2]{{,?}} strides{{ ?}}[1024, 256, 204800], box{{ ?}}[64, 128, 1, 1], swizzle 128>

module attributes {moe.target = "cuda:sm_90a"} {
moe_kernel.kernel @attention(%q: tensor<400x512xbf16>, %k: tensor<400x256xbf16>, %v: tensor<400x256xbf16>)
    -> (tensor<400x512xbf16>, tensor<400x4xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 200 : i64}
      : (tensor<400x512xbf16>, tensor<400x256xbf16>, tensor<400x256xbf16>) -> (tensor<400x512xbf16>, tensor<400x4xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<400x512xbf16>, tensor<400x4xf32>
}

moe_kernel.kernel @backward(%q: tensor<400x512xbf16>, %k: tensor<400x256xbf16>, %v: tensor<400x256xbf16>,
    %o: tensor<400x512xbf16>, %l: tensor<400x4xf32>, %g: tensor<400x512xbf16>)
    -> (tensor<400x512xbf16>, tensor<400x256xbf16>, tensor<400x256xbf16>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 200 : i64}
      : (tensor<400x512xbf16>, tensor<400x256xbf16>, tensor<400x256xbf16>, tensor<400x512xbf16>, tensor<400x4xf32>,
         tensor<400x512xbf16>) -> (tensor<400x512xbf16>, tensor<400x256xbf16>, tensor<400x256xbf16>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<400x512xbf16>, tensor<400x256xbf16>, tensor<400x256xbf16>
}

moe_kernel.kernel @packed(%q: tensor<512x256xbf16>, %k: tensor<512x128xbf16>, %v: tensor<512x128xbf16>,
    %p: tensor<512xi32>) -> (tensor<512x256xbf16>, tensor<512x4xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 512 : i64}
      : (tensor<512x256xbf16>, tensor<512x128xbf16>, tensor<512x128xbf16>, tensor<512xi32>)
      -> (tensor<512x256xbf16>, tensor<512x4xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<512x256xbf16>, tensor<512x4xf32>
}

moe_kernel.kernel @packed_backward(%q: tensor<512x192xbf16>, %k: tensor<512x96xbf16>, %v: tensor<512x96xbf16>,
    %o: tensor<512x192xbf16>, %l: tensor<512x2xf32>, %g: tensor<512x192xbf16>, %p: tensor<512xi32>)
    -> (tensor<512x192xbf16>, tensor<512x96xbf16>, tensor<512x96xbf16>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g, %p
      {num_heads = 2 : i64, num_kv_heads = 1 : i64, sequence_length = 512 : i64}
      : (tensor<512x192xbf16>, tensor<512x96xbf16>, tensor<512x96xbf16>, tensor<512x192xbf16>, tensor<512x2xf32>,
         tensor<512x192xbf16>, tensor<512xi32>) -> (tensor<512x192xbf16>, tensor<512x96xbf16>, tensor<512x96xbf16>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<512x192xbf16>, tensor<512x96xbf16>, tensor<512x96xbf16>
}
}

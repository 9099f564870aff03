// Routers of many tokens: one thread brings tokens and weights by TMA, warpgroups multiply, of 64 tokens in turns; then all
// warps choose experts.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o %t.mlir
// RUN: FileCheck %s --check-prefix=TURNS --input-file=%t/turns.ptx
// RUN: FileCheck %s --check-prefix=ROWS --input-file=%t/rows.ptx
// RUN: FileCheck %s --check-prefix=MAPS --input-file=%t.mlir
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=NEVER

// NEVER-NOT: {{mma\.sync|ldmatrix|cp\.async\.c|\.local}}

module attributes {moe.target = "cuda:sm_90a"} {

// TURNS: mbarrier.init
// TURNS-DAG: cp.async.bulk.tensor.2d.shared::cluster.global
// TURNS-DAG: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// TURNS-DAG: wgmma.wait_group.sync.aligned 0
// TURNS: redux.sync.max.u32
// MAPS: @turns
// MAPS-SAME: grid = array<i64: 128, 1, 1>
// MAPS-SAME: <buffer 0 : bf16, dims[2048, 8192] strides[4096], box[64, 64], swizzle 128>
// MAPS-SAME: <buffer 1 : bf16, dims[2048, 128] strides[4096], box[64, 128], swizzle 128>
moe_kernel.kernel @turns(%x: tensor<8192x2048xbf16>, %w: tensor<128x2048xbf16>)
    -> (tensor<8192x8xf32>, tensor<8192x8xi32>, tensor<128x128xi32>) {
  %k, %i, %c = moe_kernel.router %x, %w {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true,
      routed_scaling_factor = 1.0 : f64, chunk = 64 : i64, resultSegmentSizes = array<i32: 0, 1, 1, 1, 0, 0, 0>}
      : (tensor<8192x2048xbf16>, tensor<128x2048xbf16>)
      -> (tensor<8192x8xf32>, tensor<8192x8xi32>, tensor<128x128xi32>)
  moe_kernel.return %k, %i, %c : tensor<8192x8xf32>, tensor<8192x8xi32>, tensor<128x128xi32>
}

// More tokens than there are multiprocessors for: 128 of them in a block, which reads the weights once for both warpgroups.
// ROWS: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// MAPS: @rows
// MAPS-SAME: <buffer 0 : bf16, dims[2048, 32768] strides[4096], box[64, 128], swizzle 128>
moe_kernel.kernel @rows(%x: tensor<32768x2048xbf16>, %w: tensor<100x2048xbf16>, %bias: tensor<100xf32>)
    -> (tensor<32768x8xf32>, tensor<32768x8xi32>) {
  %k, %i = moe_kernel.router %x, %w, %bias {top_k = 8 : i64, scoring = #moe_kernel.scoring<sigmoid>,
      norm_topk_prob = true, routed_scaling_factor = 2.5 : f64, resultSegmentSizes = array<i32: 0, 1, 1, 0, 0, 0, 0>}
      : (tensor<32768x2048xbf16>, tensor<100x2048xbf16>, tensor<100xf32>)
      -> (tensor<32768x8xf32>, tensor<32768x8xi32>)
  moe_kernel.return %k, %i : tensor<32768x8xf32>, tensor<32768x8xi32>
}
}

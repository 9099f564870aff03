// bf16 goes through tensor cores as every GPU since sm_80 has them: operands are copied in the background in whole chunks
// of 16 bytes where they lie so, read as fragments (transposed where the contraction is not contiguous), and multiplied.
// Nothing newer is used, and no value leaves its register.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s --check-prefixes=DENSE --input-file=%t/dense.ptx
// RUN: FileCheck %s --check-prefixes=CONTRACTION --input-file=%t/contraction.ptx
// RUN: FileCheck %s --check-prefixes=EVEN --input-file=%t/even.ptx
// RUN: FileCheck %s --check-prefixes=ODD --input-file=%t/odd.ptx
// RUN: FileCheck %s --check-prefixes=ATTENTION --input-file=%t/attention.ptx
// RUN: FileCheck %s --check-prefixes=BACKWARD --input-file=%t/attention_backward.ptx
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=NEVER

// NEVER-NOT: {{wgmma|cp.async.bulk|mbarrier|\.local|setmaxnreg}}

module attributes {moe.target = "cuda:sm_80"} {

// Both operands have the contraction contiguous; pairs of results are stored together.
// DENSE: cp.async.cg.shared.global
// DENSE: cp.async.commit_group
// DENSE: cp.async.wait_group 2
// DENSE: bar.sync
// DENSE-NOT: ldmatrix{{.*}}.trans
// DENSE: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// DENSE: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// DENSE: cvt.rn.bf16x2.f32
// DENSE: st.global.b32
moe_kernel.kernel @dense(%a: tensor<4096x512xbf16>, %b: tensor<2048x512xbf16>, %x: tensor<4096x1024xbf16>)
    -> tensor<4096x1024xbf16> {
  %r = moe_kernel.matmul dense (%a, %b) extras(%x) {transpose_rhs, paired,
      extra_extents = [#moe_kernel.extent<full>], result_extents = [#moe_kernel.extent<full>]}
      : (tensor<4096x512xbf16>, tensor<2048x512xbf16>, tensor<4096x1024xbf16>) -> tensor<4096x1024xbf16> {
    ^bb0(%gate: f32, %up: f32, %old: bf16):
      %wide = arith.extf %old : bf16 to f32
      %product = arith.mulf %gate, %up : f32
      %new = arith.addf %wide, %product : f32
      %rounded = arith.truncf %new : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<4096x1024xbf16>
}

// A weight gradient: rows are contracted, one of the operands is gathered.
// CONTRACTION: cp.async.cg.shared.global
// CONTRACTION: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CONTRACTION: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
moe_kernel.kernel @contraction(%a: tensor<1024x512xbf16>, %b: tensor<128x256xbf16>, %o: tensor<33xi32>,
    %i: tensor<1024xi32>) -> tensor<32x512x256xbf16> {
  %r = moe_kernel.matmul ragged_contraction (%a, %b) offsets(%o) rows(%i)
      {gather_rhs, row_divisor = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x512xbf16>, tensor<128x256xbf16>, tensor<33xi32>, tensor<1024xi32>) -> tensor<32x512x256xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<32x512x256xbf16>
}

// Rows of 100 elements are aligned to 8 bytes only, those of 90 to 4.
// EVEN-NOT: cp.async.cg
// EVEN: cp.async.ca.shared.global [%{{.*}}], [%{{.*}}], 8
// EVEN: cp.async.ca.shared.global [%{{.*}}], [%{{.*}}], 4
// EVEN: mma.sync
moe_kernel.kernel @even(%a: tensor<70x100xbf16>, %b: tensor<100x90xbf16>) -> tensor<70x90xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 32, tile_m = 16, tile_n = 32, tile_k = 128, stages = 4, unit = mma>} {
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<70x100xbf16>, tensor<100x90xbf16>) -> tensor<70x90xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<70x90xf32>
}

// Rows of 31 elements are not aligned to what can be copied in the background.
// ODD-NOT: cp.async.c{{[ag]}}
// ODD: mma.sync
moe_kernel.kernel @odd(%a: tensor<67x31xbf16>, %b: tensor<83x31xbf16>) -> tensor<67x83xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 32, tile_m = 16, tile_n = 32, tile_k = 128, stages = 4, unit = mma>} {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<67x31xbf16>, tensor<83x31xbf16>) -> tensor<67x83xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<67x83xf32>
}

// Scores have their keys contiguous along the head; their products with the values do not. An exponential is one
// instruction.
// ATTENTION-DAG: cp.async.cg.shared.global
// ATTENTION-DAG: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// ATTENTION-DAG: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// ATTENTION-DAG: ex2.approx.ftz.f32
// ATTENTION-DAG: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// ATTENTION-DAG: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
moe_kernel.kernel @attention(%q: tensor<4096x2048xbf16>, %k: tensor<4096x512xbf16>, %v: tensor<4096x512xbf16>,
    %p: tensor<4096xi32>) -> (tensor<4096x2048xbf16>, tensor<4096x16xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v, %p
      {num_heads = 16 : i64, num_kv_heads = 4 : i64, sequence_length = 2048 : i64}
      : (tensor<4096x2048xbf16>, tensor<4096x512xbf16>, tensor<4096x512xbf16>, tensor<4096xi32>)
      -> (tensor<4096x2048xbf16>, tensor<4096x16xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<4096x2048xbf16>, tensor<4096x16xf32>
}

// No sum across blocks.
// BACKWARD-NOT: {{[[:space:]](atom|red)[.]}}
// BACKWARD: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// BACKWARD-NOT: {{[[:space:]](atom|red)[.]}}
moe_kernel.kernel @attention_backward(%q: tensor<4096x2048xbf16>, %k: tensor<4096x512xbf16>,
    %v: tensor<4096x512xbf16>, %o: tensor<4096x2048xbf16>, %l: tensor<4096x16xf32>, %g: tensor<4096x2048xbf16>,
    %p: tensor<4096xi32>) -> (tensor<4096x2048xbf16>, tensor<4096x512xbf16>, tensor<4096x512xbf16>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g, %p
      {num_heads = 16 : i64, num_kv_heads = 4 : i64, sequence_length = 2048 : i64}
      : (tensor<4096x2048xbf16>, tensor<4096x512xbf16>, tensor<4096x512xbf16>, tensor<4096x2048xbf16>,
         tensor<4096x16xf32>, tensor<4096x2048xbf16>, tensor<4096xi32>)
      -> (tensor<4096x2048xbf16>, tensor<4096x512xbf16>, tensor<4096x512xbf16>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<4096x2048xbf16>, tensor<4096x512xbf16>, tensor<4096x512xbf16>
}

// Heads of 64 elements, and of 16 in short sequences, have other tiles.
moe_kernel.kernel @attention_64(%q: tensor<8192x1024xbf16>, %k: tensor<8192x1024xbf16>, %v: tensor<8192x1024xbf16>)
    -> (tensor<8192x1024xbf16>, tensor<8192x16xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 16 : i64, num_kv_heads = 16 : i64, sequence_length = 1024 : i64}
      : (tensor<8192x1024xbf16>, tensor<8192x1024xbf16>, tensor<8192x1024xbf16>)
      -> (tensor<8192x1024xbf16>, tensor<8192x16xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<8192x1024xbf16>, tensor<8192x16xf32>
}

moe_kernel.kernel @attention_backward_64(%q: tensor<8192x1024xbf16>, %k: tensor<8192x1024xbf16>,
    %v: tensor<8192x1024xbf16>, %o: tensor<8192x1024xbf16>, %l: tensor<8192x16xf32>, %g: tensor<8192x1024xbf16>)
    -> (tensor<8192x1024xbf16>, tensor<8192x1024xbf16>, tensor<8192x1024xbf16>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g
      {num_heads = 16 : i64, num_kv_heads = 16 : i64, sequence_length = 1024 : i64}
      : (tensor<8192x1024xbf16>, tensor<8192x1024xbf16>, tensor<8192x1024xbf16>, tensor<8192x1024xbf16>,
         tensor<8192x16xf32>, tensor<8192x1024xbf16>)
      -> (tensor<8192x1024xbf16>, tensor<8192x1024xbf16>, tensor<8192x1024xbf16>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<8192x1024xbf16>, tensor<8192x1024xbf16>, tensor<8192x1024xbf16>
}

moe_kernel.kernel @attention_short(%q: tensor<72x32xbf16>, %k: tensor<72x16xbf16>, %v: tensor<72x16xbf16>)
    -> (tensor<72x32xbf16>, tensor<72x2xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 2 : i64, num_kv_heads = 1 : i64, sequence_length = 36 : i64}
      : (tensor<72x32xbf16>, tensor<72x16xbf16>, tensor<72x16xbf16>) -> (tensor<72x32xbf16>, tensor<72x2xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<72x32xbf16>, tensor<72x2xf32>
}
}

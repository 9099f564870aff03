// Products of few rows and attention of one query read each weight, key and value once, in vectors of 16 bytes; a warp
// waits for no other's copies before the warps' sums meet. Nothing newer than sm_80 is used.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s --check-prefixes=EXPERTS --input-file=%t/experts.ptx
// RUN: FileCheck %s --check-prefixes=ROWS --input-file=%t/rows.ptx
// RUN: FileCheck %s --check-prefixes=LONG --input-file=%t/long.ptx
// RUN: FileCheck %s --check-prefixes=DENSE --input-file=%t/dense.ptx
// RUN: FileCheck %s --check-prefixes=COMBINED --input-file=%t/combined.ptx
// RUN: FileCheck %s --check-prefixes=CACHED --input-file=%t/cached.ptx
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=NEVER

// NEVER-NOT: {{wgmma|cp.async.bulk|mbarrier|\.local|setmaxnreg|ldmatrix}}

module attributes {moe.target = "cuda:sm_80"} {

// The token, which would have to wait behind weights, and four offsets for each lane at once; then weights alone.
// EXPERTS-COUNT-2: ld.global{{.*}}.v4.b32
// EXPERTS: ld.global{{.*}}.v4.b32
// EXPERTS: cp.async.cg.shared.global {{.*}}, 16;
// EXPERTS: cp.async.commit_group
// EXPERTS-COUNT-2: st.shared.v4.b32
// EXPERTS: bar.sync
// EXPERTS-NOT: {{bar.sync|cp.async.ca}}
// EXPERTS: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// EXPERTS-NOT: bar.sync
// EXPERTS: .pragma "nounroll"
// EXPERTS: cp.async.wait_group
// EXPERTS-NOT: bar.sync
// EXPERTS: ld.shared.v4.b32
// EXPERTS: bar.sync
// EXPERTS-NOT: bar.sync
// EXPERTS: st.global.b32
moe_kernel.kernel @experts(%a: tensor<1x2048xbf16>, %b: tensor<128x1536x2048xbf16>, %o: tensor<129xi32>,
    %i: tensor<8xi32>) -> tensor<8x768xbf16> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i)
      {transpose_rhs, paired, row_divisor = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x2048xbf16>, tensor<128x1536x2048xbf16>, tensor<129xi32>, tensor<8xi32>) -> tensor<8x768xbf16> {
    ^bb0(%gate: f32, %up: f32):
      %product = arith.mulf %gate, %up : f32
      %rounded = arith.truncf %product : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<8x768xbf16>
}

// Two tokens have rows of their own in every stage. Weights before the gathered rows.
// ROWS: ld.global{{.*}}.v4.b32
// ROWS: cp.async.cg.shared.global {{.*}}, 16;
// ROWS: cp.async.ca.shared.global {{.*}}, 16, %r
// ROWS: cp.async.commit_group
// ROWS-NOT: bar.sync
// ROWS: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// ROWS: cp.async.wait_group
// ROWS: bar.sync
moe_kernel.kernel @rows(%a: tensor<2x2048xbf16>, %b: tensor<128x1536x2048xbf16>, %o: tensor<129xi32>,
    %i: tensor<16xi32>) -> tensor<16x768xbf16> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i)
      {transpose_rhs, paired, row_divisor = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<2x2048xbf16>, tensor<128x1536x2048xbf16>, tensor<129xi32>, tensor<16xi32>) -> tensor<16x768xbf16> {
    ^bb0(%gate: f32, %up: f32):
      %product = arith.mulf %gate, %up : f32
      %rounded = arith.truncf %product : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<16x768xbf16>
}

// A token's experts are one stream; sums of the warps meet once. Lanes copy whole lines, and read them when all have.
// COMBINED: cp.async.cg.shared.global {{.*}}, 16;
// COMBINED-NOT: cp.async.ca
// COMBINED: st.shared.v4.b32
// COMBINED: bar.sync
// COMBINED-NOT: bar.sync
// COMBINED: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// COMBINED: .pragma "nounroll"
// COMBINED: cp.async.wait_group
// COMBINED-NEXT: bar.warp.sync
// COMBINED: bar.sync
// COMBINED-NOT: {{bar.sync|mma.sync}}
// COMBINED: st.global.b16
moe_kernel.kernel @combined(%h: tensor<8x768xbf16>, %m: tensor<128x2048x768xbf16>, %o: tensor<129xi32>, %i: tensor<1x8xi32>,
    %w: tensor<1x8xf32>, %x: tensor<1x2048xbf16>) -> tensor<1x2048xbf16> {
  %r = moe_kernel.combined_matmul %h, %m, %o, %i, %w, %x : (tensor<8x768xbf16>, tensor<128x2048x768xbf16>,
      tensor<129xi32>, tensor<1x8xi32>, tensor<1x8xf32>, tensor<1x2048xbf16>) -> tensor<1x2048xbf16>
  moe_kernel.return %r : tensor<1x2048xbf16>
}

// A stage is all there is: it is under way before anything is waited for.
// DENSE-NOT: cp.async.wait_group
// DENSE-COUNT-4: cp.async.cg.shared.global
// DENSE: cp.async.wait_group 0
// DENSE-NOT: cp.async.c
// DENSE: mma.sync
moe_kernel.kernel @dense(%a: tensor<1x1024xbf16>, %b: tensor<2048x1024xbf16>, %x: tensor<1x2048xbf16>)
    -> tensor<1x2048xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 256, tile_m = 8, tile_n = 16, tile_k = 1024, stages = 2, unit = stream>} {
  %r = moe_kernel.matmul dense (%a, %b) extras(%x) {transpose_rhs,
      extra_extents = [#moe_kernel.extent<full>], result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x1024xbf16>, tensor<2048x1024xbf16>, tensor<1x2048xbf16>) -> tensor<1x2048xbf16> {
    ^bb0(%y: f32, %old: bf16):
      %wide = arith.extf %old : bf16 to f32
      %new = arith.addf %y, %wide : f32
      %rounded = arith.truncf %new : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<1x2048xbf16>
}

// What a block cannot keep of its experts' rows is copied stage by stage.
// LONG: cp.async.cg.shared.global
// LONG: cp.async.ca.shared.global
moe_kernel.kernel @long(%h: tensor<2x14336xbf16>, %m: tensor<8x4096x14336xbf16>, %o: tensor<9xi32>, %i: tensor<1x2xi32>,
    %w: tensor<1x2xf32>) -> tensor<1x4096xbf16> {
  %r = moe_kernel.combined_matmul %h, %m, %o, %i, %w : (tensor<2x14336xbf16>, tensor<8x4096x14336xbf16>,
      tensor<9xi32>, tensor<1x2xi32>, tensor<1x2xf32>) -> tensor<1x4096xbf16>
  moe_kernel.return %r : tensor<1x4096xbf16>
}

// Eight keys and their values in a row.
// CACHED-COUNT-16: ld.global.nc.v4.b32
// CACHED: ex2.approx.ftz.f32
moe_kernel.kernel @cached(%q: tensor<1x2048xbf16>, %k: tensor<1x1024x512xbf16>, %v: tensor<1x1024x512xbf16>,
    %p: tensor<1x1xi32>) -> tensor<1x2048xbf16> {
  %r = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 16 : i64, num_kv_heads = 4 : i64}
      : (tensor<1x2048xbf16>, tensor<1x1024x512xbf16>, tensor<1x1024x512xbf16>, tensor<1x1xi32>) -> tensor<1x2048xbf16>
  moe_kernel.return %r : tensor<1x2048xbf16>
}
}

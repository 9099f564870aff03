// Routers in one launch, on every GPU since sm_80: products by tensor cores from stages that are copied in the background;
// an expert is chosen by two reductions over a warp; blocks that pass something on count themselves, and none waits.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s --check-prefix=MANY --input-file=%t/many.ptx
// RUN: FileCheck %s --check-prefix=FEW --input-file=%t/few.ptx
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t/plan.ptx
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=NEVER

// NEVER-NOT: {{wgmma|cp.async.bulk|mbarrier|\.local|atom[a-z.]*\.f32}}

module attributes {moe.target = "cuda:sm_80"} {

// A block has all experts of its tokens: what it computes it keeps to itself.
// MANY-NOT: atom.global
// MANY: cp.async.cg.shared.global
// MANY: cp.async.wait_group
// MANY: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// MANY: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// MANY: redux.sync.max.u32
// MANY: redux.sync.min.u32
// MANY: atom.shared.add
// MANY-NOT: atom.global
moe_kernel.kernel @many(%x: tensor<8192x2048xbf16>, %w: tensor<128x2048xbf16>)
    -> (tensor<8192x8xf32>, tensor<8192x8xi32>, tensor<128x128xi32>) {
  %k, %i, %c = moe_kernel.router %x, %w {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true,
      routed_scaling_factor = 1.0 : f64, chunk = 64 : i64, resultSegmentSizes = array<i32: 0, 1, 1, 1, 0, 0, 0>}
      : (tensor<8192x2048xbf16>, tensor<128x2048xbf16>)
      -> (tensor<8192x8xf32>, tensor<8192x8xi32>, tensor<128x128xi32>)
  moe_kernel.return %k, %i, %c : tensor<8192x8xf32>, tensor<8192x8xi32>, tensor<128x128xi32>
}

// Three blocks of tokens, several of experts each: one goes on with its tokens, one of those makes the plan.
// FEW: mma.sync.aligned.m16n8k16
// FEW: st.global
// FEW: fence.acq_rel.gpu
// FEW: atom{{.*}}.global{{.*}}.inc.u32
// FEW: fence.acq_rel.gpu
// FEW: redux.sync.max.u32
// FEW: fence.acq_rel.gpu
// FEW: atom{{.*}}.global{{.*}}.inc.u32
// FEW: match.any.sync
moe_kernel.kernel @few(%x: tensor<40x4096xbf16>, %w: tensor<100x4096xbf16>, %bias: tensor<100xf32>)
    -> (tensor<40x100xf32>, tensor<40x4xf32>, tensor<40x4xi32>, tensor<101xi32>, tensor<160xi32>, tensor<40x4xi32>) {
  %s, %k, %i, %o, %p, %q = moe_kernel.router %x, %w, %bias {top_k = 4 : i64, scoring = #moe_kernel.scoring<sigmoid>,
      norm_topk_prob = true, routed_scaling_factor = 2.5 : f64,
      resultSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1, 1>}
      : (tensor<40x4096xbf16>, tensor<100x4096xbf16>, tensor<100xf32>)
      -> (tensor<40x100xf32>, tensor<40x4xf32>, tensor<40x4xi32>, tensor<101xi32>, tensor<160xi32>, tensor<40x4xi32>)
  moe_kernel.return %s, %k, %i, %o, %p, %q
      : tensor<40x100xf32>, tensor<40x4xf32>, tensor<40x4xi32>, tensor<101xi32>, tensor<160xi32>, tensor<40x4xi32>
}

// The counts of all chunks, then the entries of the slice alone.
// PLAN: ld.global.nc
// PLAN: match.any.sync
moe_kernel.kernel @plan(%i: tensor<8192x8xi32>, %c: tensor<128x128xi32>)
    -> (tensor<129xi32>, tensor<65536xi32>, tensor<8192x8xi32>) {
  %o, %p, %q = moe_kernel.plan %i, %c {chunk = 64 : i64}
      : (tensor<8192x8xi32>, tensor<128x128xi32>) -> (tensor<129xi32>, tensor<65536xi32>, tensor<8192x8xi32>)
  moe_kernel.return %o, %p, %q : tensor<129xi32>, tensor<65536xi32>, tensor<8192x8xi32>
}
}

// Blocks that share the experts of few tokens are a cluster: logits go to the first one's shared memory, and nobody counts
// who is last. A single token's weights are in registers, and its plan is made there.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s --check-prefix=ONE --input-file=%t/one.ptx
// RUN: FileCheck %s --check-prefix=ODD --input-file=%t/odd.ptx
// RUN: FileCheck %s --check-prefix=SHARED --input-file=%t/shared.ptx
// RUN: FileCheck %s --check-prefix=FEW --input-file=%t/few.ptx
// RUN: FileCheck %s --check-prefix=MANY --input-file=%t/many.ptx
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=NEVER

// NEVER-NOT: {{wgmma|mbarrier|\.local|atom[a-z.]*\.f32}}

module attributes {moe.target = "cuda:sm_90a"} {

// ONE-NOT: atom.
// ONE: .reqnctapercluster 8, 1, 1
// ONE: barrier.cluster.arrive.relaxed.aligned
// ONE: griddepcontrol.wait
// ONE-COUNT-32: ld.relaxed.gpu.global.b64
// ONE-COUNT-16: ld.global.nc.v4.b16
// ONE: fma.rn.f32
// ONE-NOT: {{mma\.|cp\.async}}
// ONE: barrier.cluster.wait.aligned
// ONE: mapa.shared::cluster
// ONE: st.shared::cluster
// ONE: barrier.cluster.arrive.aligned
// ONE-NEXT: barrier.cluster.wait.aligned
// ONE: redux.sync.max.u32
// ONE-NOT: {{match.any|atom\.|bar\.sync}}
moe_kernel.kernel @one(%x: tensor<1x2048xbf16>, %w: tensor<128x2048xbf16>)
    -> (tensor<1x128xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<129xi32>, tensor<8xi32>, tensor<1x8xi32>) {
  %s, %k, %i, %o, %p, %q = moe_kernel.router %x, %w {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>,
      norm_topk_prob = true, routed_scaling_factor = 1.0 : f64, resultSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1, 1>}
      : (tensor<1x2048xbf16>, tensor<128x2048xbf16>)
      -> (tensor<1x128xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<129xi32>, tensor<8xi32>, tensor<1x8xi32>)
  moe_kernel.return %s, %k, %i, %o, %p, %q
      : tensor<1x128xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<129xi32>, tensor<8xi32>, tensor<1x8xi32>
}

// 13 experts of a block for 8 warps, and elements that fill no piece of a warp; and few experts, with the contraction
// shared by warps.
// ODD: .reqnctapercluster 8, 1, 1
// ODD: setp
// ODD: fma.rn.f32
// ODD: redux.sync.max.u32
moe_kernel.kernel @odd(%x: tensor<1x2056xbf16>, %w: tensor<100x2056xbf16>)
    -> (tensor<1x100xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<101xi32>, tensor<8xi32>, tensor<1x8xi32>) {
  %s, %k, %i, %o, %p, %q = moe_kernel.router %x, %w {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>,
      norm_topk_prob = true, routed_scaling_factor = 1.0 : f64, resultSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1, 1>}
      : (tensor<1x2056xbf16>, tensor<100x2056xbf16>)
      -> (tensor<1x100xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<101xi32>, tensor<8xi32>, tensor<1x8xi32>)
  moe_kernel.return %s, %k, %i, %o, %p, %q
      : tensor<1x100xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<101xi32>, tensor<8xi32>, tensor<1x8xi32>
}
// SHARED: .reqntid 512
// SHARED: .reqnctapercluster 8, 1, 1
// SHARED-COUNT-14: ld.relaxed.gpu.global.b64
// SHARED-NOT: ld.relaxed
moe_kernel.kernel @shared(%x: tensor<1x7168xbf16>, %w: tensor<32x7168xbf16>)
    -> (tensor<1x32xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<33xi32>, tensor<8xi32>, tensor<1x8xi32>) {
  %s, %k, %i, %o, %p, %q = moe_kernel.router %x, %w {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>,
      norm_topk_prob = true, routed_scaling_factor = 1.0 : f64, resultSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1, 1>}
      : (tensor<1x7168xbf16>, tensor<32x7168xbf16>)
      -> (tensor<1x32xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<33xi32>, tensor<8xi32>, tensor<1x8xi32>)
  moe_kernel.return %s, %k, %i, %o, %p, %q
      : tensor<1x32xf32>, tensor<1x8xf32>, tensor<1x8xi32>, tensor<33xi32>, tensor<8xi32>, tensor<1x8xi32>
}

// The first blocks of several clusters count themselves for the plan of all tokens.
// FEW: .reqnctapercluster
// FEW: mma.sync.aligned.m16n8k16
// FEW: mapa.shared::cluster
// FEW: redux.sync.max.u32
// FEW: atom{{.*}}.global{{.*}}.inc.u32
// FEW: match.any.sync
moe_kernel.kernel @few(%x: tensor<40x4096xbf16>, %w: tensor<100x4096xbf16>)
    -> (tensor<40x100xf32>, tensor<40x4xf32>, tensor<40x4xi32>, tensor<101xi32>, tensor<160xi32>, tensor<40x4xi32>) {
  %s, %k, %i, %o, %p, %q = moe_kernel.router %x, %w {top_k = 4 : i64, scoring = #moe_kernel.scoring<sigmoid>,
      norm_topk_prob = true, routed_scaling_factor = 2.5 : f64,
      resultSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1, 1>}
      : (tensor<40x4096xbf16>, tensor<100x4096xbf16>)
      -> (tensor<40x100xf32>, tensor<40x4xf32>, tensor<40x4xi32>, tensor<101xi32>, tensor<160xi32>, tensor<40x4xi32>)
  moe_kernel.return %s, %k, %i, %o, %p, %q
      : tensor<40x100xf32>, tensor<40x4xf32>, tensor<40x4xi32>, tensor<101xi32>, tensor<160xi32>, tensor<40x4xi32>
}

// As many blocks as multiprocessors would have to wait for clusters to end: they pass logits on in global memory.
// MANY-NOT: cluster
// MANY: mma.sync.aligned.m16n8k16
// MANY-NOT: cluster
// MANY: atom{{.*}}.global{{.*}}.inc.u32
moe_kernel.kernel @many(%x: tensor<512x2048xbf16>, %w: tensor<128x2048xbf16>)
    -> (tensor<512x128xf32>, tensor<512x8xf32>, tensor<512x8xi32>) {
  %s, %k, %i = moe_kernel.router %x, %w {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>,
      norm_topk_prob = true, routed_scaling_factor = 1.0 : f64, resultSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
      : (tensor<512x2048xbf16>, tensor<128x2048xbf16>) -> (tensor<512x128xf32>, tensor<512x8xf32>, tensor<512x8xi32>)
  moe_kernel.return %s, %k, %i : tensor<512x128xf32>, tensor<512x8xf32>, tensor<512x8xi32>
}
}

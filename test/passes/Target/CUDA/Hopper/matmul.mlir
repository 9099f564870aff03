// Matmuls on warpgroups, as PTX: asynchronous products on tiles that TMA brings, and stores by TMA.
//
// RUN: rm -rf %t && moe-opt %s --moe-cuda-codegen="dump-to=%t" -o %t.mlir
// RUN: FileCheck %s --check-prefixes=ALL,DENSE --input-file=%t/dense.ptx
// RUN: FileCheck %s --check-prefixes=ALL,EXPERTS --input-file=%t/experts.ptx
// RUN: FileCheck %s --check-prefixes=ALL,GRADIENT --input-file=%t/gradient.ptx
// RUN: FileCheck %s --check-prefixes=ALL,RESIDUAL --input-file=%t/residual.ptx
// RUN: FileCheck %s --check-prefixes=ALL,TALL --input-file=%t/tall.ptx
// RUN: FileCheck %s --check-prefixes=ALL,ORDERED --input-file=%t/tall_in_order.ptx
// RUN: FileCheck %s --check-prefixes=ALL,TALLGRADIENT --input-file=%t/tall_gradient.ptx
// RUN: FileCheck %s --check-prefix=TALLCOPIES --input-file=%t/tall_gradient.ptx
// RUN: FileCheck %s --check-prefixes=ALL,PARTS --input-file=%t/parts.ptx
// RUN: FileCheck %s --check-prefixes=ALL,WEIGHTED --input-file=%t/weighted_experts.ptx
// RUN: FileCheck %s --check-prefix=ONEWARP --input-file=%t/weighted_experts.ptx
// RUN: FileCheck %s --check-prefix=MAPS --input-file=%t.mlir
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=LOCAL

// One warpgroup gives its registers to the two others.
// ALL: .param .align 64 .b8 {{[a-z_]+}}_param_{{[0-9]+}}[128]
// ALL: .reqntid 384
// ALL: mbarrier.init.shared.b64

// The first product of a tile overwrites its accumulators; the others add to them.
// DENSE: setmaxnreg.inc.sync.aligned.u32 232
// DENSE: mbarrier.try_wait.parity.shared.b64
// DENSE: setp.ne.b32 p, 0, 0;
// DENSE-NEXT: wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {{.*}}, p, 1,  1, 0, 0;
// DENSE-COUNT-7: setp.ne.b32 p, 1, 0;
// DENSE: wgmma.wait_group.sync.aligned 1;
// DENSE: wgmma.wait_group.sync.aligned 0;
// DENSE: cvt.rn.bf16x2.f32
// DENSE: stmatrix.sync.aligned.m8n8.x4.shared.b16
// DENSE: cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group
// DENSE: setmaxnreg.dec.sync.aligned.u32 40
// DENSE: elect.sync
// DENSE: mbarrier.arrive.expect_tx.shared.b64
// DENSE-COUNT-2: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes

// Rows come by their index, the gate's and the up half of the weight in two boxes; silu takes the fast functions. Rows
// of other experts are not written.
// EXPERTS: setmaxnreg.inc.sync.aligned.u32 224
// EXPERTS: fence.proxy.async.shared::cta
// EXPERTS: wgmma.mma_async.sync.aligned.m64n256k16
// EXPERTS: ex2.approx.ftz.f32
// EXPERTS: rcp.approx.ftz.f32
// EXPERTS: st.global.v{{[0-9]}}.b
// EXPERTS: setmaxnreg.dec.sync.aligned.u32 56
// EXPERTS-DAG: cp.async.bulk.tensor.2d.shared::cluster.global
// EXPERTS-DAG: cp.async.bulk.tensor.2d.shared::cluster.global
// EXPERTS-DAG: cp.async.cg.shared.global
// EXPERTS-DAG: cp.async.mbarrier.arrive.noinc.shared.b64

// Both operands are read across their rows.
// GRADIENT-DAG: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {{.*}}, p, 1,  1, 1, 1;
// GRADIENT-DAG: cp.async.bulk.tensor.3d.global.shared::cta
// GRADIENT-DAG: cp.async.bulk.tensor.3d.shared::cluster.global
// GRADIENT-DAG: cp.async.bulk.tensor.2d.shared::cluster.global

// A residual that is added to in place comes by TMA too, ahead of the products.
// RESIDUAL: cp.async.bulk.tensor.2d.shared::cluster.global
// RESIDUAL: wgmma.wait_group.sync.aligned 0;
// RESIDUAL: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// RESIDUAL: cp.async.bulk.tensor.2d.shared::cluster.global
// RESIDUAL: stmatrix.sync.aligned.m8n8.x4.shared.b16
// RESIDUAL: cp.async.bulk.tensor.2d.global.shared::cta

// Of 192 rows, both consumers have 64 alone, and of the others half of the columns. Tiles are counted in device memory.
// TALL: wgmma.mma_async.sync.aligned.m64n256k16
// TALL: wgmma.mma_async.sync.aligned.m64n128k16
// TALL: atom{{.*}}.global.inc.u32

// Rows that both share come, and are expected, only where there are some: the third box of the lhs is behind a branch.
// ORDERED: wgmma.mma_async.sync.aligned.m64n128k16
// ORDERED: elect.sync
// ORDERED: selp.b32 {{.*}}, 57344, 49152,
// ORDERED: mbarrier.arrive.expect_tx.shared.b64
// ORDERED: cp.async.bulk.tensor.2d.shared::cluster.global
// ORDERED: cp.async.bulk.tensor.2d.shared::cluster.global
// ORDERED: @%p{{[0-9]+}} bra
// ORDERED: cp.async.bulk.tensor.2d.shared::cluster.global

// 192 columns of gathered rows are three chunks of 64, each of 16 rows at a time.
// TALLGRADIENT-DAG: wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {{.*}}, p, 1,  1, 1, 1;
// TALLGRADIENT-DAG: wgmma.mma_async.sync.aligned.m64n128k16
// TALLCOPIES-COUNT-12: cp.async.cg.shared.global
// TALLCOPIES-NOT: cp.async.cg.shared.global

// A part of the contraction per result.
// PARTS: wgmma.mma_async.sync.aligned.m64n128k16
// PARTS: cp.async.bulk.tensor.3d.global.shared::cta

// Where the epilogue reads the rows of a gradient, consumers leave their products to three warps beside the one that
// gathers rows. These load what they read of a row when they are done with the same columns of the one before; eight lanes
// add up what they have of a row, and the first of them stores it.
// WEIGHTED-NOT: setmaxnreg
// WEIGHTED: wgmma.wait_group.sync.aligned 0;
// WEIGHTED: mbarrier.try_wait
// WEIGHTED-COUNT-16: stmatrix.sync.aligned.m8n8.x4.shared.b16
// WEIGHTED: mbarrier.arrive
// WEIGHTED-COUNT-8: ld.global.v4.b32
// WEIGHTED: mbarrier.try_wait
// WEIGHTED: ld.shared.v4.b32
// WEIGHTED-COUNT-8: ex2.approx.ftz.f32
// WEIGHTED-COUNT-3: st.global.v4.b32
// WEIGHTED: shfl.sync.bfly.b32 {{.*}}, 4, 31, -1;
// WEIGHTED: shfl.sync.bfly.b32 {{.*}}, 2, 31, -1;
// WEIGHTED: shfl.sync.bfly.b32 {{.*}}, 1, 31, -1;
// WEIGHTED: st.global.b32
// WEIGHTED-COUNT-2: ld.global.v4.b32
// WEIGHTED: ld.shared.v4.b32
// WEIGHTED-NOT: global.shared::cta
// ONEWARP-COUNT-32: cp.async.cg.shared.global
// ONEWARP-NOT: cp.async.cg.shared.global

// LOCAL-NOT: .local

// A box of the lhs has all rows of a tile, one of the result those of a warpgroup.
// MAPS: moe_exec.kernel @dense in @cuda
// MAPS-SAME: grid = array<i64: 132, 1, 1>
// MAPS-SAME: tensor_maps = [#moe_exec.tensor_map<buffer 0 : bf16, dims[2048, 4096] strides[4096], box[64, 128], swizzle 128>,
// MAPS-SAME: #moe_exec.tensor_map<buffer 1 : bf16, dims[2048, 4096] strides[4096], box[64, 256], swizzle 128>,
// MAPS-SAME: #moe_exec.tensor_map<buffer 2 : bf16, dims[4096, 4096] strides[8192], box[64, 64], swizzle 128>]
// The experts' weights are one matrix.
// MAPS: moe_exec.kernel @experts in @cuda
// MAPS-SAME: #moe_exec.tensor_map<buffer 1 : bf16, dims[256, 4096] strides[512], box[64, 128], swizzle 128>
// Chunks of 64 columns where 64 divides them; gradients of f32 are stored 32 columns at a time.
// MAPS: moe_exec.kernel @gradient in @cuda
// MAPS-SAME: #moe_exec.tensor_map<buffer 0 : bf16, dims[64, 1000, 4] strides[512, 128], box[64, 64, 2], swizzle 128>,
// MAPS-SAME: #moe_exec.tensor_map<buffer 1 : bf16, dims[200, 1000] strides[400], box[64, 64], swizzle 128>,
// MAPS-SAME: #moe_exec.tensor_map<buffer 3 : f32, dims[200, 256, 8] strides[800, 204800], box[32, 64, 1], swizzle 128>]

// Gate and up columns alternate: 64 and 64 for each consumer's half.
// MAPS: moe_exec.kernel @tall in @cuda
// MAPS-SAME: #moe_exec.tensor_map<buffer 1 : bf16, dims[256, 6144] strides[512], box[64, 64], swizzle 128>
// MAPS: moe_exec.kernel @tall_in_order in @cuda
// MAPS-SAME: #moe_exec.tensor_map<buffer 0 : bf16, dims[256, 4096] strides[512], box[64, 64], swizzle 128>,
// MAPS-SAME: #moe_exec.tensor_map<buffer 1 : bf16, dims[256, 6144] strides[512], box[64, 256], swizzle 128>
// MAPS: moe_exec.kernel @parts in @cuda
// MAPS-SAME: #moe_exec.tensor_map<buffer 2 : f32, dims[256, 256, 8] strides[1024, 262144], box[32, 64, 1], swizzle 128>]

// What is tied shares its maps.
// MAPS: moe_exec.kernel @residual in @cuda
// MAPS-SAME: #moe_exec.tensor_map<buffer 2 : bf16, dims[512, 1024] strides[1024], box[64, 64], swizzle 128>]

module attributes {moe.target = "cuda:sm_90a"} {

moe_kernel.kernel @dense(%a: tensor<4096x2048xbf16>, %b: tensor<4096x2048xbf16>) -> tensor<4096x4096xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 4,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<4096x2048xbf16>, tensor<4096x2048xbf16>) -> tensor<4096x4096xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<4096x4096xbf16>
}

moe_kernel.kernel @experts(%a: tensor<512x256xbf16>, %b: tensor<8x512x256xbf16>, %o: tensor<9xi32>, %i: tensor<1024xi32>)
    -> tensor<1024x256xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 4,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i)
      {paired, transpose_rhs, row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<512x256xbf16>, tensor<8x512x256xbf16>, tensor<9xi32>, tensor<1024xi32>) -> tensor<1024x256xbf16> {
    ^bb0(%gate: f32, %up: f32):
      %negative = arith.negf %gate : f32
      %power = math.exp %negative : f32
      %one = arith.constant 1.0 : f32
      %sum = arith.addf %one, %power : f32
      %silu = arith.divf %gate, %sum : f32
      %product = arith.mulf %silu, %up : f32
      %rounded = arith.truncf %product : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<1024x256xbf16>
}

moe_kernel.kernel @gradient(%a: tensor<1000x256xbf16>, %b: tensor<1000x200xbf16>, %o: tensor<9xi32>)
    -> tensor<8x256x200xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128, tile_k = 64, stages = 4,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul ragged_contraction (%a, %b) offsets(%o) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1000x256xbf16>, tensor<1000x200xbf16>, tensor<9xi32>) -> tensor<8x256x200xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<8x256x200xf32>
}

moe_kernel.kernel @tall(%a: tensor<512x256xbf16>, %b: tensor<8x768x256xbf16>, %o: tensor<9xi32>, %i: tensor<4096xi32>)
    -> tensor<4096x384xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 192, tile_n = 256, tile_k = 64, stages = 3,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i)
      {paired, transpose_rhs, row_divisor = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<512x256xbf16>, tensor<8x768x256xbf16>, tensor<9xi32>, tensor<4096xi32>) -> tensor<4096x384xbf16> {
    ^bb0(%gate: f32, %up: f32):
      %product = arith.mulf %gate, %up : f32
      %rounded = arith.truncf %product : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<4096x384xbf16>
}

moe_kernel.kernel @tall_in_order(%a: tensor<4096x256xbf16>, %b: tensor<8x768x256xbf16>, %o: tensor<9xi32>)
    -> tensor<4096x768xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 192, tile_n = 256, tile_k = 64, stages = 3,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<4096x256xbf16>, tensor<8x768x256xbf16>, tensor<9xi32>) -> tensor<4096x768xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<4096x768xbf16>
}

moe_kernel.kernel @tall_gradient(%a: tensor<512x320xbf16>, %b: tensor<4096x256xbf16>, %o: tensor<9xi32>,
                                 %i: tensor<4096xi32>) -> tensor<8x320x256xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 192, tile_n = 256, tile_k = 64, stages = 3,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul ragged_contraction (%a, %b) offsets(%o) rows(%i)
      {row_divisor = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<512x320xbf16>, tensor<4096x256xbf16>, tensor<9xi32>, tensor<4096xi32>) -> tensor<8x320x256xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<8x320x256xbf16>
}

moe_kernel.kernel @parts(%a: tensor<8192x256xbf16>, %b: tensor<8192x256xbf16>) -> tensor<8x256x256xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128, tile_k = 64, stages = 4,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_lhs, parts = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8192x256xbf16>, tensor<8192x256xbf16>) -> tensor<8x256x256xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<8x256x256xf32>
}

moe_kernel.kernel @weighted_experts(%a: tensor<512x256xbf16>, %b: tensor<8x256x192xbf16>, %o: tensor<9xi32>,
                                    %i: tensor<1024xi32>, %h: tensor<1024x384xbf16>, %w: tensor<1024xf32>)
    -> (tensor<1024x192xbf16>, tensor<1024x384xbf16>, tensor<1024x3xf32>)
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 3,
                                                 unit = wgmma>} {
  %r:3 = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i) extras(%h, %w)
      {row_divisor = 2 : i64, extra_extents = [#moe_kernel.extent<pair>, #moe_kernel.extent<row>],
       result_extents = [#moe_kernel.extent<full>, #moe_kernel.extent<pair>, #moe_kernel.extent<row_sum>]}
      : (tensor<512x256xbf16>, tensor<8x256x192xbf16>, tensor<9xi32>, tensor<1024xi32>, tensor<1024x384xbf16>,
         tensor<1024xf32>) -> (tensor<1024x192xbf16>, tensor<1024x384xbf16>, tensor<1024x3xf32>) {
    ^bb0(%x: f32, %g: bf16, %u: bf16, %weight: f32):
      %gate = arith.extf %g : bf16 to f32
      %up = arith.extf %u : bf16 to f32
      %negative = arith.negf %gate : f32
      %power = math.exp %negative : f32
      %one = arith.constant 1.0 : f32
      %sum = arith.addf %one, %power : f32
      %sigmoid = arith.divf %one, %sum : f32
      %silu = arith.mulf %gate, %sigmoid : f32
      %activation = arith.mulf %silu, %up : f32
      %weighted = arith.mulf %weight, %x : f32
      %rest = arith.subf %one, %sigmoid : f32
      %slope1 = arith.mulf %gate, %rest : f32
      %slope2 = arith.addf %slope1, %one : f32
      %slope = arith.mulf %sigmoid, %slope2 : f32
      %up_slope = arith.mulf %up, %slope : f32
      %gate_gradient = arith.mulf %weighted, %up_slope : f32
      %up_gradient = arith.mulf %weighted, %silu : f32
      %result = arith.mulf %weight, %activation : f32
      %term = arith.mulf %x, %activation : f32
      %r0 = arith.truncf %result : f32 to bf16
      %r1 = arith.truncf %gate_gradient : f32 to bf16
      %r2 = arith.truncf %up_gradient : f32 to bf16
      moe_kernel.yield %r0, %r1, %r2, %term : bf16, bf16, bf16, f32
  }
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<1024x192xbf16>, tensor<1024x384xbf16>, tensor<1024x3xf32>
}

moe_kernel.kernel @residual(%a: tensor<1024x256xbf16>, %b: tensor<512x256xbf16>,
                            %x: tensor<1024x512xbf16> {moe_kernel.tied = 0 : i64}) -> tensor<1024x512xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 3,
                                                 unit = wgmma>} {
  %r = moe_kernel.matmul dense (%a, %b) extras(%x)
      {transpose_rhs, extra_extents = [#moe_kernel.extent<full>], result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x256xbf16>, tensor<512x256xbf16>, tensor<1024x512xbf16>) -> tensor<1024x512xbf16> {
    ^bb0(%sum: f32, %narrow: bf16):
      %old = arith.extf %narrow : bf16 to f32
      %new = arith.addf %sum, %old : f32
      %rounded = arith.truncf %new : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<1024x512xbf16>
}

}

// RUN: moe-opt %s --moe-cuda-emit-kernels | FileCheck %s

module attributes {moe.target = "cuda:sm_80"} {

// A tile in registers, its operands in two buffers of shared memory: one barrier a step.
// CHECK-LABEL: gpu.func @matmul
// CHECK: %[[LHS:.*]] = memref.view %{{.*}} : memref<?xi8, #gpu.address_space<workgroup>> to memref<2176xf32, #gpu.address_space<workgroup>>
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK-COUNT-16: math.fma
// CHECK: gpu.barrier
// CHECK-NOT: gpu.barrier
// CHECK: arith.maximumf
// CHECK: gpu.return
moe_kernel.kernel @matmul(%a: tensor<64x128xf32>, %b: tensor<64x128xf32>) -> tensor<64x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 256, tile_m = 64, tile_n = 64, tile_k = 16, stages = 2>} {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<64x128xf32>, tensor<64x128xf32>) -> tensor<64x64xf32> {
    ^bb0(%x: f32):
      %zero = arith.constant 0.0 : f32
      %y = arith.maximumf %x, %zero : f32
      moe_kernel.yield %y : f32
  }
  moe_kernel.return %r : tensor<64x64xf32>
}

// The grid holds the tiles of the worst routing: (100 + 5 · 31) / 32 row tiles times 2 column tiles. A block looks for
// its expert with a scan of the tiles that each has, and does nothing if there is none.
// CHECK-LABEL: moe_exec.kernel @ragged_rows
// CHECK-SAME: grid = array<i64: 14, 1, 1>
// CHECK: gpu.func @ragged_rows
// CHECK-COUNT-5: gpu.shuffle up
// CHECK: %[[OWNERS:.*]] = nvvm.vote.sync ballot
// CHECK: %[[FOUND:.*]] = arith.cmpi ne, %[[OWNERS]]
// CHECK: scf.if %[[FOUND]]
moe_kernel.kernel @ragged_rows(%a: tensor<50x24xf32>, %b: tensor<5x64x24xf32>, %o: tensor<6xi32>, %i: tensor<100xi32>)
    -> tensor<100x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 64, tile_m = 32, tile_n = 32, tile_k = 16, stages = 2>} {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i)
      {transpose_rhs, row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<50x24xf32>, tensor<5x64x24xf32>, tensor<6xi32>, tensor<100xi32>) -> tensor<100x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<100x64xf32>
}

// A tile of each expert's matrix, contracted over the rows that the expert has: none leave the zeros.
// CHECK-LABEL: moe_exec.kernel @ragged_contraction
// CHECK-SAME: grid = array<i64: 20, 1, 1>
// CHECK: gpu.func @ragged_contraction
// CHECK-SAME: %[[OFFSETS:[a-z0-9]*]]: memref<6xi32>
// CHECK: %[[FIRST32:.*]] = memref.load %[[OFFSETS]]
// CHECK: %[[FIRST:.*]] = arith.index_cast %[[FIRST32]]
// CHECK: %[[LAST32:.*]] = memref.load %[[OFFSETS]]
// CHECK: %[[LAST:.*]] = arith.index_cast %[[LAST32]]
// CHECK: scf.for %{{.*}} = %[[FIRST]] to %[[LAST]] step
moe_kernel.kernel @ragged_contraction(%a: tensor<100x33xf32>, %b: tensor<100x47xf32>, %o: tensor<6xi32>)
    -> tensor<5x33x47xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 64, tile_m = 32, tile_n = 32, tile_k = 16, stages = 2>} {
  %r = moe_kernel.matmul ragged_contraction (%a, %b) offsets(%o) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<100x33xf32>, tensor<100x47xf32>, tensor<6xi32>) -> tensor<5x33x47xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<5x33x47xf32>
}

// Counts by atomics on integers, whose order does not matter; ranks by the lanes that want the same expert.
// CHECK-LABEL: gpu.func @plan
// CHECK: memref.atomic_rmw addi {{.*}} memref<{{.*}}xi32, #gpu.address_space<workgroup>>
// CHECK: nvvm.match.sync any
// CHECK: nvvm.bar.warp.sync
// CHECK-NOT: addf
moe_kernel.kernel @plan(%indices: tensor<4x2xi32>) -> (tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>)
    attributes {config = #moe_kernel.cuda_config<threads = 1024, tile_m = 1, tile_n = 1, tile_k = 1, stages = 1>} {
  %r:3 = moe_kernel.plan %indices : (tensor<4x2xi32>) -> (tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>
}
}

// RUN: moe-opt %s --moe-cpu-emit-kernels | FileCheck %s

#config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 2, tile_n = 32, block_m = 16, block_n = 32>

// The accumulators of a register tile are carried by the loop over k; the epilogue runs on vectors afterwards.
// CHECK-LABEL: moe_exec.kernel @matmul
// CHECK-SAME: grid = array<i64: 8, 1, 1>
// CHECK: func.func @matmul
// CHECK: scf.for %[[K:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[C0:.*]] = %{{.*}}, %[[C1:.*]] = %{{.*}}, %[[C2:.*]] = %{{.*}}, %[[C3:.*]] = %{{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK: %[[B0:.*]] = vector.load
// CHECK: %[[B1:.*]] = vector.load
// CHECK: %[[A0:.*]] = memref.load
// CHECK: %[[A0V:.*]] = vector.broadcast %[[A0]]
// CHECK: %[[R0:.*]] = vector.fma %[[A0V]], %[[B0]], %[[C0]]
// CHECK: %[[R1:.*]] = vector.fma %[[A0V]], %[[B1]], %[[C1]]
// CHECK: %[[A1:.*]] = memref.load
// CHECK: %[[A1V:.*]] = vector.broadcast %[[A1]]
// CHECK: %[[R2:.*]] = vector.fma %[[A1V]], %[[B0]], %[[C2]]
// CHECK: %[[R3:.*]] = vector.fma %[[A1V]], %[[B1]], %[[C3]]
// CHECK: scf.yield %[[R0]], %[[R1]], %[[R2]], %[[R3]]
// CHECK: %[[X:.*]] = vector.load
// CHECK: arith.maximumf %[[X]], %{{.*}} : vector<16xf32>
moe_kernel.kernel @matmul(%a: tensor<64x128xf32>, %b: tensor<64x128xf32>) -> tensor<64x64xf32>
    attributes {config = #config} {
  %r = moe_kernel.matmul dense(%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<64x128xf32>, tensor<64x128xf32>) -> tensor<64x64xf32> {
    ^bb0(%x: f32):
      %zero = arith.constant 0.0 : f32
      %y = arith.maximumf %x, %zero : f32
      moe_kernel.yield %y : f32
  }
  moe_kernel.return %r : tensor<64x64xf32>
}

// Results go to the buffers after the operands'.
// CHECK-LABEL: func.func @plan
// CHECK-SAME: (%{{.*}}: memref<4x2xi32>{{.*}}, %[[OFFSETS:.*]]: memref<6xi32>{{.*}}, %{{.*}}: memref<8xi32>{{.*}}, %{{.*}}: memref<4x2xi32>
// CHECK: %[[ZERO:.*]] = arith.constant 0 : i32
// CHECK: memref.store %[[ZERO]], %[[OFFSETS]]
moe_kernel.kernel @plan(%indices: tensor<4x2xi32>) -> (tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>)
    attributes {config = #config} {
  %offsets, %permutation, %inverse = moe_kernel.plan %indices
      : (tensor<4x2xi32>) -> (tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>)
  moe_kernel.return %offsets, %permutation, %inverse : tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>
}

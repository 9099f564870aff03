// RUN: %moe-opt %s -moe-cpu-emit-kernels | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#rows = affine_map<(i, j) -> (i)>
#i = affine_map<(i) -> (i)>

module attributes {moe.target = "cpu:x86-64-v4"} {

// Rows: blocks of rows, then the nests of a row. The sum of a row is made of two vectors and a masked rest, added in halves,
// and stays a scalar; 40 columns are two vectors and half of one.
// CHECK-LABEL: moe_exec.kernel @normalize in @cpu
// CHECK-SAME:    flops = 5120
// CHECK-SAME:    grid = array<i64: 8, 1, 1>
// CHECK-SAME:    scratch_bytes = 0
// CHECK:       func.func @normalize(%[[X:.*]]: memref<64x40xf32> {llvm.align = 64 : i64, llvm.noalias}, %[[Y:.*]]: memref<64x40xf32> {{.*}}, %[[BEGIN:.*]]: index, %[[END:.*]]: index, %{{.*}}: memref<0xi8>)
// CHECK-SAME:    moe_kernel.buffers = array<i64: 0, 1>
// CHECK:         %[[FLAT:.*]] = memref.reinterpret_cast %[[X]] {{.*}} to memref<2560xf32>
// CHECK:         scf.for %[[ITEM:.*]] = %[[BEGIN]] to %[[END]]
// CHECK:           scf.for %[[ROW:.*]] =
// CHECK:             vector.load %[[FLAT]]{{.*}} vector<16xf32>
// CHECK:             vector.load %[[FLAT]]{{.*}} vector<16xf32>
// CHECK:             vector.maskedload %[[FLAT]]{{.*}} vector<16xf32>
// CHECK:             arith.select {{.*}} : vector<16xi1>, vector<16xf32>
// CHECK:             vector.extract_strided_slice {{.*}} to vector<8xf32>
// CHECK:             vector.extract_strided_slice {{.*}} to vector<1xf32>
// CHECK:             %[[SUM:.*]] = arith.addf {{.*}} : f32
// CHECK:             scf.for
// CHECK:               vector.broadcast %[[SUM]] : f32 to vector<16xf32>
// CHECK:               vector.store {{.*}} vector<16xf32>
// CHECK:             vector.broadcast %[[SUM]] : f32 to vector<8xf32>
// CHECK:             vector.store {{.*}} vector<8xf32>
moe_kernel.kernel @normalize(%x: tensor<64x40xf32>) -> tensor<64x40xf32>
    attributes {config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 14, tile_n = 32, block_m = 8, block_n = 16>} {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e0 : tensor<64xf32>) -> tensor<64xf32>
  %sum = linalg.generic {indexing_maps = [#ij, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<64x40xf32>) outs(%f : tensor<64xf32>) {
    ^bb0(%a: f32, %acc: f32):
      %r = arith.addf %acc, %a : f32
      linalg.yield %r : f32
  } -> tensor<64xf32>
  %e1 = tensor.empty() : tensor<64x40xf32>
  %y = linalg.generic {indexing_maps = [#ij, #rows, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<64x40xf32>, tensor<64xf32>) outs(%e1 : tensor<64x40xf32>) {
    ^bb0(%a: f32, %s: f32, %o: f32):
      %r = arith.divf %a, %s : f32
      linalg.yield %r : f32
  } -> tensor<64x40xf32>
  moe_kernel.return %y : tensor<64x40xf32>
}

// Columns: blocks of a flat tensor; the last block has the rest. A result computed in place is no parameter.
// CHECK-LABEL: moe_exec.kernel @update in @cpu
// CHECK-SAME:    grid = array<i64: 4, 1, 1>
// CHECK:       func.func @update(%[[P:.*]]: memref<1000xf32> {{.*}}, %[[G:.*]]: memref<1000xf32> {{.*}}, %{{.*}}: index, %{{.*}}: index, %{{.*}}: memref<0xi8>)
// CHECK-SAME:    moe_kernel.buffers = array<i64: 0, 1>
// CHECK:         %[[LAST:.*]] = arith.minsi
// CHECK:         scf.for {{.*}} to %[[LAST]]
// CHECK:           vector.store {{.*}} vector<16xf32>
// CHECK:         scf.if
// CHECK:           vector.store {{.*}} vector<8xf32>
moe_kernel.kernel @update(%p: tensor<1000xf32> {moe_kernel.tied = 0 : i64}, %g: tensor<1000xf32>) -> tensor<1000xf32>
    attributes {config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 14, tile_n = 32, block_m = 256, block_n = 16>} {
  %e = tensor.empty() : tensor<1000xf32>
  %y = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%p, %g : tensor<1000xf32>, tensor<1000xf32>) outs(%e : tensor<1000xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.subf %a, %b : f32
      linalg.yield %r : f32
  } -> tensor<1000xf32>
  moe_kernel.return %y : tensor<1000xf32>
}

// A row found by index, at columns that wrap around: still one vector load, because 16 aligned columns wrap together.
// CHECK-LABEL: func.func @gather
// CHECK-NOT:     vector.gather
// CHECK:         %[[ROW:.*]] = memref.load
// CHECK:         arith.index_cast %[[ROW]] : i32 to index
// CHECK:         %[[COLUMN:.*]] = arith.remui {{.*}} : index
// CHECK:         %[[AT:.*]] = arith.addi %{{.*}}, %[[COLUMN]] : index
// CHECK:         vector.load %{{.*}}[%[[AT]]] : memref<3200xf32>, vector<16xf32>
moe_kernel.kernel @gather(%t: tensor<100x32xf32>, %rows: tensor<8xi32>) -> tensor<8x32xf32>
    attributes {config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 14, tile_n = 32, block_m = 8, block_n = 16>} {
  %e = tensor.empty() : tensor<8x32xf32>
  %y = linalg.generic {indexing_maps = [#rows, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%rows : tensor<8xi32>) outs(%e : tensor<8x32xf32>) {
    ^bb0(%r: i32, %o: f32):
      %row = arith.index_cast %r : i32 to index
      %j = linalg.index 1 : index
      %c16 = arith.constant 16 : index
      %c32 = arith.constant 32 : index
      %next = arith.addi %j, %c16 : index
      %wrapped = arith.remui %next, %c32 : index
      %a = tensor.extract %t[%row, %wrapped] : tensor<100x32xf32>
      linalg.yield %a : f32
  } -> tensor<8x32xf32>
  moe_kernel.return %y : tensor<8x32xf32>
}

// A table becomes a global of the kernel's own module; float64 has half as many lanes.
// CHECK-LABEL: moe_exec.kernel @angles
// CHECK:       memref.global "private" constant @angles.table0 : memref<8xf64> = dense<[
// CHECK:       func.func @angles
// CHECK:         memref.get_global @angles.table0 : memref<8xf64>
// CHECK:         math.cos {{.*}} : vector<8xf64>
moe_kernel.kernel @angles(%p: tensor<4xi32>) -> tensor<4x8xf32>
    attributes {config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 14, tile_n = 32, block_m = 4, block_n = 16>} {
  %table = arith.constant dense<[1.0, 0.5, 0.25, 0.125, 0.1, 0.01, 0.001, 0.0001]> : tensor<8xf64>
  %e = tensor.empty() : tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [#rows, affine_map<(i, j) -> (j)>, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%p, %table : tensor<4xi32>, tensor<8xf64>) outs(%e : tensor<4x8xf32>) {
    ^bb0(%a: i32, %b: f64, %o: f32):
      %x = arith.sitofp %a : i32 to f64
      %m = arith.mulf %x, %b : f64
      %c = math.cos %m : f64
      %r = arith.truncf %c : f64 to f32
      linalg.yield %r : f32
  } -> tensor<4x8xf32>
  moe_kernel.return %y : tensor<4x8xf32>
}
}

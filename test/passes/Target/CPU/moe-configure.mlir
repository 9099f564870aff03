// RUN: %moe-opt %s -moe-configure -split-input-file | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i) -> (i)>

// Wide vectors and 32 registers: tiles of 14 × 2 vectors; enough blocks of rows for many cores.
module attributes {moe.target = "cpu:x86-64-v4"} {
// CHECK-LABEL: moe_kernel.kernel @linear
// CHECK-SAME:    #moe_kernel.cpu_config<vector_width = 16, tile_m = 14, tile_n = 32, block_m = 28, block_n = 64>
moe_kernel.kernel @linear(%x: tensor<1024x128xf32>, %w: tensor<128x128xf32>) -> tensor<1024x128xf32> {
  %y = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x128xf32>, tensor<128x128xf32>) -> tensor<1024x128xf32> {
    ^bb0(%a: f32):
      moe_kernel.yield %a : f32
  }
  moe_kernel.return %y : tensor<1024x128xf32>
}

// Large: blocks limited by the second-level cache, not by the number of items.
// CHECK-LABEL: moe_kernel.kernel @large
// CHECK-SAME:    block_m = 504, block_n = 64>
moe_kernel.kernel @large(%x: tensor<8192x4096xf32>, %w: tensor<4096x4096xf32>) -> tensor<8192x4096xf32> {
  %y = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8192x4096xf32>, tensor<4096x4096xf32>) -> tensor<8192x4096xf32> {
    ^bb0(%a: f32):
      moe_kernel.yield %a : f32
  }
  moe_kernel.return %y : tensor<8192x4096xf32>
}

// A flat tensor: blocks of whole cache lines.
// CHECK-LABEL: moe_kernel.kernel @flat
// CHECK-SAME:    block_m = 21856,
moe_kernel.kernel @flat(%x: tensor<1024x1024xf32>) -> tensor<1024x1024xf32> {
  %e = tensor.empty() : tensor<1024x1024xf32>
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<1024x1024xf32>) outs(%e : tensor<1024x1024xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.negf %a : f32
      linalg.yield %r : f32
  } -> tensor<1024x1024xf32>
  moe_kernel.return %y : tensor<1024x1024xf32>
}

// Too little for two threads: one item.
// CHECK-LABEL: moe_kernel.kernel @little
// CHECK-SAME:    block_m = 128,
moe_kernel.kernel @little(%x: tensor<128xf32>) -> tensor<128xf32> {
  %e = tensor.empty() : tensor<128xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<128xf32>) outs(%e : tensor<128xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.negf %a : f32
      linalg.yield %r : f32
  } -> tensor<128xf32>
  moe_kernel.return %y : tensor<128xf32>
}
}

// -----

// Narrow vectors and 16 registers: tiles of 6 × 2 vectors.
module attributes {moe.target = "cpu:x86-64-v3"} {
// CHECK-LABEL: moe_kernel.kernel @linear
// CHECK-SAME:    #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16,
moe_kernel.kernel @linear(%x: tensor<1024x128xf32>, %w: tensor<128x128xf32>) -> tensor<1024x128xf32> {
  %y = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x128xf32>, tensor<128x128xf32>) -> tensor<1024x128xf32> {
    ^bb0(%a: f32):
      moe_kernel.yield %a : f32
  }
  moe_kernel.return %y : tensor<1024x128xf32>
}
}

// RUN: %moe-opt %s -moe-cpu-emit-kernels -split-input-file -verify-diagnostics

#i = affine_map<(i) -> (i)>

// expected-error @below {{has no #moe_kernel.cpu_config; the pass moe-configure sets it}}
moe_kernel.kernel @unconfigured(%x: tensor<8xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      linalg.yield %a : f32
  } -> tensor<8xf32>
  moe_kernel.return %y : tensor<8xf32>
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#cij = affine_map<(c, i, j) -> (c, i, j)>
#cj = affine_map<(c, i, j) -> (c, j)>

// A work item is whole chunks.
// expected-error @below {{has blocks of 8 rows, but adds up chunks of 16}}
moe_kernel.kernel @chunks(%x: tensor<64x32xf32>) -> (tensor<64x32xf32>, tensor<4x32xf32>)
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 8, block_n = 8>} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x32xf32>
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<64x32xf32>) outs(%e : tensor<64x32xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.negf %a : f32
      linalg.yield %r : f32
  } -> tensor<64x32xf32>
  %c = tensor.expand_shape %y [[0, 1], [2]] output_shape [4, 16, 32] : tensor<64x32xf32> into tensor<4x16x32xf32>
  %se = tensor.empty() : tensor<4x32xf32>
  %sf = linalg.fill ins(%zero : f32) outs(%se : tensor<4x32xf32>) -> tensor<4x32xf32>
  %s = linalg.generic {indexing_maps = [#cij, #cj], iterator_types = ["parallel", "reduction", "parallel"]}
      ins(%c : tensor<4x16x32xf32>) outs(%sf : tensor<4x32xf32>) attrs = {moe_kernel.accumulates} {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
  } -> tensor<4x32xf32>
  moe_kernel.return %y, %s : tensor<64x32xf32>, tensor<4x32xf32>
}

// -----

#i = affine_map<(i) -> (i)>

// What is written in place must not be read by a later op.
moe_kernel.kernel @late(%x: tensor<8xf32> {moe_kernel.tied = 0 : i64}) -> (tensor<8xf32>, tensor<8xf32>)
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 8, block_n = 8>} {
  %e = tensor.empty() : tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.negf %a : f32
      linalg.yield %r : f32
  } -> tensor<8xf32>
  // expected-error @below {{reads argument 0 of the kernel after its last element was written, but the kernel computes a result in its memory}}
  %z = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      linalg.yield %a : f32
  } -> tensor<8xf32>
  moe_kernel.return %y, %z : tensor<8xf32>, tensor<8xf32>
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>

// In place, an element must be read where it is written.
moe_kernel.kernel @transpose(%x: tensor<8x8xf32> {moe_kernel.tied = 0 : i64}) -> tensor<8x8xf32>
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 8, block_n = 8>} {
  %e = tensor.empty() : tensor<8x8xf32>
  // expected-error @below {{reads argument 0 of the kernel at other places than it writes}}
  %y = linalg.generic {indexing_maps = [#ji, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      linalg.yield %a : f32
  } -> tensor<8x8xf32>
  moe_kernel.return %y : tensor<8x8xf32>
}

// -----

#shifted = affine_map<(i) -> (i + 1)>
#i = affine_map<(i) -> (i)>

moe_kernel.kernel @shift(%x: tensor<9xf32>) -> tensor<8xf32>
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 8, block_n = 8>} {
  %e = tensor.empty() : tensor<8xf32>
  // expected-error @below {{operand 0 is not a tensor indexed by distinct loops, which is the only form supported}}
  %y = linalg.generic {indexing_maps = [#shifted, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<9xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      linalg.yield %a : f32
  } -> tensor<8xf32>
  moe_kernel.return %y : tensor<8xf32>
}

// -----

#i = affine_map<(i) -> (i)>

moe_kernel.kernel @uninitialized(%x: tensor<8xf32>) -> tensor<8xf32>
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 8, block_n = 8>} {
  %e = tensor.empty() : tensor<8xf32>
  // expected-error @below {{reads operand 1, which is a tensor.empty}}
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %a, %o : f32
      linalg.yield %r : f32
  } -> tensor<8xf32>
  moe_kernel.return %y : tensor<8xf32>
}

// -----

#i = affine_map<(i) -> (i)>

// expected-error @below {{result 0 is not the result of a linalg.generic of its own}}
moe_kernel.kernel @same(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>)
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 8, block_n = 8>} {
  %e = tensor.empty() : tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      linalg.yield %a : f32
  } -> tensor<8xf32>
  moe_kernel.return %x, %y : tensor<8xf32>, tensor<8xf32>
}

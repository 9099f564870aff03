// RUN: moe-opt %s --moe-cuda-emit-kernels --split-input-file --verify-diagnostics

#i = affine_map<(i) -> (i)>

// expected-error @below {{has no #moe_kernel.cuda_config; the pass moe-configure sets it}}
moe_kernel.kernel @unconfigured(%x: tensor<64xf32>) -> tensor<64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.negf %a : f32
      linalg.yield %r : f32
  } -> tensor<64xf32>
  moe_kernel.return %y : tensor<64xf32>
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#cij = affine_map<(c, i, j) -> (c, i, j)>
#cj = affine_map<(c, i, j) -> (c, j)>
#config = #moe_kernel.cuda_config<threads = 32, tile_m = 32, tile_n = 32, tile_k = 1, stages = 1>

// A thread would keep 32 sums for a row of its own.
// expected-error @below {{adds up chunks of rows in memory, so that a block has one row at a time, not 32}}
moe_kernel.kernel @chunks(%x: tensor<64x32xf32>) -> (tensor<64x32xf32>, tensor<4x32xf32>)
    attributes {config = #config} {
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

#config = #moe_kernel.cuda_config<threads = 64, tile_m = 1, tile_n = 32, tile_k = 3, stages = 1>

// expected-error @below {{is configured for 3 parts of reductions with 64 threads and 32 of 64 columns; parts share threads evenly, and blocks columns}}
moe_kernel.kernel @parts(%x: tensor<16x64xf32>) -> tensor<64xf32> attributes {config = #config} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(j, i) -> (i, j)>, affine_map<(j, i) -> (j)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<16x64xf32>) outs(%f : tensor<64xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
  } -> tensor<64xf32>
  moe_kernel.return %s : tensor<64xf32>
}

// -----

#i = affine_map<(i) -> (i)>
#config = #moe_kernel.cuda_config<threads = 96, tile_m = 1, tile_n = 96, tile_k = 1, stages = 1>

// Threads meet in trees, so a row takes a power of two of them.
// expected-error @below {{is configured for 1 rows and 96 columns with 96 threads; a row takes a power of two of threads within a warp, or a whole block, and a thread 1, 2 or 4 columns, or 8 where tensors are of bf16}}
moe_kernel.kernel @threads(%x: tensor<96xf32>) -> tensor<96xf32> attributes {config = #config} {
  %e = tensor.empty() : tensor<96xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<96xf32>) outs(%e : tensor<96xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.negf %a : f32
      linalg.yield %r : f32
  } -> tensor<96xf32>
  moe_kernel.return %y : tensor<96xf32>
}

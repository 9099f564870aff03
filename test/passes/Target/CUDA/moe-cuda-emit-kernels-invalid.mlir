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

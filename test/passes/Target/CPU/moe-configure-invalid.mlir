// RUN: %moe-opt %s -moe-configure -split-input-file -verify-diagnostics

#i = affine_map<(i) -> (i)>

module attributes {moe.target = "cpu:x86-64-v3"} {
// expected-error @below {{argument 0 has elements of type 'f16', but the CPU target has kernels of this kind for f32, bf16 and i32, f64 and i64 only}}
moe_kernel.kernel @half(%x: tensor<8xf16>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf16>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f16, %o: f32):
      %r = arith.extf %a : f16 to f32
      linalg.yield %r : f32
  } -> tensor<8xf32>
  moe_kernel.return %y : tensor<8xf32>
}
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>

// An op that reads other rows than the one before it computed keeps the whole tensor, in every thread.
module attributes {moe.target = "cpu:x86-64-v3"} {
// expected-error @below {{keeps 268435456 bytes of each of its 1 rows between its ops, but a thread has 67108864; make it several kernels}}
moe_kernel.kernel @huge(%x: tensor<8192x8192xf32>) -> tensor<8192x8192xf32> {
  %e = tensor.empty() : tensor<8192x8192xf32>
  %a = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8192x8192xf32>) outs(%e : tensor<8192x8192xf32>) {
    ^bb0(%v: f32, %o: f32):
      %r = arith.negf %v : f32
      linalg.yield %r : f32
  } -> tensor<8192x8192xf32>
  %y = linalg.generic {indexing_maps = [#ji, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<8192x8192xf32>) outs(%e : tensor<8192x8192xf32>) {
    ^bb0(%v: f32, %o: f32):
      linalg.yield %v : f32
  } -> tensor<8192x8192xf32>
  moe_kernel.return %y : tensor<8192x8192xf32>
}
}

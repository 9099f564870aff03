// RUN: %moe-opt %s -moe-configure -moe-cpu-emit-kernels | FileCheck %s

// The compulsory bytes of a kernel, which a benchmark compares its time with.

#i = affine_map<(i) -> (i)>
#ij = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

module attributes {moe.target = "cpu:x86-64-v3"} {

// What is computed in place is read and written, 2 · 400 bytes, but what is only overwritten is written: 200.
// CHECK-LABEL: moe_exec.kernel @update
// CHECK-SAME:  bytes = 1000 : i64
moe_kernel.kernel @update(%old: tensor<100xbf16> {moe_kernel.tied = 0 : i64},
                          %master: tensor<100xf32> {moe_kernel.tied = 1 : i64}) -> (tensor<100xbf16>, tensor<100xf32>) {
  %e0 = tensor.empty() : tensor<100xbf16>
  %e1 = tensor.empty() : tensor<100xf32>
  %new:2 = linalg.generic {indexing_maps = [#i, #i, #i, #i], iterator_types = ["parallel"]}
      ins(%old, %master : tensor<100xbf16>, tensor<100xf32>) outs(%e0, %e1 : tensor<100xbf16>, tensor<100xf32>) {
    ^bb0(%o: bf16, %m: f32, %a: bf16, %b: f32):
      %sum = arith.addf %m, %m : f32
      %rounded = arith.truncf %sum : f32 to bf16
      linalg.yield %rounded, %sum : bf16, f32
  } -> (tensor<100xbf16>, tensor<100xf32>)
  moe_kernel.return %new#0, %new#1 : tensor<100xbf16>, tensor<100xf32>
}

// Of a cache no more is touched than the rows that are written: 2 · 16 + 4 bytes.
// CHECK-LABEL: moe_exec.kernel @append
// CHECK-SAME:  bytes = 36 : i64
moe_kernel.kernel @append(%c: tensor<1x8x4xf32> {moe_kernel.tied = 0 : i64}, %x: tensor<1x4xf32>, %p: tensor<1x1xi32>) -> tensor<1x8x4xf32> {
  %0 = moe_kernel.cache_append %c, %x, %p : (tensor<1x8x4xf32>, tensor<1x4xf32>, tensor<1x1xi32>) -> tensor<1x8x4xf32>
  moe_kernel.return %0 : tensor<1x8x4xf32>
}

// Three rows of a table of a thousand: 3 · (4 + 2 · 32) bytes.
// CHECK-LABEL: moe_exec.kernel @gather
// CHECK-SAME:  bytes = 204 : i64
moe_kernel.kernel @gather(%table: tensor<1000x8xf32>, %rows: tensor<3xi32>) -> tensor<3x8xf32> {
  %e = tensor.empty() : tensor<3x8xf32>
  %r = linalg.generic {indexing_maps = [#row, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%rows : tensor<3xi32>) outs(%e : tensor<3x8xf32>) {
    ^bb0(%n: i32, %o: f32):
      %i = arith.index_cast %n : i32 to index
      %j = linalg.index 1 : index
      %v = tensor.extract %table[%i, %j] : tensor<1000x8xf32>
      linalg.yield %v : f32
  } -> tensor<3x8xf32>
  moe_kernel.return %r : tensor<3x8xf32>
}

}

// RUN: moe-opt %s --moe-cuda-emit-kernels | FileCheck %s
// RUN: rm -rf %t && moe-opt %s --moe-cuda-codegen="dump-to=%t" -o /dev/null && FileCheck %s --check-prefix=PTX < %t/sums.ptx

#row = affine_map<(d0, d1) -> (d0, d1)>
#first = affine_map<(d0, d1) -> (d0)>

module attributes {moe.target = "cuda:sm_90a"} {

// Blocks 0 and 1 have the rows of the first kernel, block 2 the row of the second one. Code and counters are the first
// kernel's own wherever it is launched; of a kernel that is launched only here there is no other code.
// CHECK-NOT: moe_exec.kernel @sum_1
// CHECK-LABEL: moe_exec.kernel @sums in @cuda
// CHECK-SAME: block = array<i64: 256, 1, 1>
// CHECK-SAME: bytes = 12300 : i64
// CHECK-SAME: grid = array<i64: 3, 1, 1>
// CHECK: gpu.func @sums(%[[X:.*]]: memref<2x1024xf32>, %[[Y:.*]]: memref<1x1024xf32>, %[[A:.*]]: memref<2xf32>, %[[B:.*]]: memref<1xf32>)
// CHECK-DAG: %[[BLOCK:.*]] = gpu.block_id x
// CHECK-DAG: %[[THREAD:.*]] = gpu.thread_id x
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2 : index
// CHECK: %[[FIRST:.*]] = arith.cmpi ult, %[[BLOCK]], %[[TWO]]
// CHECK: %[[HALF:.*]] = arith.cmpi ult, %[[THREAD]], %{{.*}}
// CHECK: %[[HERE:.*]] = arith.andi %[[FIRST]], %[[HALF]]
// CHECK: scf.if %[[HERE]] {
// CHECK: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
// CHECK: nvvm.barrier id = %{{.*}} number_of_threads = %{{.*}}
// CHECK: %[[NUMBER:.*]] = arith.subi %[[BLOCK]], %{{.*}}
// CHECK: %[[SECOND:.*]] = arith.cmpi ult, %[[NUMBER]], %{{.*}}
// CHECK: scf.if %[[SECOND]] {
// CHECK: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
// CHECK: gpu.barrier
// CHECK: gpu.return
// CHECK-LABEL: moe_exec.kernel @sum_2 in @cuda
// CHECK-SAME: grid = array<i64: 2, 1, 1>

// Only the threads that the first kernel has wait for each other.
// PTX: .entry sums(
// PTX: .reqntid 256, 1, 1
// PTX: bar.sync {{.*}}0, 128;
// PTX: bar.sync {{.*}}0;
moe_kernel.kernel @sums(%x: tensor<2x1024xf32>, %y: tensor<1x1024xf32>) -> (tensor<2xf32>, tensor<1xf32>) {
  %0 = moe_kernel.launch @sum_2(%x) : (tensor<2x1024xf32>) -> tensor<2xf32>
  %1 = moe_kernel.launch @sum_1(%y) : (tensor<1x1024xf32>) -> tensor<1xf32>
  moe_kernel.return %0, %1 : tensor<2xf32>, tensor<1xf32>
}
moe_kernel.kernel @sum_2(%x: tensor<2x1024xf32>) -> tensor<2xf32> attributes {
    config = #moe_kernel.cuda_config<threads = 128, tile_m = 1, tile_n = 512, tile_k = 1, stages = 1>} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<2xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<2xf32>) -> tensor<2xf32>
  %0 = linalg.generic {indexing_maps = [#row, #first], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<2x1024xf32>) outs(%init : tensor<2xf32>) {
  ^bb0(%in: f32, %sum: f32):
    %next = arith.addf %sum, %in : f32
    linalg.yield %next : f32
  } -> tensor<2xf32>
  moe_kernel.return %0 : tensor<2xf32>
}
moe_kernel.kernel @sum_1(%x: tensor<1x1024xf32>) -> tensor<1xf32> attributes {
    config = #moe_kernel.cuda_config<threads = 256, tile_m = 1, tile_n = 1024, tile_k = 1, stages = 1>} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1xf32>) -> tensor<1xf32>
  %0 = linalg.generic {indexing_maps = [#row, #first], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<1x1024xf32>) outs(%init : tensor<1xf32>) {
  ^bb0(%in: f32, %sum: f32):
    %next = arith.addf %sum, %in : f32
    linalg.yield %next : f32
  } -> tensor<1xf32>
  moe_kernel.return %0 : tensor<1xf32>
}
moe_exec.program @run workspace(0) inputs(["x"] : [tensor<2x1024xf32>]) outputs(["a"] : [tensor<2xf32>]) {
  moe_exec.launch @sum_2(input 0[0 : 8192]) -> (output 0[0 : 8])
}
}

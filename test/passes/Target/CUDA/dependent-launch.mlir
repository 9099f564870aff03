// RUN: moe-opt %s --split-input-file --moe-configure --moe-cuda-emit-kernels | FileCheck %s

#row = affine_map<(d0, d1) -> (d0, d1)>

// Everything that touches global memory comes after the wait, and the next kernel is let in after it too.
// CHECK-LABEL: moe_exec.kernel @double in @cuda
// CHECK-SAME: dependent_launch
// CHECK: gpu.func @double
// CHECK-NOT: memref.load
// CHECK-NOT: vector.{{.*}}load
// CHECK: llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.wait;", "~{memory}"
// CHECK-NEXT: llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.launch_dependents;", "~{memory}"
// CHECK: load
module attributes {moe.target = "cuda:sm_90a"} {
  moe_kernel.kernel @double(%x: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %empty = tensor.empty() : tensor<64x128xf32>
    %0 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%x : tensor<64x128xf32>) outs(%empty : tensor<64x128xf32>) {
    ^bb0(%in: f32, %out: f32):
      %sum = arith.addf %in, %in : f32
      linalg.yield %sum : f32
    } -> tensor<64x128xf32>
    moe_kernel.return %0 : tensor<64x128xf32>
  }
}

// -----

#row = affine_map<(d0, d1) -> (d0, d1)>

// Older GPUs do not know it.
// CHECK-LABEL: moe_exec.kernel @double in @cuda
// CHECK-NOT: dependent_launch
// CHECK-NOT: griddepcontrol
module attributes {moe.target = "cuda:sm_80"} {
  moe_kernel.kernel @double(%x: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %empty = tensor.empty() : tensor<64x128xf32>
    %0 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%x : tensor<64x128xf32>) outs(%empty : tensor<64x128xf32>) {
    ^bb0(%in: f32, %out: f32):
      %sum = arith.addf %in, %in : f32
      linalg.yield %sum : f32
    } -> tensor<64x128xf32>
    moe_kernel.return %0 : tensor<64x128xf32>
  }
}

// -----

// A block that fills a multiprocessor waits too, and lets the next kernel in, but is not launched early itself.
// CHECK-LABEL: moe_exec.kernel @product in @cuda
// CHECK-NOT: dependent_launch
// CHECK: gpu.func @product
// CHECK: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
module attributes {moe.target = "cuda:sm_90a"} {
  moe_kernel.kernel @product(%a: tensor<4096x2048xbf16>, %b: tensor<4096x2048xbf16>) -> tensor<4096x4096xbf16> {
    %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
        : (tensor<4096x2048xbf16>, tensor<4096x2048xbf16>) -> tensor<4096x4096xbf16> {
      ^bb0(%x: f32):
        %rounded = arith.truncf %x : f32 to bf16
        moe_kernel.yield %rounded : bf16
    }
    moe_kernel.return %r : tensor<4096x4096xbf16>
  }
}

// RUN: %moe-opt %s -moe-cpu-codegen="dump-to=%t" -o %t.first.mlir
// RUN: FileCheck %s --input-file %t.first.mlir
// RUN: FileCheck %s --check-prefix=ASM --input-file %t/grow.s
// RUN: FileCheck %s --check-prefix=LLVM --input-file %t/grow.ll
// RUN: %moe-opt %s -moe-cpu-codegen -mlir-disable-threading -o %t.second.mlir
// RUN: cmp %t.first.mlir %t.second.mlir

// One object for all kernels, with the features that its loader has to check; the same bytes on any number of threads.
// CHECK:      moe_exec.object @cpu "elf" for "cpu" "x86-64-v3"
// CHECK-SAME:   data = "\7FELF
// CHECK-SAME:   features = ["avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"]
// CHECK:      moe_exec.kernel @grow in @cpu
// CHECK:      moe_exec.kernel @shrink in @cpu
// CHECK-NOT:  moe_kernel.kernel
// CHECK-NOT:  func

// LLVM:      define internal void @grow.body(ptr noalias align 64 %{{.*}}, ptr noalias align 64
// LLVM-NOT:  declare{{.*}}@exp

// ASM-LABEL: grow.body:
// ASM-NOT:   call
// ASM:       vfmadd{{.*}}ymm
// ASM-LABEL: grow:
// ASM:       {{call|jmp}}{{q?}}{{[[:space:]]+}}grow.body

#i = affine_map<(i) -> (i)>
module attributes {moe.target = "cpu:x86-64-v3"} {
  moe_kernel.kernel @grow(%x: tensor<100xf32>) -> tensor<100xf32>
      attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 64, block_n = 8>} {
    %e = tensor.empty() : tensor<100xf32>
    %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
        ins(%x : tensor<100xf32>) outs(%e : tensor<100xf32>) {
      ^bb0(%a: f32, %o: f32):
        %r = math.exp %a : f32
        linalg.yield %r : f32
    } -> tensor<100xf32>
    moe_kernel.return %y : tensor<100xf32>
  }
  moe_kernel.kernel @shrink(%x: tensor<100xf32>) -> tensor<100xf32>
      attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 64, block_n = 8>} {
    %e = tensor.empty() : tensor<100xf32>
    %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
        ins(%x : tensor<100xf32>) outs(%e : tensor<100xf32>) {
      ^bb0(%a: f32, %o: f32):
        %r = math.log %a : f32
        linalg.yield %r : f32
    } -> tensor<100xf32>
    moe_kernel.return %y : tensor<100xf32>
  }
}

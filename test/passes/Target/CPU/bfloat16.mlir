// bf16 in memory: the code that reads it shifts, the code that writes it rounds by integer operations. No library has to
// convert, with or without the processor's instructions for it, which flush subnormal numbers.
//
// RUN: rm -rf %t && moe-opt %s --moe-cpu-emit-kernels | FileCheck %s
// RUN: moe-opt %s --moe-cpu-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s --check-prefix=LLVM --input-file=%t/residual.ll
// RUN: FileCheck %s --check-prefix=ASM --input-file=%t/residual.s

module attributes {moe.target = "cpu:x86-64-v3"} {

// CHECK-LABEL: func.func @residual(
// CHECK-SAME: memref<37x20xbf16>
// CHECK: vector.maskedload {{.*}} : memref<740xbf16>, vector<8xi1>, vector<8xbf16>
// CHECK: arith.extf {{.*}} : vector<8xbf16> to vector<8xf32>
// CHECK: vector.fma {{.*}} : vector<8xf32>
// CHECK: arith.truncf {{.*}} : vector<8xf32> to vector<8xbf16>
// LLVM-NOT: bfloat
// ASM-NOT: truncsfbf2
// ASM-NOT: vcvtneps2bf16
moe_kernel.kernel @residual(%a: tensor<37x20xbf16>, %b: tensor<45x20xbf16>,
                            %x: tensor<37x45xbf16> {moe_kernel.tied = 0 : i64}) -> tensor<37x45xbf16>
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 4, tile_n = 24, block_m = 32, block_n = 48>} {
  %r = moe_kernel.matmul dense (%a, %b) extras(%x)
      {transpose_rhs, extra_extents = [#moe_kernel.extent<full>], result_extents = [#moe_kernel.extent<full>]}
      : (tensor<37x20xbf16>, tensor<45x20xbf16>, tensor<37x45xbf16>) -> tensor<37x45xbf16> {
    ^bb0(%sum: f32, %old: bf16):
      %wide = arith.extf %old : bf16 to f32
      %new = arith.addf %sum, %wide : f32
      %rounded = arith.truncf %new : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<37x45xbf16>
}
}

// RUN: %moe-opt %s --pass-pipeline='builtin.module(gpu.module(moe-cuda-lower-kernel))' | FileCheck %s

// Pointers of a kernel are tensor maps: 128 bytes by value, which must not be copied. Memrefs are buffers.
// CHECK: llvm.func @load(%{{.*}}: !llvm.ptr {llvm.align = 256 : i64, llvm.noalias},
// CHECK-SAME: %{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant})
// CHECK-SAME: nvvm.kernel
gpu.module @code {
  gpu.func @load(%buffer: memref<64xbf16>, %map: !llvm.ptr) kernel attributes {known_block_size = array<i32: 384, 1, 1>} {
    nvvm.prefetch tensormap, %map : !llvm.ptr
    gpu.return
  }
}

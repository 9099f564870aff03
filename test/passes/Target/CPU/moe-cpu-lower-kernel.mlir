// RUN: %moe-opt %s -pass-pipeline="builtin.module(builtin.module(moe-cpu-lower-kernel))" | FileCheck %s

module {

// The entry point loads the pointers of include/moe/CpuKernel.h and calls the body, whose memory does not alias. There is no
// libm: exp is made of fused multiply-adds, and a product that is only added becomes one.
// CHECK:       llvm.func internal @grow.body(%{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.noalias}, %{{.*}}: !llvm.ptr {{{.*}}llvm.noalias}, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr)
// CHECK-SAME:    no_inline
// CHECK-NOT:     llvm.call
// CHECK-NOT:     llvm.fmul{{.*}}llvm.fadd
// CHECK:         llvm.intr.fma
// CHECK:         llvm.return
// CHECK:       llvm.func @grow(%[[BUFFERS:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64, %[[SCRATCH:.*]]: !llvm.ptr)
// CHECK:         %[[AT0:.*]] = llvm.getelementptr %[[BUFFERS]][0]
// CHECK:         %[[BUFFER0:.*]] = llvm.load %[[AT0]]
// CHECK:         %[[AT2:.*]] = llvm.getelementptr %[[BUFFERS]][2]
// CHECK:         %[[BUFFER2:.*]] = llvm.load %[[AT2]]
// CHECK:         llvm.call @grow.body(%[[BUFFER0]], %[[BUFFER2]], %[[BEGIN]], %[[END]], %[[SCRATCH]])
module {
  func.func @grow(%x: memref<64xf32> {llvm.align = 64 : i64, llvm.noalias}, %y: memref<64xf32> {llvm.align = 64 : i64, llvm.noalias},
                  %begin: index, %end: index, %scratch: memref<0xi8>) attributes {moe_kernel.buffers = array<i64: 0, 2>} {
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %factor = arith.constant dense<1.5> : vector<8xf32>
    scf.for %item = %begin to %end step %c1 {
      %at = arith.muli %item, %c8 : index
      %a = vector.load %x[%at] : memref<64xf32>, vector<8xf32>
      %m = arith.mulf %a, %factor : vector<8xf32>
      %s = arith.addf %m, %a : vector<8xf32>
      %e = math.exp %s : vector<8xf32>
      vector.store %e, %y[%at] : memref<64xf32>, vector<8xf32>
    }
    return
  }
}

// A product that something else needs too stays a product.
// CHECK:       llvm.func internal @shared.body
// CHECK:         llvm.fmul
// CHECK:         llvm.fadd
module {
  func.func @shared(%x: memref<2xf32>, %begin: index, %end: index, %scratch: memref<0xi8>)
      attributes {moe_kernel.buffers = array<i64: 0>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %a = memref.load %x[%c0] : memref<2xf32>
    %m = arith.mulf %a, %a : f32
    %s = arith.addf %m, %a : f32
    memref.store %m, %x[%c0] : memref<2xf32>
    memref.store %s, %x[%c1] : memref<2xf32>
    return
  }
}
}

// RUN: %moe-opt %s -pass-pipeline="builtin.module(builtin.module(moe-cpu-lower-kernel))" -split-input-file -verify-diagnostics

module {
  module {
    func.func @f(%x: memref<1xf32>, %begin: index, %end: index, %scratch: memref<0xi8>)
        attributes {moe_kernel.buffers = array<i64: 0>} {
      %c0 = arith.constant 0 : index
      %a = memref.load %x[%c0] : memref<1xf32>
      // expected-error @below {{has no expansion; there are exp, log, sin, cos and rsqrt of f32 and f64}}
      %t = math.tanh %a : f32
      memref.store %t, %x[%c0] : memref<1xf32>
      return
    }
  }
}

// -----

module {
  module {
    // expected-error @below {{has no 'moe_kernel.buffers'; the pass moe-cpu-emit-kernels sets it}}
    func.func @f(%x: memref<1xf32>) {
      return
    }
  }
}

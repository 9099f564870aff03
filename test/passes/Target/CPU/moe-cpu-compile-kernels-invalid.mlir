// RUN: %moe-opt %s -moe-cpu-compile-kernels -split-input-file -verify-diagnostics

// Nothing may be left to a library.
// expected-error @below {{undefined symbol: sinh}}
module attributes {moe.target = "cpu:x86-64-v3"} {
  module {
    llvm.func @sinh(f64) -> f64
    llvm.func @f(%x: f64) -> f64 {
      %y = llvm.call @sinh(%x) : (f64) -> f64
      llvm.return %y : f64
    }
  }
}

// -----

// expected-error @below {{unknown CPU 'z80'; some that are known: host, x86-64-v3}}
module attributes {moe.target = "cpu:z80"} {
}

// -----

// expected-error @below {{CPU 'x86-64-v2' has no avx2, which kernels need; the least capable CPU supported is x86-64-v3}}
module attributes {moe.target = "cpu:x86-64-v2"} {
}

// -----

// expected-error @below {{is compiled for 'abacus:wood', not for cpu}}
module attributes {moe.target = "abacus:wood"} {
}

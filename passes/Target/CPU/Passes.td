//===- Passes.td - Code generation for the CPU -------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_PASSES_TD
#define PASSES_TARGET_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def CPUEmitKernelsPass : Pass<"moe-cpu-emit-kernels", "::mlir::ModuleOp"> {
  let summary = "Write each configured kernel as a loop nest over its work items";
  let description = [{
    Every `moe_kernel.kernel` becomes a `moe_exec.kernel` with its launch geometry and a nested module that holds its
    code (and the constants it uses), a function of work items [begin, end) as passes/Target/CPU/Emitter.h describes:

    ```mlir
    moe_kernel.kernel @scale(%x: tensor<64x128xf32>) -> tensor<64x128xf32>
        attributes {config = #moe_kernel.cpu_config<...>}
    ```
    becomes
    ```mlir
    moe_exec.kernel @scale in @cpu {grid = array<i64: 8, 1, 1>, scratch_bytes = 0 : i64, ...}
    module {
      func.func @scale(%x: memref<64x128xf32>, %result: memref<64x128xf32>, %begin: index, %end: index,
                       %scratch: memref<0xi8>)
    }
    ```
    A result that is computed in place has no parameter of its own: it is its argument's.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::ub::UBDialect",
    "::mlir::vector::VectorDialect", "::mlir::moe_exec::MoEExecDialect"];
}

def CPULowerKernelPass : Pass<"moe-cpu-lower-kernel", "::mlir::ModuleOp"> {
  let summary = "Lower a kernel's loop nest to the LLVM dialect and add its entry point";
  let description = [{
    Expands math to polynomials (nothing calls libm), forms fused multiply-adds, and lowers to the LLVM dialect with
    bare pointers. The body becomes the internal function `@<kernel>.body`; `@<kernel>` is the entry point of
    include/moe/CpuKernel.h, which loads the buffers' pointers and calls it.

    Floating point is never reassociated and products are fused into sums here and nowhere later, so the bits do not
    depend on what LLVM unrolls or vectorises.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"];
}

def CPUCompileKernelsPass : Pass<"moe-cpu-compile-kernels", "::mlir::ModuleOp"> {
  let summary = "Compile the kernels' modules with LLVM and link them into one moe_exec.object";
  let description = [{
    The nested modules are compiled on all threads of the context, each by itself, so that the object does not depend on
    their number; lld links them into an ELF shared object without dependencies.
  }];
  let options = [
    Option<"dumpTo", "dump-to", "std::string", /*default=*/"\"\"",
           "Write <kernel>.ll, <kernel>.opt.ll and <kernel>.s of every kernel into this folder">];
  let dependentDialects = ["::mlir::moe_exec::MoEExecDialect", "::mlir::LLVM::LLVMDialect"];
}

#endif // PASSES_TARGET_CPU_PASSES_TD

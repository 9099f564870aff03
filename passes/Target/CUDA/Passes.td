//===- Passes.td - Code generation for NVIDIA GPUs ----------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_PASSES_TD
#define PASSES_TARGET_CUDA_PASSES_TD

include "mlir/Pass/PassBase.td"

def CUDAEmitKernelsPass : Pass<"moe-cuda-emit-kernels", "::mlir::ModuleOp"> {
  let summary = "Write each configured kernel as a GPU function";
  let description = [{
    Every `moe_kernel.kernel` becomes a `moe_exec.kernel` with its launch geometry and a nested module that holds its
    code as passes/Target/CUDA/Emitter.h describes:

    ```mlir
    moe_kernel.kernel @scale(%x: tensor<64x128xf32>) -> tensor<64x128xf32> attributes {config = #moe_kernel.cuda_config<...>}
    ```
    becomes
    ```mlir
    moe_exec.kernel @scale in @cuda {grid = array<i64: 8, 1, 1>, block = array<i64: 256, 1, 1>, shared_bytes = 0 : i64, ...}
    module {
      gpu.module @code {
        gpu.func @scale(%x: memref<64x128xf32>, %result: memref<64x128xf32>) kernel
      }
    }
    ```
    A function has one parameter for every operand and every result. Of a result that is computed in place the parameter
    is not used: it is its operand's.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::nvgpu::NVGPUDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect", "::mlir::moe_exec::MoEExecDialect"];
}

def CUDALowerKernelPass : Pass<"moe-cuda-lower-kernel", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Lower a GPU function to the LLVM and NVVM dialects";
  let description = [{
    Expands math to polynomials (there is no libdevice), forms fused multiply-adds, and lowers to the LLVM dialect with
    bare pointers. Floating point is never reassociated, and products are fused into sums here and nowhere later.
    Dynamic shared memory becomes the external symbol `<kernel>$shared`.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"];
}

def CUDACompileKernelsPass : Pass<"moe-cuda-compile-kernels", "::mlir::ModuleOp"> {
  let summary = "Compile the kernels' modules to one PTX module, and to machine code where ptxas is";
  let description = [{
    The nested modules are compiled on all threads of the context, each by itself, so that the PTX does not depend on
    their number, and become one `moe_exec.object` of kind `ptx`. Where NVIDIA's assembler is found (on the PATH, or in
    /usr/local/cuda/bin) it makes a second one of kind `cubin` for the same architecture. A kernel that spills
    registers to memory gets a warning; what each of them takes is in `ptxas.txt` of `dump-to`.
  }];
  let options = [
    Option<"dumpTo", "dump-to", "std::string", /*default=*/"\"\"",
           "Write <kernel>.ll, <kernel>.opt.ll, <kernel>.ptx and ptxas.txt into this folder">,
    Option<"assemble", "assemble", "bool", /*default=*/"true", "Run ptxas if it is found">];
  let dependentDialects = ["::mlir::moe_exec::MoEExecDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect"];
}

#endif // PASSES_TARGET_CUDA_PASSES_TD

//===- Ptx.h - From LLVM dialect to PTX and machine code --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_PTX_H
#define PASSES_TARGET_CUDA_PTX_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "passes/Target/CUDA/Capabilities.h"

namespace mlir::moe::cuda {

/// Compiles a module in the LLVM and NVVM dialects to PTX. If `dumpPrefix` is not empty, writes <dumpPrefix>.ll,
/// .opt.ll and .ptx. Safe to run on several modules at once. Errors are emitted on the module.
FailureOr<std::string> compileToPtx(gpu::GPUModuleOp module, const Capabilities &capabilities, StringRef dumpPrefix);

/// One PTX module of several for the same architecture, whose symbols differ: their declarations under one header.
std::string mergePtx(ArrayRef<std::string> modules);

/// What ptxas says of one kernel.
struct KernelResources {
  std::string name;
  int64_t registers = 0;
  int64_t stackBytes = 0; ///< Local memory: spilled registers and arrays.
  int64_t spillBytes = 0; ///< Bytes stored and loaded.
  /// What it says about wgmma and setmaxnreg, messages C75xx: each means that warpgroup matmuls wait for one another.
  SmallVector<std::string> remarks;
};

/// A cubin and ptxas's account of it.
struct MachineCode {
  std::string cubin;
  std::string log;
  SmallVector<KernelResources> kernels;
};

SmallVector<KernelResources> parseAssemblerLog(StringRef log);

/// The path of NVIDIA's assembler: on the PATH, else in /usr/local/cuda/bin; "" if there is none.
std::string findAssembler();

/// Assembles `ptx` for `arch` with the assembler at `path`. Errors, which quote it, go to `emitError`.
FailureOr<MachineCode> assemble(StringRef path, StringRef ptx, StringRef arch,
                                function_ref<InFlightDiagnostic()> emitError);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_PTX_H

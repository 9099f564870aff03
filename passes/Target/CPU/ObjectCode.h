//===- ObjectCode.h - From LLVM dialect to a shared object ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_OBJECTCODE_H
#define PASSES_TARGET_CPU_OBJECTCODE_H

#include "mlir/IR/BuiltinOps.h"
#include "passes/Target/CPU/Capabilities.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir::moe::cpu {

/// The bytes of an object file or a shared object.
using ObjectCode = llvm::SmallVector<char, 0>;

/// Compiles a module in the LLVM dialect to a relocatable object. It calls no library, except memcpy, memmove and
/// memset where LLVM insists. If `dumpPrefix` is not empty, writes <dumpPrefix>.ll, .opt.ll and .s. Safe to run on
/// several modules at once. Errors are emitted on the module.
FailureOr<ObjectCode> compile(ModuleOp module, const Capabilities &capabilities, StringRef dumpPrefix);

/// An object with memcpy, memmove and memset, visible only to the objects it is linked with.
FailureOr<ObjectCode> compileSupport(const Capabilities &capabilities, function_ref<InFlightDiagnostic()> emitError);

/// Links objects into an ELF shared object without dependencies; the same objects give the same bytes. Errors (an
/// undefined symbol) go to `emitError`.
FailureOr<ObjectCode> link(ArrayRef<ObjectCode> objects, function_ref<InFlightDiagnostic()> emitError);

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_OBJECTCODE_H

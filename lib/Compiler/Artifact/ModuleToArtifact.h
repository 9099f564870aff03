//===- ModuleToArtifact.h - A compiled module as an artifact file -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_ARTIFACT_MODULETOARTIFACT_H
#define LIB_COMPILER_ARTIFACT_MODULETOARTIFACT_H

#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "runtime/format/artifact_generated.h"

#include "mlir/IR/BuiltinOps.h"
#include <cstddef>
#include <vector>

namespace mlir::moe {

/// Serialises a module after the stage `codegen`: its moe.variables, moe_exec.programs, kernels and objects, as they
/// stand. `description` is the text that was compiled. Emits an error and fails if the module lacks something or the
/// result would not load.
FailureOr<std::vector<std::byte>> moduleToArtifact(ModuleOp module, llvm::StringRef description);

/// The entry of the artifact for a tensor map, whose element type artifacts can hold.
::moe::format::TensorMapT toArtifact(moe_exec::TensorMapAttr map);

/// Writes an artifact to `path`: there is the old file or the whole new one at any moment. Errors name the path.
LogicalResult writeArtifact(llvm::StringRef path, llvm::ArrayRef<std::byte> bytes,
                            function_ref<InFlightDiagnostic()> emitError);

} // namespace mlir::moe

#endif // LIB_COMPILER_ARTIFACT_MODULETOARTIFACT_H

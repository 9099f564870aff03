//===- ProgramText.h - Instructions in words --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_PROGRAMTEXT_H
#define LIB_ENGINE_REPORT_PROGRAMTEXT_H

#include "runtime/format/artifact_generated.h"

#include <string>
#include <vector>

namespace moe::engine {

/// All buffers that an instruction reads or writes, in its order.
std::vector<const format::BufferRef *> referencedBuffers(const format::Instruction &instruction);

/// How often each kernel is launched, summed over the entry points.
std::vector<std::size_t> countLaunches(const format::Artifact &artifact);

/// The kernel's name, "copy" or "fill".
std::string operationName(const format::Artifact &artifact, const format::Instruction &instruction);

/// "launch @matmul(model.norm.weight, %1024:4096) -> (@logits)": variables by name, ports as @name, the workspace as
/// %offset:size; a part of a variable or port as name[offset:size].
std::string instructionText(const format::Artifact &artifact, const format::EntryPoint &entry,
                            const format::Instruction &instruction);

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_PROGRAMTEXT_H

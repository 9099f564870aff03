//===- Validate.h - Is an artifact's table meaningful? ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_FORMAT_VALIDATE_H
#define MOE_RUNTIME_FORMAT_VALIDATE_H

#include "moe/Status.h"
#include "runtime/format/artifact_generated.h"

#include <cstddef>
#include <span>

namespace moe::format {

/// Checks that `table` is a FlatBuffer of the artifact schema and that whatever the executor indexes exists:
/// enumerators are known; names are printable, not empty and unique; shapes have sizes; kernels name existing blobs;
/// instructions name existing kernels with as many buffers as these take; every BufferRef lies inside its variable,
/// port or workspace; nothing writes an input; copies have equal sizes and do not overlap themselves.
///
/// Says nothing about blob contents. The error names the field and both numbers (ErrorCode::corruptFile).
Status validate(std::span<const std::byte> table);

} // namespace moe::format

#endif // MOE_RUNTIME_FORMAT_VALIDATE_H

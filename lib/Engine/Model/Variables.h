//===- Variables.h - Selecting and checking a session's variables --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_MODEL_VARIABLES_H
#define LIB_ENGINE_MODEL_VARIABLES_H

#include "moe/Session.h"
#include "runtime/format/artifact_generated.h"

#include <optional>
#include <string>
#include <vector>

namespace moe::engine {

/// The artifact's variables whose role is one of `roles`, in its order.
std::vector<const format::Variable *> variablesWithRole(const Artifact &artifact,
                                                        const std::vector<format::VariableRole> &roles);

/// Where a NaN or an infinity was found.
struct NonFinite {
  std::string variable;
  std::size_t element = 0;
  double value = 0;
};

/// The first non-finite element of the parameters, buffers and moments, in the artifact's order.
Result<std::optional<NonFinite>> findNonFinite(Session &session);

} // namespace moe::engine

#endif // LIB_ENGINE_MODEL_VARIABLES_H

//===- Inspect.h - What is in an artifact -----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_INSPECT_H
#define LIB_ENGINE_REPORT_INSPECT_H

#include "lib/Engine/Support/Json.h"
#include "moe/Session.h"

#include <set>
#include <span>
#include <string>
#include <string_view>

namespace moe::engine {

/// The parts of a report, in its order: "model", "entry-points", "memory", "kernels", "variables", "program".
std::span<const std::string> inspectSections();

/// The artifact in words; the sections named, or all if none is.
Result<std::string> inspectText(const Artifact &artifact, const std::set<std::string> &sections);

/// The same as {"schema_version": 1, "artifact": PATH, "model": ..., "entry_points": ..., ...}.
Result<Json> inspectJson(const Artifact &artifact, const std::set<std::string> &sections);

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_INSPECT_H

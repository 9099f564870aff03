//===- Conformance.h - Does a target compute what it should? --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Runs the cases of a bundle on one target. Each case runs twice, in memory that holds NaNs before, and must give the
/// same bits both times, within the tolerance of every element.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CONFORMANCE_CONFORMANCE_H
#define LIB_ENGINE_CONFORMANCE_CONFORMANCE_H

#include "lib/Engine/Conformance/Bundle.h"
#include "lib/Engine/Conformance/Compare.h"
#include "lib/Engine/Support/Json.h"
#include "moe/Session.h"

#include <string>
#include <vector>

namespace moe::engine {

struct ConformanceOptions {
  std::string filter; ///< A regular expression that finds something in the entry's name; all if empty.
  bool time = false;
};

struct CaseResult {
  ConformanceCase listed;
  WorstElement worst;
  double seconds = -1; ///< A run, on the device; negative if not timed.
  std::string problem; ///< Why it failed; empty if it passed.
};

struct TargetResult {
  std::string target, device; ///< "cuda:sm_90a"; the device in words.
  std::vector<CaseResult> cases;
  std::string notRun; ///< Why there are no results: this machine cannot run the artifact.

  std::size_t numFailed() const;
  /// The case that uses most of its tolerance; null if there is none.
  const CaseResult *worst() const;
};

/// "cuda:sm_90a"
std::string targetOf(const Artifact &artifact);

/// Runs all cases that the filter lets through. Errors: ErrorCode::usage (the filter is no regular expression, or lets
/// none through), ErrorCode::corruptFile; a case that fails is no error.
Result<TargetResult> runConformance(Session &session, const ConformanceBundle &bundle,
                                    const ConformanceOptions &options);

std::string conformanceText(const std::vector<TargetResult> &results);
/// {"schema_version": 1, "targets": [{"target": ..., "cases": [...]}]}
Json conformanceJson(const std::vector<TargetResult> &results);

} // namespace moe::engine

#endif // LIB_ENGINE_CONFORMANCE_CONFORMANCE_H

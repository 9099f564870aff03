//===- Bench.h - How long an entry point takes, and each of its kernels --===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_BENCH_H
#define LIB_ENGINE_REPORT_BENCH_H

#include "lib/Engine/Bench/KernelTimes.h"
#include "lib/Engine/Support/Json.h"
#include "moe/Session.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moe::engine {

struct BenchResult {
  std::string entryPoint, device;
  int repeats = 0;
  double seconds = 0;              ///< One run, not observed.
  double observedSeconds = 0;      ///< One run, timed instruction by instruction.
  std::vector<KernelTime> kernels; ///< The slowest first.
  /// For kernels that do so little with what they read that memory bounds them, by name: how long a copy takes that
  /// reads and writes as many bytes in as many launches.
  std::map<std::string, double> copySeconds;
};

/// Runs `entryPoint` on random weights and tokens: three runs to warm up, `repeats` measured as a whole and as many measured
/// per instruction, each from memory and not from the cache. A learning rate of zero keeps the weights what they are.
/// `observer` sees the latter.
Result<BenchResult> bench(Session &session, const std::string &entryPoint, int repeats, const Observer &observer = {});

std::string benchText(const BenchResult &result);
Json benchJson(const BenchResult &result);

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_BENCH_H

//===- KernelTimes.h - The time of a run, kernel by kernel -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_KERNELTIMES_H
#define LIB_ENGINE_BENCH_KERNELTIMES_H

#include "moe/Session.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace moe::engine {

/// Launches of one kernel in one run of an entry point; times are medians over the runs.
struct KernelTime {
  std::string name;
  std::size_t launches = 0;
  double seconds = 0;                 ///< All launches together.
  std::uint64_t flops = 0, bytes = 0; ///< All launches together, as the compiler counted them; 0 if it did not.
};

double median(std::vector<double> values);

/// Sums up what an observer hears by kernel; copies and fills go by those names.
class KernelTimes {
public:
  explicit KernelTimes(const format::Artifact &artifact) : artifact(artifact) {}

  void add(const InstructionTiming &timing);
  void endRun();
  /// The slowest first.
  std::vector<KernelTime> medians() const;

private:
  const format::Artifact &artifact;
  std::map<std::string, KernelTime> run, last;
  std::map<std::string, std::vector<double>> samples;
};

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_KERNELTIMES_H

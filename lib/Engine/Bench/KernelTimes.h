//===- KernelTimes.h - The time of a run, kernel by kernel -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_KERNELTIMES_H
#define LIB_ENGINE_BENCH_KERNELTIMES_H

#include "lib/Engine/Bench/DeviceTimer.h"
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

/// Runs `entry` `runs` times, instruction by instruction. What each reads comes from memory, not from the cache that the
/// one before has left it in; `onInstruction`, if there is one, hears of each.
Result<std::vector<KernelTime>> timeKernels(Session &session, EntryPoint &entry, DeviceTimer &timer, int runs,
                                            const Observer &onInstruction = {});

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_KERNELTIMES_H

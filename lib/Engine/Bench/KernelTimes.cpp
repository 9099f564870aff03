//===- KernelTimes.cpp - The time of a run, kernel by kernel -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/KernelTimes.h"

#include "lib/Engine/Report/ProgramText.h"
#include "runtime/format/artifact_generated.h"

#include <algorithm>

namespace moe::engine {

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void KernelTimes::add(const InstructionTiming &timing) {
  const format::Instruction &instruction = *timing.entryPoint.table().program()->Get(timing.instruction);
  const format::Launch *launch = instruction.operation_as_Launch();
  const format::Kernel *kernel = launch ? artifact.kernels()->Get(launch->kernel()) : nullptr;
  KernelTime &entry = run[operationName(artifact, instruction)];
  ++entry.launches;
  entry.seconds += std::chrono::duration<double>(timing.end - timing.begin).count();
  entry.flops += kernel ? kernel->flops() : 0;
  entry.bytes += kernel ? kernel->bytes() : 0;
}

void KernelTimes::endRun() {
  for (auto &[name, time] : run) {
    samples[name].push_back(time.seconds);
    last[name] = time;
  }
  run.clear();
}

std::vector<KernelTime> KernelTimes::medians() const {
  std::vector<KernelTime> times;
  for (const auto &[name, time] : last) {
    times.push_back(time);
    times.back().name = name;
    times.back().seconds = median(samples.at(name));
  }
  std::sort(times.begin(), times.end(), [](const KernelTime &a, const KernelTime &b) {
    return a.seconds != b.seconds ? a.seconds > b.seconds : a.name < b.name;
  });
  return times;
}

Result<std::vector<KernelTime>> timeKernels(Session &session, EntryPoint &entry, DeviceTimer &timer, int runs,
                                            const Observer &onInstruction) {
  KernelTimes times(session.artifact().table());
  Status flushed, ran;
  auto flush = [&] {
    if (flushed)
      flushed = timer.flush();
  };
  session.setObserver([&](const InstructionTiming &timing) {
    times.add(timing);
    if (onInstruction)
      onInstruction(timing);
    flush();
  });
  for (int run = 0; run < runs && ran; ++run) {
    flush();
    ran = entry.run();
    times.endRun();
  }
  session.setObserver({});
  if (!ran || !flushed)
    return ran ? flushed : ran;
  return times.medians();
}

} // namespace moe::engine

//===- DeviceTimer.h - How long a device works at something ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_DEVICETIMER_H
#define LIB_ENGINE_BENCH_DEVICETIMER_H

#include "moe/Driver.h"

#include <memory>

namespace moe::engine {

/// The median of several runs.
struct MeasuredTime {
  double seconds = 0;
  int runs = 0;
};

/// How often to repeat: as often as fits into `seconds`, within bounds.
struct RepeatPolicy {
  int minimum = 10, maximum = 200;
  double seconds = 0.15;
  /// Before each run as long as the last one took. A GPU at the limit of its power lowers its clock, so that what is
  /// timed would depend on what ran before; a program that never rests is timed without.
  bool rests = false;
};

/// Times work on a device by Driver::time, whose clock on a GPU is the device's own. Before each run, and not part of it,
/// a memory larger than the device's cache is read: what the work reads comes from memory. (Written, it would leave the
/// cache full of what has to be written back while the work runs.)
class DeviceTimer {
public:
  static Result<DeviceTimer> create(Driver &driver);

  /// Asks for the reading; what is timed next finds nothing in the cache.
  Status flush();
  /// One run to warm up, then the median.
  Result<MeasuredTime> time(const std::function<Status()> &work, const RepeatPolicy &policy = {});

private:
  DeviceTimer(Driver &driver, std::unique_ptr<DeviceMemory> filler) : driver(driver), filler(std::move(filler)) {}
  Status readFiller();

  Driver &driver;
  std::unique_ptr<DeviceMemory> filler;    ///< Empty if there is nothing to flush.
  std::unique_ptr<Recording> flushing;     ///< Of readFiller, if the driver records.
};

/// A device with memory of its own, as opposed to the host's.
bool hasOwnMemory(Driver &driver);

/// Copies much memory on the device: bytes read and written in a second.
Result<double> measureCopySpeed(Driver &driver);
/// The time to copy so that `bytes` are read and written in all, half of them each.
Result<MeasuredTime> timeCopy(Driver &driver, DeviceTimer &timer, std::size_t bytes,
                              const RepeatPolicy &policy = {});

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_DEVICETIMER_H

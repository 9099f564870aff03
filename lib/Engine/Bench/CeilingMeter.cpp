//===- CeilingMeter.cpp - What a device reaches, and for how long *- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/CeilingMeter.h"

#include "lib/Engine/Bench/NormalTensor.h"

#include <algorithm>
#include <bit>

namespace moe::engine {

/// Several points take about as long, and need not each have their own products.
static constexpr int kSignificantBits = 3;
static constexpr RepeatPolicy kRepeat = {.minimum = 5, .maximum = 20, .seconds = 0.05, .rests = true};

Result<CeilingMeter> CeilingMeter::create(const LayerFolder &folder, const std::string &dtype,
                                          const DriverOptions &options) {
  const CompiledCeiling *compiled = folder.findCeiling(dtype);
  if (!compiled)
    return Status(ErrorCode::failed, "the folder has no ceilings-" + dtype + ".moe, which says what a matrix product "
                                     "reaches on this device; make the folder with moe-bench");
  Result<std::unique_ptr<Session>> session = Session::create(compiled->artifact, options);
  if (!session)
    return session.status();
  if (!(*session)->find("matmul"))
    return Status(ErrorCode::corruptFile, compiled->artifact->path() + " has no entry point 'matmul'");
  Result<double> copySpeed = measureCopySpeed((*session)->driver());
  if (!copySpeed)
    return copySpeed.status();
  if (Status status = drawVariables(**session); !status)
    return status;
  CeilingMeter meter(std::move(*session));
  meter.size = compiled->size;
  meter.ceilings.bytesPerSecond = *copySpeed;
  Result<double> one = meter.measureProducts(1);
  if (!one)
    return one.status();
  meter.ceilings.flopsPerSecond = *one;
  return meter;
}

Result<double> CeilingMeter::measureProducts(int count) {
  if (auto known = flopsPerSecond.find(count); known != flopsPerSecond.end())
    return known->second;
  Result<DeviceTimer> timer = DeviceTimer::create(session->driver());
  if (!timer)
    return timer.status();
  EntryPoint &product = *session->find("matmul");
  auto work = [&] {
    Status status;
    for (int i = 0; i < count && status; ++i)
      status = product.run();
    return status;
  };
  Result<MeasuredTime> time = timer->time(work, kRepeat);
  if (!time)
    return time.status();
  const double edge = static_cast<double>(size);
  return flopsPerSecond[count] = count * 2 * edge * edge * edge / time->seconds;
}

Result<Ceilings> CeilingMeter::lasting(double seconds) {
  const double edge = static_cast<double>(size);
  auto count = static_cast<unsigned>(std::max(1.0, seconds * ceilings.flopsPerSecond / (2 * edge * edge * edge)));
  const int dropped = std::max(0, static_cast<int>(std::bit_width(count)) - kSignificantBits);
  Result<double> measured = measureProducts(static_cast<int>(count >> dropped << dropped));
  if (!measured)
    return measured.status();
  return Ceilings{*measured, ceilings.bytesPerSecond};
}

} // namespace moe::engine

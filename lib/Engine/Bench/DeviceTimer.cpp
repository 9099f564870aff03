//===- DeviceTimer.cpp - How long a device works at something ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/DeviceTimer.h"

#include <algorithm>
#include <thread>

namespace moe::engine {

// More than twice the level-2 cache of any GPU so far (126 MB on a B200, by datasheet); a host's is not flushed: its
// caches are what its memory is.
static constexpr std::size_t kFillerBytes = std::size_t{256} << 20;
/// It is read by copies of so much, all to the same place behind it: little is left to be written back.
static constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
/// A GPU under load lowers its clock: everything that is timed begins after a rest.
static constexpr std::chrono::milliseconds kPause(20);
static constexpr std::size_t kCopiedBytes = std::size_t{1} << 30, kCopiedHostBytes = std::size_t{64} << 20;

bool hasOwnMemory(Driver &driver) { return driver.availableMemory().has_value(); }

Result<DeviceTimer> DeviceTimer::create(Driver &driver) {
  auto filler = driver.allocate(hasOwnMemory(driver) ? kFillerBytes + kPieceBytes : 0);
  if (!filler)
    return filler.status().withContext("memory to flush the cache with");
  DeviceTimer timer(driver, std::move(*filler));
  if (Status status = driver.fill({timer.filler.get(), 0, timer.filler->size()}, 0); !status)
    return status;
  auto recording = driver.record([&] { return timer.readFiller(); });
  if (!recording)
    return recording.status();
  timer.flushing = std::move(*recording);
  return timer;
}

Status DeviceTimer::readFiller() {
  for (std::size_t offset = 0; offset + kPieceBytes < filler->size(); offset += kPieceBytes)
    if (Status status = driver.copy({filler.get(), offset, kPieceBytes}, {filler.get(), kFillerBytes, kPieceBytes});
        !status)
      return status;
  return {};
}

Status DeviceTimer::flush() { return flushing ? driver.replay(*flushing) : readFiller(); }

Result<MeasuredTime> DeviceTimer::time(const std::function<Status()> &work, const RepeatPolicy &policy) {
  if (filler->size() > 0)
    std::this_thread::sleep_for(kPause);
  if (Status status = work(); !status)
    return status;
  if (Status status = driver.synchronize(); !status)
    return status;
  std::vector<double> times;
  const auto begin = std::chrono::steady_clock::now();
  auto isDone = [&] {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    const int runs = static_cast<int>(times.size());
    return runs >= policy.maximum || (runs >= policy.minimum && spent.count() >= policy.seconds);
  };
  while (!isDone()) {
    // Still running while the host asks for the work, so that asking takes no time of the device.
    if (Status status = flush(); !status)
      return status;
    auto elapsed = driver.time(work);
    if (!elapsed)
      return elapsed.status();
    times.push_back(std::chrono::duration<double>(*elapsed).count());
    if (policy.rests)
      std::this_thread::sleep_for(*elapsed);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return MeasuredTime{times[times.size() / 2], static_cast<int>(times.size())};
}

Result<MeasuredTime> timeCopy(Driver &driver, DeviceTimer &timer, std::size_t bytes, const RepeatPolicy &policy) {
  const std::size_t half = std::max<std::size_t>(bytes / 2, 1);
  auto memory = driver.allocate(2 * half);
  if (!memory)
    return memory.status().withContext("memory to copy");
  if (Status status = driver.fill({memory->get(), 0, 2 * half}, 1); !status)
    return status;
  return timer.time([&] { return driver.copy({memory->get(), 0, half}, {memory->get(), half, half}); }, policy);
}

Result<double> measureCopySpeed(Driver &driver) {
  auto timer = DeviceTimer::create(driver);
  if (!timer)
    return timer.status();
  const std::size_t bytes = 2 * (hasOwnMemory(driver) ? kCopiedBytes : kCopiedHostBytes);
  auto measured = timeCopy(driver, *timer, bytes);
  if (!measured)
    return measured.status();
  return static_cast<double>(bytes) / std::max(measured->seconds, 1e-9);
}

} // namespace moe::engine

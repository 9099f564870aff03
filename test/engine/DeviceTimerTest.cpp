//===- DeviceTimerTest.cpp - How long a device works at something ===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Bench/DeviceTimer.h"

#include "test/engine/EngineTest.h"

#include <deque>

namespace moe::engine {
namespace {

/// A device with memory of its own whose clock says what a test wants.
class FakeDriver final : public Driver {
public:
  class Memory final : public DeviceMemory {
  public:
    explicit Memory(std::size_t bytes) : bytes(bytes) {}
    std::size_t size() const override { return bytes; }

  private:
    std::size_t bytes;
  };

  std::string_view name() const override { return "fake"; }
  std::string description() const override { return "fake"; }
  Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t bytes) override {
    return std::unique_ptr<DeviceMemory>(std::make_unique<Memory>(bytes));
  }
  Status fill(BufferView, std::uint8_t) override { return {}; }
  Status copy(BufferView source, BufferView) override {
    bytesRead += source.size;
    return {};
  }
  Status write(std::span<const std::byte>, BufferView) override { return {}; }
  Status read(BufferView, std::span<std::byte>) override { return {}; }
  Result<std::vector<std::unique_ptr<LoadedKernel>>> load(const format::Artifact &,
                                                          std::span<const std::span<const std::byte>>) override {
    return std::vector<std::unique_ptr<LoadedKernel>>();
  }
  Status launch(LoadedKernel &, std::span<const BufferView>) override { return {}; }
  Status synchronize() override { return {}; }
  std::optional<std::size_t> availableMemory() override { return std::size_t{1} << 40; }

  /// The times in `clock`, in turns.
  Result<std::chrono::nanoseconds> time(const std::function<Status()> &issue) override {
    if (Status status = issue(); !status)
      return status;
    clock.push_back(clock.front());
    clock.pop_front();
    return clock.back();
  }

  std::deque<std::chrono::nanoseconds> clock = {std::chrono::nanoseconds(1000)};
  std::size_t bytesRead = 0;
};

DeviceTimer createTimer(FakeDriver &driver) {
  Result<DeviceTimer> timer = DeviceTimer::create(driver);
  EXPECT_OK(timer);
  return std::move(*timer);
}

TEST(DeviceTimer, TakesTheMedianAfterOneRunToWarmUp) {
  FakeDriver driver;
  for (int time : {9000, 2000, 3000, 1000})
    driver.clock.push_back(std::chrono::nanoseconds(time));
  DeviceTimer timer = createTimer(driver);
  int runs = 0;
  Result<MeasuredTime> measured = timer.time([&] { return ++runs, Status(); }, {5, 5, 0});
  ASSERT_OK(measured);
  EXPECT_EQ(measured->seconds, 2e-6);
  EXPECT_EQ(measured->runs, 5);
  EXPECT_EQ(runs, 6);
}

// Before each run that counts, more is read than the largest cache holds.
TEST(DeviceTimer, FlushesTheCache) {
  FakeDriver driver;
  DeviceTimer timer = createTimer(driver);
  std::vector<std::size_t> readBefore;
  ASSERT_OK(timer.time([&] { return readBefore.push_back(std::exchange(driver.bytesRead, 0)), Status(); }, {3, 3, 0}));
  ASSERT_EQ(readBefore.size(), 4u);
  EXPECT_EQ(readBefore[0], 0u);
  for (std::size_t run = 1; run < readBefore.size(); ++run)
    EXPECT_GE(readBefore[run], std::size_t{2} * 126'000'000) << run;
}

// As many runs as fit into the time, within bounds.
TEST(DeviceTimer, RepeatsWithinBounds) {
  FakeDriver driver;
  DeviceTimer timer = createTimer(driver);
  const auto nothing = [] { return Status(); };
  EXPECT_EQ(timer.time(nothing, {7, 100, 0})->runs, 7);
  EXPECT_EQ(timer.time(nothing, {7, 20, 1000})->runs, 20);
}

// As long as the work, after each run but the warm-up.
TEST(DeviceTimer, RestsIfAsked) {
  FakeDriver driver;
  driver.clock = {std::chrono::milliseconds(20)};
  DeviceTimer timer = createTimer(driver);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_OK(timer.time([] { return Status(); }, {.minimum = 3, .maximum = 3, .seconds = 0, .rests = true}));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(60));
}

TEST(DeviceTimer, StopsAtAnError) {
  FakeDriver driver;
  DeviceTimer timer = createTimer(driver);
  int runs = 0;
  const auto failing = [&] { return ++runs == 3 ? Status(ErrorCode::failed, "broken") : Status(); };
  EXPECT_EQ(timer.time(failing).status().message(), "broken");
  EXPECT_EQ(runs, 3);
}

TEST(DeviceTimer, CopiesReadAndWriteHalfEach) {
  FakeDriver driver;
  DeviceTimer timer = createTimer(driver);
  const std::size_t before = driver.bytesRead;
  ASSERT_OK(timeCopy(driver, timer, 1000, {1, 1, 0}));
  const std::size_t flush = 256 << 20;
  EXPECT_EQ(driver.bytesRead - before, 2 * 500 + flush);
}

} // namespace
} // namespace moe::engine

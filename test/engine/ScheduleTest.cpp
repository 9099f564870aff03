//===- ScheduleTest.cpp - Learning-rate schedules -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/Schedule.h"
#include "test/engine/EngineTest.h"

#include <cmath>

namespace moe::engine {
namespace {

Schedule schedule(Schedule::Kind kind) { return {kind, 1.0, 100, 10, 0.2, 0.0}; }

TEST(Schedule, WarmsUpLinearly) {
  for (Schedule::Kind kind : {Schedule::Kind::wsd, Schedule::Kind::cosine, Schedule::Kind::constant}) {
    EXPECT_DOUBLE_EQ(schedule(kind).learningRate(1), 0.1);
    EXPECT_DOUBLE_EQ(schedule(kind).learningRate(5), 0.5);
    EXPECT_DOUBLE_EQ(schedule(kind).learningRate(10), 1.0);
  }
}

TEST(Schedule, WarmupStableDecay) {
  const Schedule wsd = schedule(Schedule::Kind::wsd);
  EXPECT_DOUBLE_EQ(wsd.learningRate(11), 1.0);
  EXPECT_DOUBLE_EQ(wsd.learningRate(80), 1.0);
  // 20 steps of decay in 21sts: the first below the peak, the last above zero.
  EXPECT_DOUBLE_EQ(wsd.learningRate(81), 20.0 / 21);
  EXPECT_NEAR(wsd.learningRate(100), 1.0 / 21, 1e-15);
}

TEST(Schedule, Cosine) {
  const Schedule cosine = schedule(Schedule::Kind::cosine);
  EXPECT_DOUBLE_EQ(cosine.learningRate(55), 0.5 * (1 + std::cos(M_PI * 45 / 91)));
  EXPECT_DOUBLE_EQ(cosine.learningRate(100), 0.5 * (1 + std::cos(M_PI * 90 / 91)));
}

TEST(Schedule, Constant) { EXPECT_DOUBLE_EQ(schedule(Schedule::Kind::constant).learningRate(100), 1.0); }

TEST(Schedule, EndsAtTheFinalFraction) {
  Schedule wsd = schedule(Schedule::Kind::wsd);
  wsd.finalFraction = 0.1;
  EXPECT_NEAR(wsd.learningRate(100), 0.1 + 0.9 / 21, 1e-15);
}

// No division by zero, nothing above the peak or below zero.
TEST(Schedule, DegenerateLengths) {
  for (Schedule::Kind kind : {Schedule::Kind::wsd, Schedule::Kind::cosine, Schedule::Kind::constant})
    for (std::int64_t steps : {0, 1, 2, 5})
      for (std::int64_t warmup : {0, 1, 3, 9})
        for (double fraction : {0.0, 0.5, 1.0})
          for (std::int64_t step = 1; step <= steps; ++step) {
            const double rate = Schedule{kind, 1.0, steps, warmup, fraction, 0.0}.learningRate(step);
            EXPECT_GT(rate, 0);
            EXPECT_LE(rate, 1);
          }
}

TEST(Schedule, Names) {
  EXPECT_EQ(*Schedule::parseKind("cosine"), Schedule::Kind::cosine);
  EXPECT_FAILS(Schedule::parseKind("square"), ErrorCode::configuration, "square");
}

} // namespace
} // namespace moe::engine

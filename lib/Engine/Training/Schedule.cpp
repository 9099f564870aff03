//===- Schedule.cpp - Learning-rate schedules -----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/Schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace moe::engine {

Result<Schedule::Kind> Schedule::parseKind(std::string_view name) {
  if (name == "wsd")
    return Kind::wsd;
  if (name == "cosine")
    return Kind::cosine;
  if (name == "constant")
    return Kind::constant;
  return Status(ErrorCode::configuration,
                "unknown schedule '" + std::string(name) + "'; there are wsd, cosine, constant");
}

double Schedule::learningRate(std::int64_t step) const {
  if (step <= warmup)
    return peak * static_cast<double>(step) / static_cast<double>(warmup);
  if (kind == Kind::constant)
    return peak;
  // How far the decay has come at `step`, if it takes the last `length` steps: 0 before, below 1 at the last.
  const auto decayed = [&](std::int64_t length) {
    const auto done = static_cast<double>(std::max<std::int64_t>(0, step - (steps - length)));
    return std::min(1.0, done / static_cast<double>(length + 1));
  };
  double share = 0;
  if (kind == Kind::wsd) {
    const std::int64_t length = std::llround(decayFraction * static_cast<double>(steps));
    share = 1 - decayed(std::min(length, std::max<std::int64_t>(0, steps - warmup)));
  } else {
    share = 0.5 * (1 + std::cos(std::numbers::pi * decayed(steps - warmup)));
  }
  return peak * (finalFraction + (1 - finalFraction) * share);
}

} // namespace moe::engine

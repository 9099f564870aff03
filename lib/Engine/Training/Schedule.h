//===- Schedule.h - Learning-rate schedules ---------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_SCHEDULE_H
#define LIB_ENGINE_TRAINING_SCHEDULE_H

#include "moe/Status.h"

#include <cstdint>
#include <string_view>

namespace moe::engine {

/// The learning rate as a function of the step, steps counted from 1:
///
///   wsd       linear warm-up, stable, linear decay over the last `decayFraction` of the steps
///             (Hu et al.: "MiniCPM", 2024, section 4)
///   cosine    linear warm-up, half a cosine down to the end (Loshchilov, Hutter: "SGDR", 2017)
///   constant  linear warm-up, constant
///
/// wsd and cosine approach peak·finalFraction and would reach it one step after the last: no step is wasted at zero.
struct Schedule {
  enum class Kind { wsd, cosine, constant };

  Kind kind = Kind::wsd;
  double peak = 0;
  std::int64_t steps = 0, warmup = 0;
  double decayFraction = 0, finalFraction = 0;

  double learningRate(std::int64_t step) const;

  static Result<Kind> parseKind(std::string_view name);
};

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_SCHEDULE_H

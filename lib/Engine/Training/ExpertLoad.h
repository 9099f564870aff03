//===- ExpertLoad.h - How evenly experts are used ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_EXPERTLOAD_H
#define LIB_ENGINE_TRAINING_EXPERTLOAD_H

#include <cstdint>
#include <span>
#include <vector>

namespace moe::engine {

/// Tokens that each expert of one layer got, over one batch or many.
struct ExpertLoad {
  std::int64_t layer = 0;
  std::vector<std::int64_t> tokens; ///< [num_experts]
};

/// Numbers that do not depend on how many tokens there were.
struct LoadStatistics {
  std::vector<double> utilisation;   ///< load / (tokens·k/E): 1 is the fair share, 0 is dead.
  double minimum = 0, maximum = 0;   ///< Of the utilisation.
  double coefficientOfVariation = 0; ///< Standard deviation of the utilisation (its mean is 1).
  double deadFraction = 0;           ///< Experts without a token.
  double effectiveExperts = 0;       ///< exp(entropy of the load) / E: 1 is even, 1/E is one expert for all.
};

LoadStatistics describeLoad(std::span<const std::int64_t> tokens);

/// Adds `counts` to `total`, layer by layer. An empty total becomes the counts.
void accumulate(std::vector<ExpertLoad> &total, const std::vector<ExpertLoad> &counts);

/// Below this share of the fair load an expert counts as starved.
inline constexpr double kStarvedUtilisation = 0.2;

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_EXPERTLOAD_H

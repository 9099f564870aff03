//===- ExpertLoad.cpp - How evenly experts are used -----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/ExpertLoad.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace moe::engine {

LoadStatistics describeLoad(std::span<const std::int64_t> tokens) {
  LoadStatistics statistics;
  const auto total = static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), std::int64_t(0)));
  const auto experts = static_cast<double>(tokens.size());
  if (tokens.empty())
    return statistics;
  double variance = 0, entropy = 0;
  for (std::int64_t count : tokens) {
    const double share = total > 0 ? static_cast<double>(count) / total : 0;
    const double utilisation = share * experts;
    statistics.utilisation.push_back(utilisation);
    variance += (utilisation - 1) * (utilisation - 1) / experts;
    entropy -= share > 0 ? share * std::log(share) : 0;
    statistics.deadFraction += count == 0 ? 1 / experts : 0;
  }
  statistics.minimum = std::ranges::min(statistics.utilisation);
  statistics.maximum = std::ranges::max(statistics.utilisation);
  statistics.coefficientOfVariation = std::sqrt(variance);
  statistics.effectiveExperts = std::exp(entropy) / experts;
  return statistics;
}

void accumulate(std::vector<ExpertLoad> &total, const std::vector<ExpertLoad> &counts) {
  if (total.empty()) {
    total = counts;
    return;
  }
  assert(total.size() == counts.size());
  for (std::size_t i = 0; i < total.size(); ++i)
    std::ranges::transform(total[i].tokens, counts[i].tokens, total[i].tokens.begin(), std::plus());
}

} // namespace moe::engine

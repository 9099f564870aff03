//===- Sampler.cpp - Choosing the next token ------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Generation/Sampler.h"

#include "lib/Engine/Support/Strings.h"
#include "runtime/executor/Random.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace moe::engine {

Result<std::int32_t> sampleToken(std::span<const float> logits, const SamplingOptions &options, std::int64_t position) {
  if (auto nan = std::ranges::find_if(logits, [](float logit) { return std::isnan(logit); }); nan != logits.end())
    return Status(ErrorCode::numerics, format("position %lld: the logit of token %td is NaN",
                                              static_cast<long long>(position), nan - logits.begin()));
  if (options.temperature == 0)
    return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());

  // Likeliest first; equals by index, so that the order does not depend on the sort.
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(
      order, [&](std::int32_t a, std::int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  if (options.topK > 0 && options.topK < static_cast<std::int64_t>(order.size()))
    order.resize(options.topK);

  std::vector<double> weights;
  double total = 0;
  const double highest = logits[order.front()];
  for (std::int32_t token : order)
    total +=
        weights.emplace_back(logits[token] == highest ? 1 : std::exp((logits[token] - highest) / options.temperature));
  double kept = 0;
  std::size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < options.topP * total))
    kept += weights[count++];

  static const std::uint64_t stream = random::streamOf("engine/sampling");
  double target = random::uniform(options.seed, stream, static_cast<std::uint64_t>(position)) * kept;
  std::size_t chosen = 0;
  while (chosen + 1 < count && target >= weights[chosen])
    target -= weights[chosen++];
  return order[chosen];
}

} // namespace moe::engine

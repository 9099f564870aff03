//===- LoadTable.cpp - The table of expert load ---------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/LoadTable.h"

#include "lib/Engine/Support/Strings.h"

#include <algorithm>

namespace moe::engine {

/// More experts than this are wrapped: the line then still fits in 120 columns.
static constexpr std::size_t kExpertsPerLine = 16;

std::string formatLoadTable(const std::vector<ExpertLoad> &loads, const std::string &over) {
  if (loads.empty())
    return "";
  const std::size_t experts = loads.front().tokens.size(), columns = std::min(experts, kExpertsPerLine);
  std::string text = "expert load over " + over + ", in percent of the fair share\n  layer  expert";
  for (std::size_t i = 0; i < columns; ++i)
    text += format("%5zu ", i);
  text += "    min   max    cv\n";
  bool starved = false;
  for (const ExpertLoad &load : loads) {
    const LoadStatistics statistics = describeLoad(load.tokens);
    for (std::size_t first = 0; first < experts; first += columns) {
      text += first == 0 ? format("  %5lld  ", static_cast<long long>(load.layer)) : "         ";
      text += experts > columns ? format("%4zu +", first) : "      ";
      for (std::size_t i = first; i < std::min(experts, first + columns); ++i) {
        const bool low = statistics.utilisation[i] < kStarvedUtilisation;
        text += format("%5.0f%c", 100 * statistics.utilisation[i], low ? '!' : ' ');
        starved |= low;
      }
      if (first == 0)
        text += format("  %5.0f %5.0f %5.2f", 100 * statistics.minimum, 100 * statistics.maximum,
                       statistics.coefficientOfVariation);
      text += "\n";
    }
  }
  if (starved)
    text += format("  ! below %.0f %%: starved\n", 100 * kStarvedUtilisation);
  return text;
}

Json loadTableToJson(const std::vector<ExpertLoad> &loads) {
  Json json = Json::object();
  for (const ExpertLoad &load : loads) {
    const LoadStatistics statistics = describeLoad(load.tokens);
    json[std::to_string(load.layer)] = {{"utilisation", statistics.utilisation},
                                        {"minimum", statistics.minimum},
                                        {"maximum", statistics.maximum},
                                        {"coefficient_of_variation", statistics.coefficientOfVariation},
                                        {"dead_fraction", statistics.deadFraction},
                                        {"effective_experts", statistics.effectiveExperts}};
  }
  return json;
}

} // namespace moe::engine

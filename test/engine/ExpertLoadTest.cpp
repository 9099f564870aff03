//===- ExpertLoadTest.cpp - How evenly experts are used -------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/ExpertLoad.h"
#include "lib/Engine/Report/LoadTable.h"
#include "test/engine/EngineTest.h"

#include <cmath>

namespace moe::engine {
namespace {

TEST(ExpertLoad, Even) {
  const LoadStatistics statistics = describeLoad(std::vector<std::int64_t>{5, 5, 5, 5});
  EXPECT_EQ(statistics.utilisation, (std::vector<double>{1, 1, 1, 1}));
  EXPECT_EQ(statistics.coefficientOfVariation, 0);
  EXPECT_EQ(statistics.deadFraction, 0);
  EXPECT_DOUBLE_EQ(statistics.effectiveExperts, 1);
}

TEST(ExpertLoad, OneForAll) {
  const LoadStatistics statistics = describeLoad(std::vector<std::int64_t>{8, 0, 0, 0});
  EXPECT_EQ(statistics.utilisation, (std::vector<double>{4, 0, 0, 0}));
  EXPECT_EQ(statistics.minimum, 0);
  EXPECT_EQ(statistics.maximum, 4);
  EXPECT_DOUBLE_EQ(statistics.coefficientOfVariation, std::sqrt(3));
  EXPECT_DOUBLE_EQ(statistics.deadFraction, 0.75);
  EXPECT_DOUBLE_EQ(statistics.effectiveExperts, 0.25);
}

TEST(ExpertLoad, NoTokens) {
  const LoadStatistics statistics = describeLoad(std::vector<std::int64_t>{0, 0});
  EXPECT_EQ(statistics.utilisation, (std::vector<double>{0, 0}));
  EXPECT_EQ(statistics.deadFraction, 1);
}

TEST(ExpertLoad, Accumulates) {
  std::vector<ExpertLoad> total;
  accumulate(total, {{1, {1, 2}}, {2, {3, 4}}});
  accumulate(total, {{1, {10, 20}}, {2, {30, 40}}});
  EXPECT_EQ(total[0].tokens, (std::vector<std::int64_t>{11, 22}));
  EXPECT_EQ(total[1].tokens, (std::vector<std::int64_t>{33, 44}));
}

TEST(LoadTable, FlagsStarvedExperts) {
  EXPECT_EQ(formatLoadTable({{1, {100, 100, 190, 10}}, {2, {100, 100, 100, 100}}}, "the test"),
            "expert load over the test, in percent of the fair share\n"
            "  layer  expert    0     1     2     3     min   max    cv\n"
            "      1          100   100   190    10!     10   190  0.64\n"
            "      2          100   100   100   100     100   100  0.00\n"
            "  ! below 20 %: starved\n");
}

TEST(LoadTable, WrapsManyExperts) {
  const std::string table = formatLoadTable({{3, std::vector<std::int64_t>(40, 1)}}, "the test");
  EXPECT_NE(table.find("   0 +"), std::string::npos) << table;
  EXPECT_NE(table.find("  32 +"), std::string::npos) << table;
}

TEST(LoadTable, Json) {
  const Json json = loadTableToJson({{2, {3, 1}}});
  EXPECT_EQ(json["2"]["utilisation"], Json({1.5, 0.5}));
  EXPECT_EQ(json["2"]["minimum"], 0.5);
}

} // namespace
} // namespace moe::engine

//===- RandomTest.cpp - The generator against its published values -----===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/executor/Random.h"

#include <gtest/gtest.h>

using namespace moe::random;

namespace {

// Known answers distributed with the reference implementation (Random123, kat_vectors, "philox4x32 10").
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, EveryCoordinateMatters) {
  const auto reference = bits(1, 2, 3);
  EXPECT_EQ(bits(1, 2, 3), reference);
  const std::uint64_t high = std::uint64_t{1} << 63;
  EXPECT_NE(bits(1 | high, 2, 3), reference);
  EXPECT_NE(bits(1, 2 | high, 3), reference);
  EXPECT_NE(bits(1, 2, 3 | high), reference);
  EXPECT_NE(streamOf("a"), streamOf("b"));
  EXPECT_EQ(streamOf(""), 0xef46db3751d8e999u); // xxh64 of nothing, from its specification.
}

TEST(Random, UnitInterval) {
  EXPECT_EQ(toUnit(0), 0.0);
  EXPECT_EQ(toUnit(~std::uint64_t{0}), 1.0 - 0x1p-53);
}

} // namespace

//===- MemoryPlanTest.cpp - Offsets for buffers with known life times -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Schedule/MemoryPlan.h"

#include <gtest/gtest.h>
#include <random>

using namespace mlir::moe;

namespace {

/// The most bytes alive at one time: no plan can do with less.
uint64_t peak(llvm::ArrayRef<BufferLifetime> buffers, int64_t end) {
  uint64_t most = 0;
  for (int64_t time = 0; time <= end; ++time) {
    uint64_t alive = 0;
    for (const BufferLifetime &buffer : buffers)
      alive += buffer.first <= time && time <= buffer.last ? buffer.size : 0;
    most = std::max(most, alive);
  }
  return most;
}

void expectValid(llvm::ArrayRef<BufferLifetime> buffers, uint64_t total) {
  for (const BufferLifetime &a : buffers) {
    EXPECT_EQ(a.offset % kWorkspaceAlignment, 0u);
    EXPECT_LE(a.offset + a.size, total);
    for (const BufferLifetime &b : buffers) {
      bool together = &a != &b && a.first <= b.last && b.first <= a.last;
      bool overlap = a.offset < b.offset + b.size && b.offset < a.offset + a.size;
      EXPECT_FALSE(together && overlap && a.size && b.size);
    }
  }
}

TEST(MemoryPlan, NothingNeedsNothing) { EXPECT_EQ(planMemory({}), 0u); }

TEST(MemoryPlan, AChainNeedsTwoBuffers) {
  std::vector<BufferLifetime> chain;
  for (int64_t i = 0; i < 10; ++i)
    chain.push_back({1024, i, i + 1, 0});
  EXPECT_EQ(planMemory(chain), 2048u);
  expectValid(chain, 2048);
}

TEST(MemoryPlan, FillsTheGapsThatLargeBuffersLeave) {
  // Two large ones that meet, and a small one beside each.
  std::vector<BufferLifetime> buffers = {{4096, 0, 1, 0}, {4096, 1, 2, 0}, {256, 0, 0, 0}, {256, 2, 2, 0}};
  EXPECT_EQ(planMemory(buffers), 8192u);
  expectValid(buffers, 8192);
}

TEST(MemoryPlan, RandomLifetimesNeverOverlapAndStayNearThePeak) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<BufferLifetime> buffers(60);
    for (BufferLifetime &buffer : buffers) {
      buffer.size = kWorkspaceAlignment * (1 + random() % 64);
      buffer.first = random() % 50;
      buffer.last = buffer.first + random() % 12;
    }
    uint64_t total = planMemory(buffers);
    expectValid(buffers, total);
    // Greedy by size has no constant bound; on such draws it stays within a quarter of the peak.
    EXPECT_LE(total, peak(buffers, 62) * 5 / 4);
  }
}

TEST(MemoryPlan, OddSizesAreAligned) {
  std::vector<BufferLifetime> buffers = {{5, 0, 3, 0}, {300, 1, 2, 0}, {1, 2, 3, 0}};
  expectValid(buffers, planMemory(buffers));
}

} // namespace

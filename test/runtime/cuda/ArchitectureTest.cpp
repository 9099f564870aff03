//===- ArchitectureTest.cpp - What runs on which GPU ----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/Architecture.h"

#include <gtest/gtest.h>

using moe::drivers::cuda::Architecture;

namespace {

TEST(CudaArchitecture, Parse) {
  const auto hopper = Architecture::parse("sm_90a");
  ASSERT_TRUE(hopper.has_value());
  EXPECT_EQ(hopper->capability, 90);
  EXPECT_EQ(hopper->suffix, 'a');
  EXPECT_EQ(Architecture::parse("sm_100f")->capability, 100);
  EXPECT_EQ(Architecture::parse("sm_80")->suffix, 0);
  for (const char *text : {"", "sm_", "sm_9", "90a", "sm_90b", "sm_90aa", "sm_-90", "sm_99999999999", "znver4"})
    EXPECT_FALSE(Architecture::parse(text)) << text;
}

TEST(CudaArchitecture, PtxRunsOn) {
  const auto runsOn = [](const char *arch, int device) { return Architecture::parse(arch)->ptxRunsOn(device); };
  EXPECT_TRUE(runsOn("sm_80", 80));
  EXPECT_TRUE(runsOn("sm_80", 89));
  EXPECT_TRUE(runsOn("sm_80", 120));
  EXPECT_FALSE(runsOn("sm_80", 75));
  EXPECT_TRUE(runsOn("sm_90a", 90));
  EXPECT_FALSE(runsOn("sm_90a", 100));
  EXPECT_FALSE(runsOn("sm_90a", 89));
  EXPECT_TRUE(runsOn("sm_100f", 103));
  EXPECT_FALSE(runsOn("sm_100f", 120));
  EXPECT_FALSE(runsOn("sm_103f", 100));
}

} // namespace

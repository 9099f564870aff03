//===- CompiledGoldenTest.cpp - Compiled code and PyTorch -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/conformance/CompiledDevice.h"
#include "test/golden/Golden.h"

#include <gtest/gtest.h>

using namespace mlir::moe::conformance;

namespace {

class CompiledGoldenTest : public testing::Test {
protected:
  void SetUp() override { ASSERT_TRUE(device); }

  Golden golden;
  std::unique_ptr<CompiledDevice> device = 
      CompiledDevice::load(compileArtifact(MOE_SOURCE_DIR "/test/golden/golden.mlir"));
};

TEST_F(CompiledGoldenTest, Evaluation) { compareEvaluation(*device, golden); }
TEST_F(CompiledGoldenTest, Generation) { compareGeneration(*device, golden); }
TEST_F(CompiledGoldenTest, Training) { compareTraining(*device, golden); }

} // namespace

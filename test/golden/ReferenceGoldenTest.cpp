//===- ReferenceGoldenTest.cpp - The reference interpreter and PyTorch -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/conformance/Model.h"
#include "test/golden/Golden.h"

#include <gtest/gtest.h>

using namespace mlir::moe::conformance;

namespace {

class ReferenceGoldenTest : public testing::Test {
protected:
  void SetUp() override { ASSERT_TRUE(model); }

  Golden golden;
  std::unique_ptr<Model> model = Model::parseFile(MOE_SOURCE_DIR "/test/golden/golden.mlir");
};

TEST_F(ReferenceGoldenTest, Evaluation) {
  ReferenceDevice device(model->getTraining());
  compareEvaluation(device, golden);
}

TEST_F(ReferenceGoldenTest, Generation) {
  ReferenceDevice device(model->getTraining());
  compareGeneration(device, golden);
}

TEST_F(ReferenceGoldenTest, Training) {
  ReferenceDevice device(model->getTraining());
  compareTraining(device, golden);
}

} // namespace

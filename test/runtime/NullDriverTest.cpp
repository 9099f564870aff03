//===- NullDriverTest.cpp - The skeleton driver runs whole sessions ----===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

using namespace moe;
using namespace moe::test;

namespace {

TEST(NullDriver, RunsAProgramWithoutComputing) {
  auto session = makeSession(exampleArtifact("null").build());
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(session->driver().name(), "null");
  ASSERT_TRUE(session->initialize(1).ok());
  const std::vector<float> weight = readFloats(*session, "weight", kElements);
  std::vector<float> output(kElements, 5.0f);

  EXPECT_OK(session->find("step")->run());
  EXPECT_OK(session->find("step")->getOutput("y", output));
  EXPECT_EQ(output, std::vector<float>(kElements, 0.0f)) << "launches do nothing";
  EXPECT_EQ(readFloats(*session, "weight", kElements), weight);

  EXPECT_OK(session->find("other")->run());
  EXPECT_OK(session->find("other")->getOutput("weight", output));
  EXPECT_EQ(output, weight) << "copies copy";
  EXPECT_EQ(session->memoryUse().parameters, 4096u);
}

TEST(NullDriver, ChecksLaunches) {
  auto artifact = exampleArtifact("null").build();
  auto driver = openDriver("null");
  ASSERT_TRUE(artifact && driver.ok());
  auto kernels = (*driver)->load(artifact->table(), {});
  ASSERT_TRUE(kernels.ok());
  auto memory = (*driver)->allocate(100);
  ASSERT_TRUE(memory.ok());
  const BufferView inside{memory->get(), 50, 50}, outside{memory->get(), 51, 50};
  LoadedKernel &add = *(*kernels)[0];
  EXPECT_OK((*driver)->launch(add, std::vector{inside, inside, inside}));
  EXPECT_ERROR((*driver)->launch(add, std::vector{inside}), ErrorCode::failed, "takes 3 buffers, not 1");
  EXPECT_ERROR((*driver)->launch(add, std::vector{inside, outside, inside}), ErrorCode::failed, "outside its memory");
  EXPECT_ERROR((*driver)->load(exampleArtifact("cpu").build()->table(), {}), ErrorCode::unsupportedModel, "'cpu'");
}

} // namespace

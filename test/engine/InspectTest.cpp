//===- InspectTest.cpp - Reports of an artifact ---------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Inspect.h"
#include "lib/Engine/Report/MemoryPlan.h"
#include "lib/Engine/Report/ProgramText.h"
#include "test/engine/EngineTest.h"
#include "test/engine/SmallArtifact.h"

namespace moe::engine {
namespace {

TEST(Inspect, Instructions) {
  const std::shared_ptr<const Artifact> artifact = test::smallArtifact();
  const format::EntryPoint &entry = *artifact->table().entry_points()->Get(0);
  const auto text = [&](unsigned i) { return instructionText(artifact->table(), entry, *entry.program()->Get(i)); };
  EXPECT_EQ(text(0), "launch @matmul(@x, weight[16:16]) -> (%0:16)");
  EXPECT_EQ(text(1), "copy %0:16 -> @y");
  EXPECT_EQ(text(2), "fill %0:64 with 0x00");
  EXPECT_EQ(countLaunches(artifact->table()), std::vector<std::size_t>{1});
}

TEST(Inspect, MemoryPlan) {
  const MemoryPlan plan = planMemory(*test::smallArtifact());
  EXPECT_EQ(plan.variables[0].role, "parameter");
  EXPECT_EQ(plan.variables[0].elements, 16u);
  EXPECT_EQ(plan.variables[0].bytes, 64u);
  EXPECT_EQ(plan.sharedWorkspace, 64u);
  EXPECT_EQ(plan.ports, 32u);
  EXPECT_EQ(plan.total(), 160u);
  const WorkspacePlan &workspace = plan.workspaces[0];
  ASSERT_EQ(workspace.buffers.size(), 2u);
  EXPECT_EQ(workspace.sum, 80u);
  EXPECT_EQ(workspace.buffers[0].lastUse, 1u);
  EXPECT_EQ(workspace.buffers[1].firstUse, 2u);
}

TEST(Inspect, Text) {
  Result<std::string> text = inspectText(*test::smallArtifact(), {});
  ASSERT_OK(text);
  for (const char *piece : {"small: 16 parameters", "apply: 3 instructions, workspace 64 B", "in   x  f32[4]",
                            "matmul         1     8      1      0 B  32.0 K    0 B",
                            "weight    parameter  f32[4,4]  zeros     64 B", "0  layers.0/mlp  launch @matmul"})
    EXPECT_NE(text->find(piece), std::string::npos) << piece << "\n" << *text;
  text = inspectText(*test::smallArtifact(), {"kernels"});
  EXPECT_TRUE(text->starts_with("kernels\n"));
  EXPECT_EQ(text->find("program"), std::string::npos);
}

TEST(Inspect, Json) {
  Result<Json> json = inspectJson(*test::smallArtifact(), {});
  ASSERT_OK(json);
  EXPECT_EQ((*json)["schema_version"], 1);
  EXPECT_EQ((*json)["model"]["name"], "small");
  EXPECT_EQ((*json)["entry_points"][0]["inputs"][0]["shape"], Json({4}));
  EXPECT_EQ((*json)["memory"]["total_bytes"], 160);
  EXPECT_EQ((*json)["memory"]["workspaces"]["apply"]["buffers"][0]["last_use"], 1);
  EXPECT_EQ((*json)["kernels"][0]["launches"], 1);
  EXPECT_EQ((*json)["variables"][0]["name"], "weight");
  EXPECT_EQ((*json)["program"]["apply"][1]["operation"], "copy %0:16 -> @y");
  EXPECT_FALSE(inspectJson(*test::smallArtifact(), {"memory"})->contains("program"));
}

} // namespace
} // namespace moe::engine

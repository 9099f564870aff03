//===- InspectTest.cpp - Reports of an artifact ---------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Inspect.h"
#include "lib/Engine/Report/MemoryPlan.h"
#include "lib/Engine/Report/ProgramText.h"
#include "runtime/format/ArtifactWriter.h"
#include "test/engine/EngineTest.h"

#include <array>

namespace moe::engine {
namespace {

using format::BufferRef, format::Space;

/// y = f(x, weight) through a temporary, whose place is then used for another.
std::shared_ptr<const Artifact> makeArtifact() {
  format::ArtifactT artifact;
  artifact.producer = "engine tests";
  artifact.target = std::make_unique<format::TargetT>();
  artifact.target->name = "null";
  artifact.target->arch = "none";
  artifact.model = R"({"name": "small", "vocab_size": 4, "hidden_size": 4, "num_layers": 0, "sparse_layers": [],
                       "parameters": 16, "active_parameters": 16})";
  auto variable = std::make_unique<format::VariableT>();
  variable->name = "weight";
  variable->shape = {4, 4};
  variable->initializer = std::make_unique<format::InitializerT>();
  artifact.variables.push_back(std::move(variable));
  auto kernel = std::make_unique<format::KernelT>();
  kernel->name = "matmul";
  kernel->grid = std::make_unique<format::Dim3>(8, 1, 1);
  kernel->block = std::make_unique<format::Dim3>(1, 1, 1);
  kernel->num_operands = 2;
  kernel->num_results = 1;
  kernel->flops = 32000;
  artifact.kernels.push_back(std::move(kernel));

  auto entry = std::make_unique<format::EntryPointT>();
  entry->name = "apply";
  entry->workspace_bytes = 64;
  for (auto *ports : {&entry->inputs, &entry->outputs}) {
    ports->push_back(std::make_unique<format::PortT>());
    ports->back()->name = ports == &entry->inputs ? "x" : "y";
    ports->back()->shape = {4};
  }
  const auto add = [&](auto operation, const char *label) {
    auto instruction = std::make_unique<format::InstructionT>();
    instruction->operation.Set(std::move(operation));
    instruction->label = label;
    entry->program.push_back(std::move(instruction));
  };
  format::LaunchT launch;
  launch.buffers = {BufferRef(Space::input, 0, 0, 16), BufferRef(Space::variable, 0, 16, 16),
                    BufferRef(Space::workspace, 0, 0, 16)};
  add(launch, "layers.0/mlp");
  format::CopyT copy;
  copy.source = std::make_unique<BufferRef>(Space::workspace, 0, 0, 16);
  copy.destination = std::make_unique<BufferRef>(Space::output, 0, 0, 16);
  add(std::move(copy), "");
  format::FillT fill;
  fill.destination = std::make_unique<BufferRef>(Space::workspace, 0, 0, 64);
  add(std::move(fill), "");
  artifact.entry_points.push_back(std::move(entry));

  const std::array<std::byte, 4> object = {};
  const format::BlobData code{format::BlobKind::elf, object};
  Result<std::vector<std::byte>> bytes = format::encodeArtifact(artifact, {&code, 1});
  EXPECT_OK(bytes);
  Result<std::shared_ptr<const Artifact>> opened = Artifact::fromBytes(*bytes);
  EXPECT_OK(opened);
  return *opened;
}

TEST(Inspect, Instructions) {
  const std::shared_ptr<const Artifact> artifact = makeArtifact();
  const format::EntryPoint &entry = *artifact->table().entry_points()->Get(0);
  const auto text = [&](unsigned i) { return instructionText(artifact->table(), entry, *entry.program()->Get(i)); };
  EXPECT_EQ(text(0), "launch @matmul(@x, weight[16:16]) -> (%0:16)");
  EXPECT_EQ(text(1), "copy %0:16 -> @y");
  EXPECT_EQ(text(2), "fill %0:64 with 0x00");
  EXPECT_EQ(countLaunches(artifact->table()), std::vector<std::size_t>{1});
}

TEST(Inspect, MemoryPlan) {
  const MemoryPlan plan = planMemory(*makeArtifact());
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
  Result<std::string> text = inspectText(*makeArtifact(), {});
  ASSERT_OK(text);
  for (const char *piece : {"small: 16 parameters", "apply: 3 instructions, workspace 64 B", "in   x  f32[4]",
                            "matmul         1     8      1      0 B  32.0 K    0 B",
                            "weight    parameter  f32[4,4]  zeros     64 B", "0  layers.0/mlp  launch @matmul"})
    EXPECT_NE(text->find(piece), std::string::npos) << piece << "\n" << *text;
  text = inspectText(*makeArtifact(), {"kernels"});
  EXPECT_TRUE(text->starts_with("kernels\n"));
  EXPECT_EQ(text->find("program"), std::string::npos);
}

TEST(Inspect, Json) {
  Result<Json> json = inspectJson(*makeArtifact(), {});
  ASSERT_OK(json);
  EXPECT_EQ((*json)["schema_version"], 1);
  EXPECT_EQ((*json)["model"]["name"], "small");
  EXPECT_EQ((*json)["entry_points"][0]["inputs"][0]["shape"], Json({4}));
  EXPECT_EQ((*json)["memory"]["total_bytes"], 160);
  EXPECT_EQ((*json)["memory"]["workspaces"]["apply"]["buffers"][0]["last_use"], 1);
  EXPECT_EQ((*json)["kernels"][0]["launches"], 1);
  EXPECT_EQ((*json)["variables"][0]["name"], "weight");
  EXPECT_EQ((*json)["program"]["apply"][1]["operation"], "copy %0:16 -> @y");
  EXPECT_FALSE(inspectJson(*makeArtifact(), {"memory"})->contains("program"));
}

} // namespace
} // namespace moe::engine

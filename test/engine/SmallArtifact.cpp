//===- SmallArtifact.cpp - A program of three instructions ----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/engine/SmallArtifact.h"

#include "runtime/format/ArtifactWriter.h"
#include "test/engine/EngineTest.h"

#include <array>

namespace moe::test {

using format::BufferRef, format::Space;

format::ArtifactT emptyArtifact(std::int64_t parameters) {
  format::ArtifactT artifact;
  artifact.producer = "engine tests";
  artifact.target = std::make_unique<format::TargetT>();
  artifact.target->name = "null";
  artifact.target->arch = "none";
  const std::string count = std::to_string(parameters);
  artifact.model = R"({"name": "small", "vocab_size": 4, "hidden_size": 4, "num_layers": 0, "sparse_layers": [],
                       "parameters": )" +
                   count + R"(, "active_parameters": )" + count + "}";
  return artifact;
}

std::shared_ptr<const Artifact> smallArtifact() {
  format::ArtifactT artifact = emptyArtifact(16);
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

} // namespace moe::test

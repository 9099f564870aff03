//===- ValidateTest.cpp - Tables that mean nothing ---------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

#include <functional>
#include <limits>

using namespace moe;
using namespace moe::test;
using format::ArtifactT;
using format::LaunchT;

namespace {

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

LaunchT &launchOf(ArtifactT &table, std::size_t instruction) {
  return *table.entry_points[0]->program[instruction]->operation.AsLaunch();
}

struct Case {
  const char *name;
  const char *message;
  std::function<void(ArtifactT &)> damage;
};

/// A valid one of 62 rows of 16 floats for `test_add`.
format::TensorMapT &addTensorMap(ArtifactT &table) {
  auto map = std::make_unique<format::TensorMapT>();
  map->buffer = 1;
  map->dims = {16, 62};
  map->strides = {64};
  map->box = {16, 8};
  map->swizzle = 64;
  return *table.kernels[0]->tensor_maps.emplace_back(std::move(map));
}

const Case kCases[] = {
    {"NoTarget", "target", [](ArtifactT &table) { table.target->name = ""; }},
    {"UnknownDType", "unknown element type 99",
     [](ArtifactT &table) { table.variables[0]->dtype = static_cast<format::DType>(99); }},
    {"NegativeDType", "unknown element type -1",
     [](ArtifactT &table) { table.variables[0]->dtype = static_cast<format::DType>(-1); }},
    {"NegativeDimension", "f32[10,-100] has no valid size",
     [](ArtifactT &table) { table.variables[0]->shape = {10, -100}; }},
    {"ShapeOverflow", "variable 0 ('weight')",
     [](ArtifactT &table) { table.variables[0]->shape = {std::int64_t{1} << 32, std::int64_t{1} << 32}; }},
    {"SizeOverflow", "variable 0 ('weight')",
     [](ArtifactT &table) { table.variables[0]->shape = {std::numeric_limits<std::int64_t>::max()}; }},
    {"SumOverflow", "bytes exceed",
     [](ArtifactT &table) {
       for (auto &variable : table.variables)
         variable->shape = {std::int64_t{1} << 45};
     }},
    {"DuplicateVariable", "variable 1 ('weight'): the name occurs twice",
     [](ArtifactT &table) { table.variables[1]->name = "weight"; }},
    {"EmptyName", "variable 0: its name is empty", [](ArtifactT &table) { table.variables[0]->name = ""; }},
    {"ControlCharacters", "control characters", [](ArtifactT &table) { table.kernels[0]->name = "a\nb"; }},
    {"UnknownRole", "unknown role 4",
     [](ArtifactT &table) { table.variables[0]->role = static_cast<format::VariableRole>(4); }},
    {"UnknownInitializer", "unknown initializer 4",
     [](ArtifactT &table) { table.variables[0]->initializer->kind = static_cast<format::InitializerKind>(4); }},
    {"NegativeStddev", "stddev is -1", [](ArtifactT &table) { table.variables[0]->initializer->stddev = -1; }},
    {"NaNStddev", "stddev is",
     [](ArtifactT &table) { table.variables[0]->initializer->stddev = std::numeric_limits<double>::quiet_NaN(); }},
    {"CopyOfALaterVariable", "variable 0 ('weight'): it copies variable 1, which does not come before it",
     [](ArtifactT &table) {
       table.variables[0]->initializer->kind = format::InitializerKind::copy;
       table.variables[0]->initializer->source = 1;
     }},
    {"CopyOfItself", "it copies variable 1, which does not come before it",
     [](ArtifactT &table) {
       table.variables[1]->initializer->kind = format::InitializerKind::copy;
       table.variables[1]->initializer->source = 1;
     }},
    {"CopyOfAnotherShape", "cannot be a copy of f32[10,100]",
     [](ArtifactT &table) {
       table.variables[1]->initializer->kind = format::InitializerKind::copy;
       table.variables[1]->shape = {100, 10};
     }},
    {"CopyToIntegers", "i32[10,100] cannot be a copy of f32[10,100]",
     [](ArtifactT &table) {
       table.variables[2]->initializer->kind = format::InitializerKind::copy;
       table.variables[2]->shape = {10, 100};
     }},
    {"NormalIntegers", "not i32",
     [](ArtifactT &table) { table.variables[2]->initializer->kind = format::InitializerKind::normal; }},
    {"DuplicateKernel", "kernel 1 ('test_add'): the name occurs twice",
     [](ArtifactT &table) { table.kernels[1]->name = "test_add"; }},
    {"NoSuchBlob", "is in blob 1, but there are 1 blobs", [](ArtifactT &table) { table.kernels[0]->blob = 1; }},
    {"HugeScratch", "bytes exceed", [](ArtifactT &table) { table.kernels[0]->scratch_bytes = kHuge; }},
    {"TensorMapOfNoBuffer", "kernel 0 ('test_add'), tensor map 0: buffer 3 does not exist",
     [](ArtifactT &table) { addTensorMap(table).buffer = 3; }},
    {"TensorMapRank", "has 2 dimensions, 1 strides and 1 extents of a box",
     [](ArtifactT &table) { addTensorMap(table).box = {16}; }},
    {"TensorMapDType", "unknown element type 99",
     [](ArtifactT &table) { addTensorMap(table).dtype = static_cast<format::DType>(99); }},
    {"TensorMapStride", "no GPU can encode", [](ArtifactT &table) { addTensorMap(table).strides = {72}; }},
    {"TensorMapDim", "no GPU can encode", [](ArtifactT &table) { addTensorMap(table).dims = {16, 0}; }},
    {"TensorMapBox", "no GPU can encode", [](ArtifactT &table) { addTensorMap(table).box = {16, 257}; }},
    {"TensorMapSwizzle", "no GPU can encode", [](ArtifactT &table) { addTensorMap(table).swizzle = 48; }},
    {"TensorMapSwizzleOfWideRows", "no GPU can encode", [](ArtifactT &table) { addTensorMap(table).swizzle = 32; }},
    {"TensorMapTooLarge", "('layers.0/add'): tensor map 0 spans 4032 bytes of buffer 1, which has 4000",
     [](ArtifactT &table) { addTensorMap(table).dims = {16, 63}; }},
    {"TensorMapOverflow", "spans 281474976710656 bytes",
     [](ArtifactT &table) {
       addTensorMap(table).dims = {16, std::uint64_t{1} << 32};
       table.kernels[0]->tensor_maps[0]->strides = {std::uint64_t{1} << 39};
     }},
    {"DuplicateEntryPoint", "entry point 1 ('step'): the name occurs twice",
     [](ArtifactT &table) { table.entry_points[1]->name = "step"; }},
    {"DuplicatePort", "output 1 ('scalar'): the name occurs twice",
     [](ArtifactT &table) { table.entry_points[1]->outputs[1]->name = "scalar"; }},
    {"PortShape", "input 0 ('x')", [](ArtifactT &table) { table.entry_points[0]->inputs[0]->shape = {-1}; }},
    {"HugeWorkspace", "bytes exceed", [](ArtifactT &table) { table.entry_points[0]->workspace_bytes = kHuge; }},
    {"NoSuchKernel", "launches kernel 3, but there are 3 kernels",
     [](ArtifactT &table) { launchOf(table, 0).kernel = 3; }},
    {"TooFewBuffers", "('layers.0/add'): has 2 buffers, but kernel 'test_add' takes 3",
     [](ArtifactT &table) { launchOf(table, 0).buffers.pop_back(); }},
    {"BufferCountOverflow", "takes 4294967296",
     [](ArtifactT &table) {
       table.kernels[0]->num_operands = std::numeric_limits<std::uint32_t>::max();
       table.kernels[0]->num_results = 1;
     }},
    {"NoSuchVariable", "variable 4 does not exist, there are 4",
     [](ArtifactT &table) { launchOf(table, 0).buffers[1] = {Space::variable, 4, 0, 4}; }},
    {"NoSuchInput", "input 1 does not exist",
     [](ArtifactT &table) { launchOf(table, 0).buffers[0] = {Space::input, 1, 0, 4}; }},
    {"NoSuchOutput", "output 1 does not exist",
     [](ArtifactT &table) { launchOf(table, 1).buffers[1] = {Space::output, 1, 0, 4}; }},
    {"SecondWorkspace", "workspace 1 does not exist",
     [](ArtifactT &table) { launchOf(table, 1).buffers[0] = {Space::workspace, 1, 0, 4}; }},
    {"UnknownSpace", "unknown space 4",
     [](ArtifactT &table) { launchOf(table, 1).buffers[0] = {static_cast<Space>(4), 0, 0, 4}; }},
    {"OneByteTooMany", "bytes [0, +4001) of variable 0, which has 4000",
     [](ArtifactT &table) { launchOf(table, 0).buffers[1] = {Space::variable, 0, 0, 4001}; }},
    {"OneByteTooFar", "bytes [1, +4000) of variable 0",
     [](ArtifactT &table) { launchOf(table, 0).buffers[1] = {Space::variable, 0, 1, 4000}; }},
    {"OffsetOverflow", "of variable 0, which has 4000",
     [](ArtifactT &table) { launchOf(table, 0).buffers[1] = {Space::variable, 0, kHuge - 63, 64}; }},
    {"WritesInput", "writes an input",
     [](ArtifactT &table) { launchOf(table, 1).buffers[1] = {Space::input, 0, 0, 4000}; }},
    {"CopySizes", "copies 4000 bytes to 4",
     [](ArtifactT &table) {
       *table.entry_points[1]->program[0]->operation.AsCopy()->destination = {Space::output, 0, 0, 4};
     }},
    {"CopyOverlap", "source and destination overlap",
     [](ArtifactT &table) {
       *table.entry_points[1]->program[0]->operation.AsCopy()->source = {Space::variable, 0, 0, 64};
       *table.entry_points[1]->program[0]->operation.AsCopy()->destination = {Space::variable, 0, 63, 64};
     }},
    {"FillOutside", "destination: bytes [0, +300) of variable 3",
     [](ArtifactT &table) {
       *table.entry_points[1]->program[1]->operation.AsFill()->destination = {Space::variable, 3, 0, 300};
     }},
};

class ValidateTest : public testing::TestWithParam<Case> {};

TEST_P(ValidateTest, Refuses) {
  ArtifactBuilder builder = exampleArtifact();
  ASSERT_TRUE(builder.check().ok()) << builder.check().message();
  GetParam().damage(builder.table);
  EXPECT_ERROR(builder.check(), ErrorCode::corruptFile, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(Damage, ValidateTest, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case> &info) { return std::string(info.param.name); });

TEST(Validate, TensorMapsInsideTheirBuffersAreFine) {
  ArtifactBuilder builder = exampleArtifact();
  addTensorMap(builder.table);
  EXPECT_OK(builder.check());
}

// encodeArtifact fills in the blobs, so these are damaged there.
TEST(Validate, MachineCodeNamesItsArchitectureAndSource) {
  ArtifactBuilder builder = exampleArtifact();
  auto check = [&](format::BlobData blob) {
    const format::BlobData blobs[] = {{format::BlobKind::ptx, builder.code}, blob};
    return format::encodeArtifact(builder.table, blobs).status();
  };
  EXPECT_OK(check({format::BlobKind::cubin, builder.code, "sm_90a", 0}));
  EXPECT_OK(check({format::BlobKind::cubin, builder.code, "sm_90a"}));
  EXPECT_ERROR(check({format::BlobKind::cubin, builder.code}), ErrorCode::corruptFile,
               "blob 1: is a cubin that names no architecture");
  for (int source : {-2, 1, 2})
    EXPECT_ERROR(check({format::BlobKind::cubin, builder.code, "sm_90a", source}), ErrorCode::corruptFile,
                 "assembled from blob " + std::to_string(source));
  EXPECT_ERROR(check({format::BlobKind::ptx, builder.code, "", 0}), ErrorCode::corruptFile,
               "only a cubin is assembled");
}

TEST(Validate, EmptyTensorsAreFine) {
  ArtifactBuilder builder = exampleArtifact();
  builder.variable("empty", format::VariableRole::parameter, {0, 8}, format::InitializerKind::normal, 1.0);
  format::EntryPointT &nothing = builder.entryPoint("nothing");
  ArtifactBuilder::fill(nothing, BufferRef(Space::variable, 4, 0, 0), 1);
  ArtifactBuilder::fill(nothing, BufferRef(Space::workspace, 0, 0, 0), 1);
  auto session = makeSession(builder.build());
  ASSERT_NE(session, nullptr);
  EXPECT_OK(session->initialize(1));
  EXPECT_OK(session->find("nothing")->run());
  EXPECT_TRUE(readFloats(*session, "empty", 0).empty());
}

} // namespace

//===- TestArtifact.cpp - Small artifacts for tests --------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

#include "runtime/format/MappedFile.h"

// The tests run out of memory on purpose: under a sanitizer, too, that is an error code and not the end.
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char *__tsan_default_options() { return "allocator_may_return_null=1"; }

namespace moe::test {

using format::DType, format::InitializerKind, format::VariableRole, format::EntryPointT, format::PortT, format::LaunchT,
    format::CopyT, format::FillT, format::InstructionT, format::VariableT, format::InitializerT, format::KernelT,
    format::TargetT, format::Dim3, format::BlobData, format::BlobKind, format::MappedFile;

ArtifactBuilder::ArtifactBuilder(const std::string &target) {
  table.producer = "runtime tests";
  table.target = std::make_unique<TargetT>();
  table.target->name = target;
  table.target->arch = target == "cuda" ? "sm_80" : "x86-64";
  table.model = "{}";
  if (target == "cuda")
    return;
  auto object = MappedFile::open(MOE_TEST_KERNELS);
  EXPECT_OK(object);
  if (object)
    code.assign(object->bytes().begin(), object->bytes().end());
}

unsigned ArtifactBuilder::variable(const std::string &name, VariableRole role, std::vector<std::int64_t> shape,
                                   InitializerKind kind, double stddev, DType dtype) {
  auto variable = std::make_unique<VariableT>();
  variable->name = name;
  variable->role = role;
  variable->dtype = dtype;
  variable->shape = std::move(shape);
  variable->initializer = std::make_unique<InitializerT>();
  variable->initializer->kind = kind;
  variable->initializer->stddev = stddev;
  table.variables.push_back(std::move(variable));
  return static_cast<unsigned>(table.variables.size() - 1);
}

unsigned ArtifactBuilder::kernel(const std::string &name, std::uint32_t items, unsigned operands, unsigned results,
                                 std::uint64_t scratchBytes) {
  auto kernel = std::make_unique<KernelT>();
  kernel->name = name;
  kernel->grid = std::make_unique<Dim3>(items, 1, 1);
  kernel->block = std::make_unique<Dim3>(1, 1, 1);
  kernel->num_operands = operands;
  kernel->num_results = results;
  kernel->scratch_bytes = scratchBytes;
  table.kernels.push_back(std::move(kernel));
  return static_cast<unsigned>(table.kernels.size() - 1);
}

EntryPointT &ArtifactBuilder::entryPoint(const std::string &name, std::uint64_t workspaceBytes) {
  auto entryPoint = std::make_unique<EntryPointT>();
  entryPoint->name = name;
  entryPoint->workspace_bytes = workspaceBytes;
  table.entry_points.push_back(std::move(entryPoint));
  return *table.entry_points.back();
}

static std::unique_ptr<PortT> makePort(const std::string &name, std::vector<std::int64_t> shape) {
  auto port = std::make_unique<PortT>();
  port->name = name;
  port->dtype = DType::f32;
  port->shape = std::move(shape);
  return port;
}

void ArtifactBuilder::input(EntryPointT &entryPoint, const std::string &name, std::vector<std::int64_t> shape) {
  entryPoint.inputs.push_back(makePort(name, std::move(shape)));
}

void ArtifactBuilder::output(EntryPointT &entryPoint, const std::string &name, std::vector<std::int64_t> shape) {
  entryPoint.outputs.push_back(makePort(name, std::move(shape)));
}

template <typename T> static void append(EntryPointT &entryPoint, T operation, const std::string &label = "") {
  auto instruction = std::make_unique<InstructionT>();
  instruction->operation.Set(std::move(operation));
  instruction->label = label;
  entryPoint.program.push_back(std::move(instruction));
}

void ArtifactBuilder::launch(EntryPointT &entryPoint, unsigned kernel, std::vector<BufferRef> buffers,
                             const std::string &label) {
  LaunchT launch;
  launch.kernel = kernel;
  launch.buffers = std::move(buffers);
  append(entryPoint, std::move(launch), label);
}

void ArtifactBuilder::copy(EntryPointT &entryPoint, BufferRef source, BufferRef destination) {
  CopyT copy;
  copy.source = std::make_unique<BufferRef>(source);
  copy.destination = std::make_unique<BufferRef>(destination);
  append(entryPoint, std::move(copy));
}

void ArtifactBuilder::fill(EntryPointT &entryPoint, BufferRef destination, std::uint8_t value) {
  FillT fill;
  fill.destination = std::make_unique<BufferRef>(destination);
  fill.value = value;
  append(entryPoint, std::move(fill));
}

std::vector<std::byte> ArtifactBuilder::encode() {
  std::vector<BlobData> blobs = {{table.target->name == "cpu" ? BlobKind::elf : BlobKind::ptx, code}};
  blobs.insert(blobs.end(), moreBlobs.begin(), moreBlobs.end());
  auto bytes = encodeArtifact(table, blobs);
  EXPECT_OK(bytes);
  return bytes ? std::move(*bytes) : std::vector<std::byte>();
}

Status ArtifactBuilder::check() {
  const BlobData blob{BlobKind::elf, code};
  return encodeArtifact(table, {&blob, 1}).status();
}

std::shared_ptr<const Artifact> ArtifactBuilder::build() {
  auto artifact = Artifact::fromBytes(encode());
  EXPECT_OK(artifact);
  return artifact ? *artifact : nullptr;
}

ArtifactBuilder exampleArtifact(const std::string &target) {
  constexpr std::uint64_t bytes = kElements * sizeof(float), offset = 128;
  ArtifactBuilder builder(target);
  const unsigned weight = builder.variable("weight", VariableRole::parameter, {10, 100}, InitializerKind::normal, 0.5);
  builder.variable("weight.exp_avg", VariableRole::optimizer, {10, 100});
  builder.variable("bias", VariableRole::buffer, {7}, InitializerKind::ones, 0, DType::i32);
  const unsigned cache = builder.variable("cache", VariableRole::cache, {64});

  const unsigned add = builder.kernel("test_add", kElements, 2, 1);
  const unsigned twice = builder.kernel("test_double", kElements, 1, 1);
  const unsigned increment = builder.kernel("test_increment", kElements, 1, 1);

  const BufferRef weightRef(Space::variable, weight, 0, bytes);
  EntryPointT &step = builder.entryPoint("step", offset + bytes);
  ArtifactBuilder::input(step, "x", {10, 100});
  ArtifactBuilder::output(step, "y", {10, 100});
  const BufferRef sum(Space::workspace, 0, offset, bytes);
  ArtifactBuilder::launch(step, add, {BufferRef(Space::input, 0, 0, bytes), weightRef, sum}, "layers.0/add");
  ArtifactBuilder::launch(step, twice, {sum, BufferRef(Space::output, 0, 0, bytes)}, "layers.0/double");
  ArtifactBuilder::launch(step, increment, {weightRef, weightRef}, "optimizer");

  EntryPointT &other = builder.entryPoint("other");
  ArtifactBuilder::output(other, "scalar", {});
  ArtifactBuilder::output(other, "weight", {kElements});
  ArtifactBuilder::copy(other, weightRef, BufferRef(Space::output, 1, 0, bytes));
  ArtifactBuilder::fill(other, BufferRef(Space::variable, cache, 0, 64 * sizeof(float)), 1);
  return builder;
}

std::unique_ptr<Session> makeSession(std::shared_ptr<const Artifact> artifact, int threads) {
  if (!artifact)
    return nullptr;
  auto session = Session::create(std::move(artifact), {.threads = threads});
  EXPECT_OK(session);
  return session ? std::move(*session) : nullptr;
}

std::vector<float> readFloats(Session &session, std::string_view variable, std::size_t count) {
  std::vector<float> values(count);
  EXPECT_OK(session.readVariable(variable, std::as_writable_bytes(std::span(values))));
  return values;
}

} // namespace moe::test

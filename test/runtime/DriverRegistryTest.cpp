//===- DriverRegistryTest.cpp - Drivers by name ------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

#include <algorithm>

using namespace moe;
using namespace moe::test;

namespace {

bool isRegistered(const std::string &name) {
  const std::vector<std::string> names = registeredDrivers();
  return std::find(names.begin(), names.end(), name) != names.end();
}

TEST(DriverRegistry, BuiltInDrivers) {
  EXPECT_TRUE(isRegistered("cpu"));
  EXPECT_TRUE(isRegistered("cuda"));
  EXPECT_TRUE(isRegistered("null"));
  const std::vector<std::string> names = registeredDrivers();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

TEST(DriverRegistry, UnknownDriverListsTheKnown) {
  EXPECT_ERROR(openDriver("tpu"), ErrorCode::unsupportedModel, "no driver 'tpu'; it has: cpu, cuda, null");
  ArtifactBuilder builder = exampleArtifact("tpu");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::unsupportedModel, "no driver 'tpu'");
}

// A failing device fails the run, and the message says where.
class FailingDriver final : public Driver {
public:
  explicit FailingDriver(std::unique_ptr<Driver> inner) : inner(std::move(inner)) {}
  std::string_view name() const override { return "failing"; }
  std::string description() const override { return "fails every copy"; }
  Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t bytes) override { return inner->allocate(bytes); }
  Status fill(BufferView destination, std::uint8_t value) override { return inner->fill(destination, value); }
  Status copy(BufferView, BufferView) override { return Status(ErrorCode::failed, "the cable is unplugged"); }
  Status write(std::span<const std::byte> source, BufferView destination) override {
    return inner->write(source, destination);
  }
  Status read(BufferView source, std::span<std::byte> destination) override { return inner->read(source, destination); }
  Result<std::vector<std::unique_ptr<LoadedKernel>>> load(const format::Artifact &artifact,
                                                          std::span<const std::span<const std::byte>> blobs) override {
    return std::vector<std::unique_ptr<LoadedKernel>>(artifact.kernels()->size());
  }
  Status launch(LoadedKernel &, std::span<const BufferView>) override { return {}; }
  Status synchronize() override { return {}; }

private:
  std::unique_ptr<Driver> inner;
};

TEST(DriverRegistry, DriversFromOutside) {
  auto factory = [](const DriverOptions &) -> Result<std::unique_ptr<Driver>> {
    auto inner = openDriver("null");
    if (!inner)
      return inner.status();
    return std::unique_ptr<Driver>(std::make_unique<FailingDriver>(std::move(*inner)));
  };
  EXPECT_FALSE(registerDriver("cpu", factory));
  ASSERT_TRUE(registerDriver("failing", factory));
  EXPECT_FALSE(registerDriver("failing", factory));
  EXPECT_TRUE(isRegistered("failing"));

  auto session = makeSession(exampleArtifact("failing").build());
  ASSERT_NE(session, nullptr);
  EXPECT_ERROR(session->find("other")->run(), ErrorCode::failed, "'other', instruction 0: the cable is unplugged");
}

} // namespace

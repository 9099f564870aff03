//===- CompiledDevice.cpp - An artifact as a device under test --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/conformance/CompiledDevice.h"

#include "lib/Compiler/Pipeline/Compile.h"
#include "lib/Compiler/Pipeline/Registration.h"
#include "runtime/format/DType.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/MemoryBuffer.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;
namespace format = ::moe::format;

/// `Described` is a format::Port or a format::Variable: of i32 or of a floating-point type.
template <typename Described>
static std::vector<std::byte> encode(const Described &described, const Tensor &tensor) {
  const size_t size = format::byteSize(described.dtype());
  std::vector<std::byte> bytes(tensor.size() * size);
  for (auto [index, value] : llvm::enumerate(tensor.values))
    format::encode(value, described.dtype(), bytes.data() + index * size);
  return bytes;
}
template <typename Described, typename Read>
static Tensor decode(const Described &described, Read read) {
  const size_t size = format::byteSize(described.dtype());
  Tensor tensor(SmallVector<int64_t>(described.shape()->begin(), described.shape()->end()));
  std::vector<std::byte> bytes(tensor.size() * size);
  ::moe::Status status = read(std::span<std::byte>(bytes));
  EXPECT_TRUE(status.ok()) << status.message();
  for (auto [index, value] : llvm::enumerate(tensor.values)) {
    const std::byte *element = bytes.data() + index * size;
    value = described.dtype() == format::DType::i32 ? double(int32_t(llvm::support::endian::read32le(element)))
                                                    : format::decodeFloat(element, described.dtype());
  }
  return tensor;
}

static std::shared_ptr<const ::moe::Artifact> compile(const std::string &path, const std::string &target) {
  static const bool registered = [] {
    registerAllPasses();
    return true;
  }();
  (void)registered;
  auto file = llvm::MemoryBuffer::getFile(path);
  EXPECT_TRUE(bool(file)) << path;
  if (!file)
    return nullptr;
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  CompileOptions options;
  options.target = target;
  options.keepGradients = true;
  FailureOr<std::vector<std::byte>> bytes = compileToArtifact((*file)->getBuffer(), context, options);
  EXPECT_TRUE(succeeded(bytes)) << path << " for " << target;
  if (failed(bytes))
    return nullptr;
  auto artifact = ::moe::Artifact::fromBytes(*bytes);
  EXPECT_TRUE(artifact.ok()) << artifact.status().message();
  return artifact ? *artifact : nullptr;
}

std::shared_ptr<const ::moe::Artifact> conformance::compileArtifact(const std::string &path,
                                                                    const std::string &target) {
  static std::map<std::pair<std::string, std::string>, std::shared_ptr<const ::moe::Artifact>> compiled;
  auto [entry, inserted] = compiled.try_emplace({path, target});
  if (inserted)
    entry->second = compile(path, target);
  return entry->second;
}

bool CompiledDevice::canRun(StringRef target) { return ::moe::openDriver(target.split(':').first).ok(); }

std::unique_ptr<CompiledDevice> CompiledDevice::load(std::shared_ptr<const ::moe::Artifact> artifact, int threads) {
  if (!artifact)
    return nullptr;
  ::moe::DriverOptions driver;
  driver.threads = threads;
  auto session = ::moe::Session::create(std::move(artifact), driver);
  EXPECT_TRUE(session.ok()) << session.status().message();
  if (!session)
    return nullptr;
  auto device = std::make_unique<CompiledDevice>();
  device->session = std::move(*session);
  return device;
}

static const format::Variable *findVariable(const ::moe::Session &session, StringRef name) {
  for (const format::Variable *variable : *session.artifact().table().variables())
    if (variable->name()->string_view() == std::string_view(name))
      return variable;
  return nullptr;
}

void CompiledDevice::setVariable(StringRef name, const Tensor &value) {
  const format::Variable *variable = findVariable(*session, name);
  ASSERT_TRUE(variable) << name.str();
  ::moe::Status status = session->writeVariable(name, encode(*variable, value));
  EXPECT_TRUE(status.ok()) << status.message();
}

Tensor CompiledDevice::getVariable(StringRef name) {
  const format::Variable *variable = findVariable(*session, name);
  EXPECT_TRUE(variable) << name.str();
  return decode(*variable, [&](std::span<std::byte> bytes) { return session->readVariable(name, bytes); });
}

std::optional<NamedTensors> CompiledDevice::run(StringRef entry, const NamedTensors &inputs) {
  ::moe::EntryPoint *compiled = session->find(entry);
  EXPECT_TRUE(compiled) << entry.str();
  if (!compiled)
    return std::nullopt;
  for (const format::Port *port : *compiled->table().inputs()) {
    ::moe::Status status = compiled->setInput(port->name()->string_view(),
                                              std::span<const std::byte>(encode(*port, inputs.at(port->name()->str()))));
    EXPECT_TRUE(status.ok()) << status.message();
  }
  ::moe::Status status = compiled->run();
  EXPECT_TRUE(status.ok()) << status.message();
  NamedTensors outputs;
  for (const format::Port *port : *compiled->table().outputs())
    outputs[port->name()->str()] = decode(
        *port, [&](std::span<std::byte> bytes) { return compiled->getOutput(port->name()->string_view(), bytes); });
  return outputs;
}

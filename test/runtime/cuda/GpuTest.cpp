//===- GpuTest.cpp - The driver cuda on a GPU -----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CudaKernels.h"

#include "runtime/format/MappedFile.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <unistd.h>

using namespace moe;
using namespace moe::test;

namespace {

/// Skipped ("unsupported") where there is no GPU of compute capability 8.0 or later.
class CudaGpu : public testing::Test {
protected:
  void SetUp() override {
    ::unsetenv("MOE_CUDA_LIBRARY");
    auto opened = openDriver("cuda");
    if (!opened && opened.status().code() == ErrorCode::unsupportedModel)
      GTEST_SKIP() << opened.status().message();
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    driver = std::move(*opened);
  }

  std::string architecture() {
    for (const DeviceFact &fact : driver->facts())
      if (fact.name == "architecture")
        return std::get<std::string>(fact.value);
    return "";
  }

  std::unique_ptr<Driver> driver;
};

std::vector<float> inputs() {
  std::vector<float> x(kRows * kColumns);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(static_cast<float>(i)) * 3;
  return x;
}

/// y of rowSumsArtifact, computed on the host with the same roundings.
std::vector<float> expectedSums(const std::vector<float> &x, const std::vector<float> &weight) {
  std::vector<float> y(kRows);
  for (std::int64_t row = 0; row < kRows; ++row) {
    float sum = 0;
    for (std::int64_t column = 0; column < kColumns; ++column)
      sum = std::fma(sum, 0.999f, x[row * kColumns + column] + weight[row * kColumns + column]);
    y[kRows - 1 - row] = sum;
  }
  return y;
}

TEST_F(CudaGpu, RunsAProgram) {
  auto session = makeSession(exampleCudaArtifact().build());
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(3).ok());
  std::vector<float> weight = readFloats(*session, "weight", kElements), x(kElements), y(kElements);
  std::iota(x.begin(), x.end(), -100.0f);
  EntryPoint *step = session->find("step"), *other = session->find("other");
  EXPECT_OK(step->setInput("x", x));
  for (int repetition = 0; repetition < 3; ++repetition) {
    EXPECT_OK(step->run());
    EXPECT_OK(step->getOutput("y", y));
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(y[i], 2 * (x[i] + weight[i])) << i;
      weight[i] += 1;
    }
  }
  EXPECT_OK(other->run());
  EXPECT_OK(other->getOutput("weight", y));
  EXPECT_EQ(y, weight);
}

// Rounding at every step, so that another order would show.
TEST_F(CudaGpu, GraphsAndSingleLaunchesGiveTheSameBits) {
  auto artifact = rowSumsArtifact().build();
  auto graph = makeSession(artifact), single = makeSession(artifact);
  ASSERT_TRUE(graph && single);
  std::chrono::nanoseconds total{0};
  single->setObserver([&](const InstructionTiming &timing) { total += timing.end - timing.begin; });
  const std::vector<float> x = inputs();
  std::vector<float> y(kRows), other(kRows);
  for (Session *session : {graph.get(), single.get()}) {
    ASSERT_TRUE(session->initialize(7).ok());
    EXPECT_OK(session->find("step")->setInput("x", x));
  }
  for (int repetition = 0; repetition < 100; ++repetition) {
    const std::vector<float> weight = readFloats(*graph, "weight", kRows * kColumns);
    EXPECT_OK(graph->find("step")->run());
    EXPECT_OK(single->find("step")->run());
    EXPECT_OK(graph->find("step")->getOutput("y", y));
    EXPECT_OK(single->find("step")->getOutput("y", other));
    ASSERT_EQ(y, other) << repetition;
    ASSERT_EQ(y, expectedSums(x, weight)) << repetition;
    ASSERT_EQ(readFloats(*graph, "history", kRows), y);
  }
  EXPECT_GT(total.count(), 0);
}

// The host runs ahead: inputs of later steps are written while earlier ones run.
TEST_F(CudaGpu, StepsAreInOrder) {
  auto session = makeSession(exampleCudaArtifact().build());
  ASSERT_NE(session, nullptr);
  EntryPoint *step = session->find("step");
  std::vector<float> x(kElements), y(kElements);
  for (int i = 0; i < 2000; ++i) {
    std::fill(x.begin(), x.end(), static_cast<float>(i));
    ASSERT_TRUE(step->setInput("x", x).ok());
    ASSERT_TRUE(step->run().ok());
  }
  EXPECT_OK(step->getOutput("y", y));
  EXPECT_EQ(y, std::vector<float>(kElements, 2 * (1999.0f + 1999.0f)));
}

TEST_F(CudaGpu, LargeCopies) {
  constexpr std::size_t size = (70u << 20) + 3;
  auto memory = driver->allocate(size);
  ASSERT_TRUE(memory.ok());
  std::vector<std::byte> source(size), target(size);
  for (std::size_t i = 0; i < size; ++i)
    source[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  EXPECT_OK(driver->write(source, {memory->get(), 0, size}));
  EXPECT_OK(driver->read({memory->get(), 0, size}, target));
  EXPECT_TRUE(source == target);
}

TEST_F(CudaGpu, MachineCodeOfPtxas) {
  const std::string arch = architecture(), stem = testing::TempDir() + "moe-kernels." + std::to_string(::getpid());
  std::ofstream(stem + ".ptx") << kCudaKernels;
  const std::string command =
      "PATH=$PATH:/usr/local/cuda/bin ptxas -arch=" + arch + " -o " + stem + ".cubin " + stem + ".ptx >/dev/null 2>&1";
  const bool compiled = std::system(command.c_str()) == 0;
  std::filesystem::remove(stem + ".ptx");
  if (!compiled)
    GTEST_SKIP() << "no ptxas for " << arch;
  auto cubin = format::MappedFile::open(stem + ".cubin");
  std::filesystem::remove(stem + ".cubin");
  ASSERT_TRUE(cubin.ok());

  // The PTX is broken, so it runs only if the machine code was taken.
  ArtifactBuilder builder = rowSumsArtifact();
  setCode(builder, "not PTX");
  builder.moreBlobs.push_back({format::BlobKind::cubin, cubin->bytes(), arch, 0});
  auto session = makeSession(builder.build());
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(1).ok());
  const std::vector<float> x = inputs(), weight = readFloats(*session, "weight", kRows * kColumns);
  std::vector<float> y(kRows);
  EXPECT_OK(session->find("step")->setInput("x", x));
  EXPECT_OK(session->find("step")->run());
  EXPECT_OK(session->find("step")->getOutput("y", y));
  EXPECT_EQ(y, expectedSums(x, weight));
}

TEST_F(CudaGpu, Errors) {
  ArtifactBuilder broken = exampleCudaArtifact();
  setCode(broken, kCudaKernels + "\n.visible .entry broken() { what; }\n");
  EXPECT_ERROR(Session::create(broken.build()), ErrorCode::corruptFile, "ptxas");

  ArtifactBuilder tooNew = exampleCudaArtifact();
  std::string ptx = kCudaKernels;
  setCode(tooNew, ptx.replace(ptx.find("7.0"), 3, "99.0"));
  EXPECT_ERROR(Session::create(tooNew.build()), ErrorCode::unsupportedModel, "does not know this version of PTX");

  ArtifactBuilder elsewhere = exampleCudaArtifact();
  elsewhere.table.target->arch = architecture() == "sm_90" ? "sm_100a" : "sm_90a";
  EXPECT_ERROR(Session::create(elsewhere.build()), ErrorCode::unsupportedModel, " only, but this is ");

  ArtifactBuilder large = exampleCudaArtifact();
  large.table.entry_points[0]->workspace_bytes = std::uint64_t{1} << 42;
  EXPECT_ERROR(Session::create(large.build()), ErrorCode::doesNotFit, "needs 4194304.0 MiB of device memory");
  EXPECT_ERROR(driver->allocate(std::size_t{1} << 42), ErrorCode::doesNotFit, "allocating 4398046511104 bytes");

  ArtifactBuilder parameters = exampleCudaArtifact();
  parameters.table.kernels[0]->name = "test_reverse";
  EXPECT_ERROR(Session::create(parameters.build()), ErrorCode::corruptFile, "has 2 parameters for 3 buffers");

  ArtifactBuilder shared = exampleCudaArtifact();
  shared.table.kernels[0]->shared_bytes = 1 << 20;
  EXPECT_ERROR(Session::create(shared.build()), ErrorCode::doesNotFit, "bytes of shared memory");

  EXPECT_ERROR(openDriver("cuda", {.device = 1000}), ErrorCode::configuration, "no CUDA device 1000");
  auto session = makeSession(exampleCudaArtifact().build());
  ASSERT_NE(session, nullptr);
  // None of this has harmed the device.
  EXPECT_OK(session->find("step")->run());
  EXPECT_OK(session->driver().synchronize());
}

TEST_F(CudaGpu, MemoryInUseIsThePlan) {
  ArtifactBuilder builder = exampleCudaArtifact();
  builder.table.entry_points[0]->workspace_bytes = std::uint64_t{1} << 30;
  const auto before = driver->availableMemory();
  auto session = makeSession(builder.build());
  ASSERT_TRUE(before && session);
  const auto after = driver->availableMemory();
  // Each of the six allocations is rounded up to the driver's pages of 2 MiB; code takes some too.
  EXPECT_NEAR(static_cast<double>(*before - *after), static_cast<double>(session->memoryUse().total()), 32 << 20);
}

TEST_F(CudaGpu, SelfTest) {
  auto facts = driver->selfTest();
  ASSERT_TRUE(facts.ok()) << facts.status().message();
  for (const DeviceFact &fact : *facts)
    EXPECT_GT(std::get<double>(fact.value), 0) << fact.name;
}

} // namespace

//===- FakeDeviceTest.cpp - The driver cuda without a GPU -----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "FakeDevice.h"
#include "CudaKernels.h"

#include <elf.h>
#include <numeric>

using namespace moe;
using namespace moe::test;

namespace {

using CudaDriver = FakeDeviceTest;

TEST_F(CudaDriver, RunsAProgram) {
  auto session = makeSession(exampleCudaArtifact().build());
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(3).ok());
  EXPECT_EQ(session->driver().name(), "cuda");
  EXPECT_EQ(session->driver().description(), "Fake GPU, compute capability 9.0");
  std::vector<float> weight = readFloats(*session, "weight", kElements), x(kElements), y(kElements);
  std::iota(x.begin(), x.end(), -100.0f);
  EntryPoint *step = session->find("step");
  EXPECT_OK(step->setInput("x", x));
  for (int repetition = 0; repetition < 3; ++repetition) {
    EXPECT_OK(step->run());
    EXPECT_OK(step->getOutput("y", y));
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(y[i], 2 * (x[i] + weight[i])) << i;
      weight[i] += 1;
    }
  }
  EXPECT_EQ(readFloats(*session, "weight", kElements), weight);
}

// Encoded for the buffers of each launch, and kept by the graph that was recorded from it.
TEST_F(CudaDriver, TensorMapsFollowTheBuffers) {
  auto session = makeSession(tensorMapArtifact().build());
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(3).ok());
  std::vector<float> weight = readFloats(*session, "weight", kElements), x(kElements, 3), y(kElements);
  EntryPoint *step = session->find("step");
  EXPECT_OK(step->setInput("x", x));
  const long encodings = calls("cuTensorMapEncodeTiled");
  for (int repetition = 0; repetition < 3; ++repetition) {
    EXPECT_OK(step->run());
    EXPECT_OK(step->getOutput("y", y));
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(y[i], 2 * (x[i] + weight[i])) << i;
      weight[i] += 1;
    }
  }
  EXPECT_EQ(calls("cuTensorMapEncodeTiled"), encodings + 2) << "once, while recording";
}

TEST_F(CudaDriver, AProgramIsOneGraph) {
  auto session = makeSession(exampleCudaArtifact().build());
  ASSERT_NE(session, nullptr);
  const long captures = calls("cuStreamBeginCapture_v2"), graphs = calls("cuGraphLaunch"),
             kernels = calls("cuLaunchKernelEx"), waits = calls("cuStreamSynchronize") + calls("cuEventSynchronize");
  for (int repetition = 0; repetition < 5; ++repetition)
    EXPECT_OK(session->find("step")->run());
  EXPECT_EQ(calls("cuStreamBeginCapture_v2"), captures + 1);
  EXPECT_EQ(calls("cuLaunchKernelEx"), kernels + 3) << "while capturing";
  EXPECT_EQ(calls("cuGraphLaunch"), graphs + 5);
  EXPECT_EQ(calls("cuStreamSynchronize") + calls("cuEventSynchronize"), waits) << "the host does not wait in a step";
}

/// Its step is a fill, three launches, two copies and a launch.
ArtifactBuilder dependentArtifact() {
  ArtifactBuilder builder = rowSumsArtifact();
  for (auto &kernel : builder.table.kernels)
    kernel->dependent_launch = true;
  return builder;
}

// A kernel that waits by itself may begin early, but only after a kernel: what copies or fills is waited for in full.
TEST_F(CudaDriver, OnlyWhatFollowsAKernelBeginsEarly) {
  auto session = makeSession(dependentArtifact().build());
  ASSERT_NE(session, nullptr);
  const long kernels = calls("cuLaunchKernelEx"), dependent = calls("dependent launch");
  for (int repetition = 0; repetition < 3; ++repetition)
    EXPECT_OK(session->find("step")->run());
  EXPECT_EQ(calls("cuLaunchKernelEx"), kernels + 4);
  EXPECT_EQ(calls("dependent launch"), dependent + 2);
}

TEST_F(CudaDriver, NothingBeginsEarlyThatCannot) {
  const long dependent = calls("dependent launch");
  auto run = [&](ArtifactBuilder builder, bool observed = false) {
    auto session = makeSession(builder.build());
    ASSERT_NE(session, nullptr);
    if (observed)
      session->setObserver([](const InstructionTiming &) {});
    EXPECT_OK(session->find("step")->run());
    EXPECT_EQ(calls("dependent launch"), dependent);
  };
  run(rowSumsArtifact());
  run(dependentArtifact(), /*observed=*/true); // Kernels that are timed one by one do not overlap.
  configure("version=12020");                  // Graphs know it since 12.3.
  run(dependentArtifact());
  configure("");
  ::setenv("MOE_CUDA_DEPENDENT_LAUNCH", "0", 1);
  run(dependentArtifact());
  ::unsetenv("MOE_CUDA_DEPENDENT_LAUNCH");
}

TEST_F(CudaDriver, GraphsAndSingleLaunchesAgree) {
  auto artifact = rowSumsArtifact().build();
  auto graph = makeSession(artifact), single = makeSession(artifact);
  ASSERT_TRUE(graph && single);
  std::size_t instructions = 0;
  single->setObserver([&](const InstructionTiming &timing) {
    ++instructions;
    EXPECT_EQ(timing.end - timing.begin, std::chrono::microseconds(250)) << "what the events say";
  });
  const long graphs = calls("cuGraphLaunch");
  std::vector<float> x(kRows * kColumns), y(kRows), other(kRows);
  std::iota(x.begin(), x.end(), 0.5f);
  for (Session *session : {graph.get(), single.get()}) {
    ASSERT_TRUE(session->initialize(7).ok());
    EXPECT_OK(session->find("step")->setInput("x", x));
    EXPECT_OK(session->find("step")->run());
    EXPECT_OK(session->find("step")->run());
    EXPECT_OK(session->find("step")->getOutput("y", session == graph.get() ? y : other));
  }
  EXPECT_EQ(y, other);
  EXPECT_NE(y[0], 0.0f);
  EXPECT_EQ(readFloats(*graph, "history", kRows), y);
  EXPECT_EQ(instructions, 14u);
  EXPECT_EQ(calls("cuGraphLaunch"), graphs + 2);
}

// The fake driver copies as late as it may, so a piece that is used again too early shows.
TEST_F(CudaDriver, LargeAndManySmallCopies) {
  auto driver = openDriver("cuda");
  ASSERT_TRUE(driver.ok());
  constexpr std::size_t size = (37u << 20) + 5;
  auto memory = (*driver)->allocate(size);
  ASSERT_TRUE(memory.ok());
  std::vector<std::byte> source(size), target(size);
  for (std::size_t i = 0; i < size; ++i)
    source[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  EXPECT_OK((*driver)->write(source, {memory->get(), 0, size}));
  EXPECT_OK((*driver)->read({memory->get(), 0, size}, target));
  EXPECT_TRUE(source == target);

  // Writes of growing size, from a buffer that changes right after each.
  EXPECT_OK((*driver)->fill({memory->get(), 0, size}, 0));
  std::size_t offset = 0;
  for (std::size_t bytes = 1; offset + bytes <= size; offset += bytes, bytes += 997) {
    std::vector<std::byte> part(source.begin() + offset, source.begin() + offset + bytes);
    ASSERT_TRUE((*driver)->write(part, {memory->get(), offset, bytes}).ok());
    std::fill(part.begin(), part.end(), std::byte{0xee});
  }
  EXPECT_OK((*driver)->read({memory->get(), 0, offset}, std::span(target).first(offset)));
  EXPECT_TRUE(std::equal(source.begin(), source.begin() + offset, target.begin()));
  EXPECT_OK((*driver)->write({}, {memory->get(), 0, 0}));
  EXPECT_OK((*driver)->read({memory->get(), 0, 0}, {}));
}

TEST_F(CudaDriver, FillsAnyRange) {
  auto driver = openDriver("cuda");
  ASSERT_TRUE(driver.ok());
  auto memory = (*driver)->allocate(64);
  ASSERT_TRUE(memory.ok());
  std::vector<std::byte> bytes(64);
  EXPECT_OK((*driver)->fill({memory->get(), 0, 64}, 1));
  EXPECT_OK((*driver)->fill({memory->get(), 4, 8}, 0x7f));
  EXPECT_OK((*driver)->fill({memory->get(), 17, 2}, 0xfe));
  EXPECT_OK((*driver)->fill({memory->get(), 30, 0}, 9));
  EXPECT_OK((*driver)->read({memory->get(), 0, 64}, bytes));
  for (std::size_t i = 0; i < 64; ++i)
    EXPECT_EQ(bytes[i], i >= 4 && i < 12 ? std::byte{0x7f} : i == 17 || i == 18 ? std::byte{0xfe} : std::byte{1}) << i;
}

/// A cubin as the fake driver knows it: an ELF header, then PTX.
std::string fakeCubin(const std::string &ptx) {
  Elf64_Ehdr header = {};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  return std::string(reinterpret_cast<const char *>(&header), sizeof(header)) + ptx + '\0';
}

TEST_F(CudaDriver, MachineCodeIsPreferredWhereItFits) {
  const std::string cubin = fakeCubin(kCudaKernels);
  ArtifactBuilder builder = exampleCudaArtifact();
  builder.moreBlobs.push_back({format::BlobKind::cubin, std::as_bytes(std::span(cubin)), "sm_90a", 0});
  long loaded = calls("cubin");
  EXPECT_OK(Session::create(builder.build()));
  EXPECT_EQ(calls("cubin"), ++loaded);
  configure("capability=100");
  EXPECT_OK(Session::create(builder.build()));
  EXPECT_EQ(calls("cubin"), loaded) << "compiled from PTX";
}

TEST_F(CudaDriver, DevicesAreDescribed) {
  auto driver = openDriver("cuda");
  ASSERT_TRUE(driver.ok());
  std::string names;
  for (const DeviceFact &fact : (*driver)->facts())
    names += fact.name + " ";
  EXPECT_EQ(names.substr(0, names.find("pci")),
            "name architecture multiprocessors memory_total_bytes memory_free_bytes cuda ");
  EXPECT_EQ((*driver)->availableMemory(), std::size_t{1} << 30);
}

TEST_F(CudaDriver, SelfTest) {
  auto driver = openDriver("cuda");
  ASSERT_TRUE(driver.ok());
  auto facts = (*driver)->selfTest();
  EXPECT_OK(facts);
  EXPECT_EQ(facts->size(), 4u);
}

} // namespace

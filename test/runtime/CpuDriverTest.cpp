//===- CpuDriverTest.cpp - What the CPU driver accepts and refuses -----===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

#include "runtime/drivers/cpu/CpuFeatures.h"

using namespace moe;
using namespace moe::test;
using drivers::cpu::FeatureSupport;
using drivers::cpu::featureSupport;

namespace {

Result<std::unique_ptr<Session>> create(ArtifactBuilder &builder) {
  auto artifact = builder.build();
  if (!artifact)
    return Status(ErrorCode::failed, "no artifact");
  return Session::create(artifact, {.threads = 2});
}

#if defined(__x86_64__)
// The compiler's own detection is the reference for the names both know.
TEST(CpuFeatures, AgreeWithTheCompilersRuntime) {
  __builtin_cpu_init();
#define EXPECT_SAME(LLVM_NAME, GCC_NAME)                                                                               \
  EXPECT_EQ(featureSupport(LLVM_NAME) == FeatureSupport::supported, __builtin_cpu_supports(GCC_NAME) != 0) << LLVM_NAME
  EXPECT_SAME("sse2", "sse2");
  EXPECT_SAME("sse4.2", "sse4.2");
  EXPECT_SAME("popcnt", "popcnt");
  EXPECT_SAME("avx", "avx");
  EXPECT_SAME("avx2", "avx2");
  EXPECT_SAME("fma", "fma");
  EXPECT_SAME("bmi", "bmi");
  EXPECT_SAME("bmi2", "bmi2");
  EXPECT_SAME("sse4a", "sse4a");
  EXPECT_SAME("fma4", "fma4");
  EXPECT_SAME("xop", "xop");
  EXPECT_SAME("aes", "aes");
  EXPECT_SAME("pclmul", "pclmul");
  EXPECT_SAME("gfni", "gfni");
  EXPECT_SAME("vpclmulqdq", "vpclmulqdq");
  EXPECT_SAME("avx512f", "avx512f");
  EXPECT_SAME("avx512vl", "avx512vl");
  EXPECT_SAME("avx512bw", "avx512bw");
  EXPECT_SAME("avx512dq", "avx512dq");
  EXPECT_SAME("avx512cd", "avx512cd");
  EXPECT_SAME("avx512vbmi", "avx512vbmi");
  EXPECT_SAME("avx512ifma", "avx512ifma");
  EXPECT_SAME("avx512vbmi2", "avx512vbmi2");
  EXPECT_SAME("avx512vnni", "avx512vnni");
  EXPECT_SAME("avx512bitalg", "avx512bitalg");
  EXPECT_SAME("avx512vpopcntdq", "avx512vpopcntdq");
  EXPECT_SAME("avx512bf16", "avx512bf16");
#undef EXPECT_SAME
}

TEST(CpuDriver, AcceptsWhatTheMachineHas) {
  ArtifactBuilder builder = exampleArtifact();
  builder.table.target->features = {"sse2", "cx8", "fxsr", "64bit"};
  EXPECT_OK(create(builder));
}

TEST(CpuDriver, NamesTheMissingFeature) {
  // No processor has both AMD's fma4 and Intel's amx-fp16.
  const char *missing = featureSupport("fma4") == FeatureSupport::missing ? "fma4" : "amx-fp16";
  ASSERT_EQ(featureSupport(missing), FeatureSupport::missing);
  ArtifactBuilder builder = exampleArtifact();
  builder.table.target->features = {"sse2", missing};
  EXPECT_ERROR(create(builder), ErrorCode::unsupportedModel, std::string("needs the CPU feature '") + missing + "'");
  EXPECT_ERROR(create(builder), ErrorCode::unsupportedModel, "lacks it");
}
#endif

TEST(CpuDriver, NamesTheUnknownFeature) {
  EXPECT_EQ(featureSupport("avx4096"), FeatureSupport::unknown);
  EXPECT_EQ(featureSupport(""), FeatureSupport::unknown);
  ArtifactBuilder builder = exampleArtifact();
  builder.table.target->features = {"avx4096"};
  EXPECT_ERROR(create(builder), ErrorCode::unsupportedModel, "'avx4096', which this program does not know");
}

TEST(CpuDriver, NamesTheMissingKernel) {
  ArtifactBuilder builder = exampleArtifact();
  builder.table.kernels[1]->name = "test_triple";
  EXPECT_ERROR(create(builder), ErrorCode::corruptFile, "does not hold the kernel 'test_triple'");
}

TEST(CpuDriver, RefusesCodeThatIsNotElf) {
  ArtifactBuilder builder = exampleArtifact();
  builder.code.assign(1000, std::byte{'x'});
  EXPECT_ERROR(create(builder), ErrorCode::corruptFile, "blob 0: the object code is not an ELF file");
  builder.code.assign({std::byte{0x7f}, std::byte{'E'}, std::byte{'L'}, std::byte{'F'}});
  EXPECT_ERROR(create(builder), ErrorCode::corruptFile, "not an ELF file");
  builder.code.resize(4096);
  EXPECT_ERROR(create(builder), ErrorCode::corruptFile, "cannot be loaded");
}

TEST(CpuDriver, RefusesMisalignedBuffers) {
  ArtifactBuilder builder = exampleArtifact();
  auto &sum = builder.table.entry_points[0]->program[1]->operation.AsLaunch()->buffers[0];
  sum = BufferRef(Space::workspace, 0, 32, 4000);
  EXPECT_ERROR(create(builder), ErrorCode::corruptFile, "offset 32 is not aligned to 64");
}

TEST(CpuDriver, ScratchIsAlignedAndPrivate) {
  ArtifactBuilder builder;
  const unsigned scratch = builder.kernel("test_scratch", 2, 1, 1, 4096);
  format::EntryPointT &entryPoint = builder.entryPoint("check", 64);
  ArtifactBuilder::output(entryPoint, "ok", {2});
  const BufferRef arrived(Space::workspace, 0, 0, 4);
  ArtifactBuilder::fill(entryPoint, arrived, 0);
  ArtifactBuilder::launch(entryPoint, scratch, {arrived, BufferRef(Space::output, 0, 0, 8)});
  auto session = makeSession(builder.build(), 2);
  ASSERT_NE(session, nullptr);
  for (int repetition = 0; repetition < 20; ++repetition) {
    std::vector<float> ok(2);
    EXPECT_OK(session->find("check")->run());
    EXPECT_OK(session->find("check")->getOutput("ok", ok));
    EXPECT_EQ(ok, std::vector<float>(2, 1.0f));
  }
}

// Two modules at once, and one after another was unloaded, must not be taken for each other.
TEST(CpuDriver, ModulesAreKeptApart) {
  ArtifactBuilder good = exampleArtifact(), bad = exampleArtifact();
  bad.table.kernels[1]->name = "absent";
  auto session = create(good);
  ASSERT_TRUE(session.ok());
  EXPECT_FALSE(create(bad).ok());
  EXPECT_OK(create(good));
  EXPECT_OK((*session)->find("step")->run());
}

TEST(CpuDriver, MemoryIsAlignedAndCanRunOut) {
  auto driver = openDriver("cpu", {.threads = 1});
  ASSERT_TRUE(driver.ok());
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4097}, std::size_t{5} << 20}) {
    auto memory = (*driver)->allocate(size);
    ASSERT_TRUE(memory.ok());
    EXPECT_EQ((*memory)->size(), size);
    EXPECT_OK((*driver)->fill({memory->get(), 0, size}, 1));
  }
  EXPECT_ERROR((*driver)->allocate(SIZE_MAX), ErrorCode::doesNotFit, "cannot allocate");
  EXPECT_ERROR((*driver)->allocate(std::size_t{1} << 62), ErrorCode::doesNotFit, "cannot allocate");
}

TEST(CpuDriver, Options) {
  EXPECT_ERROR(openDriver("cpu", {.threads = -1}), ErrorCode::configuration, "-1 threads");
  EXPECT_ERROR(openDriver("cpu", {.device = 1}), ErrorCode::configuration, "no CPU device 1");
  auto driver = openDriver("cpu", {.threads = 3});
  ASSERT_TRUE(driver.ok());
  EXPECT_NE((*driver)->description().find(", 3 threads"), std::string::npos) << (*driver)->description();
}

TEST(CpuDriver, FactsAndSelfTest) {
  auto driver = openDriver("cpu", {.threads = 2});
  ASSERT_TRUE(driver.ok());
  std::vector<std::string> names;
  for (const DeviceFact &fact : (*driver)->facts())
    names.push_back(fact.name);
  EXPECT_EQ(names, (std::vector<std::string>{"name", "architecture", "features", "threads"}));
  auto measured = (*driver)->selfTest();
  ASSERT_TRUE(measured.ok()) << measured.status().message();
  EXPECT_EQ(measured->size(), 3u);
}

} // namespace

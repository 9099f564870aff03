//===- ErrorTest.cpp - What the driver cuda refuses -----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CudaKernels.h"
#include "FakeDevice.h"

using namespace moe;
using namespace moe::test;

namespace {

class CudaError : public FakeDeviceTest {
protected:
  static Status create(ArtifactBuilder builder) { return Session::create(builder.build()).status(); }
};

TEST_F(CudaError, NoLibrary) {
  ::setenv("MOE_CUDA_LIBRARY", "/nowhere/libcuda.so.1", 1);
  EXPECT_ERROR(openDriver("cuda"), ErrorCode::unsupportedModel, "no NVIDIA driver (/nowhere/libcuda.so.1");
  EXPECT_ERROR(openDriver("cuda"), ErrorCode::unsupportedModel, "install version 525 or newer");
}

TEST_F(CudaError, DriverTooOld) {
  configure("version=11080");
  EXPECT_ERROR(openDriver("cuda"), ErrorCode::unsupportedModel,
               "supports CUDA 11.8, but 12.0 is needed; update the NVIDIA driver to version 525 or newer");
}

TEST_F(CudaError, NoDevice) {
  configure("cuInit=100");
  EXPECT_ERROR(openDriver("cuda"), ErrorCode::unsupportedModel, "no NVIDIA GPU is available: ");
  EXPECT_ERROR(openDriver("cuda"), ErrorCode::unsupportedModel, "CUDA_ERROR_NO_DEVICE");
  configure("devices=0");
  EXPECT_ERROR(openDriver("cuda"), ErrorCode::unsupportedModel, "the driver counts 0");
  configure("cuInit=999");
  EXPECT_ERROR(openDriver("cuda"), ErrorCode::unsupportedModel, "the NVIDIA driver does not start");
}

TEST_F(CudaError, NoSuchDevice) {
  EXPECT_ERROR(openDriver("cuda", {.device = 1}), ErrorCode::configuration, "no CUDA device 1, only 0");
  EXPECT_ERROR(openDriver("cuda", {.device = -1}), ErrorCode::configuration, "no CUDA device -1");
  configure("devices=4");
  EXPECT_OK(openDriver("cuda", {.device = 3}));
  EXPECT_ERROR(openDriver("cuda", {.device = 4}), ErrorCode::configuration, "no CUDA device 4, only 0 to 3");
}

// Whichever call fails, the error names it and nothing leaks.
TEST_F(CudaError, EveryFailureWhileOpening) {
  for (const char *function : {"cuDeviceGet", "cuDeviceGetName", "cuDevicePrimaryCtxRetain", "cuStreamCreate",
                               "cuMemHostAlloc", "cuEventCreate"}) {
    SCOPED_TRACE(function);
    configure(std::string(function) + "=999");
    EXPECT_ERROR(openDriver("cuda"), ErrorCode::failed, "what the fake driver says");
  }
}

TEST_F(CudaError, EveryFailureWhileRunning) {
  for (const char *function : {"cuModuleLoadDataEx", "cuMemAlloc_v2", "cuMemsetD32Async", "cuStreamBeginCapture_v2",
                               "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch", "cuLaunchKernelEx",
                               "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuEventRecord", "cuEventSynchronize"}) {
    SCOPED_TRACE(function);
    configure(std::string(function) + "=999");
    auto run = []() -> Status {
      auto session = Session::create(exampleCudaArtifact().build());
      if (!session)
        return session.status();
      std::vector<float> y(kElements);
      EntryPoint *step = (*session)->find("step");
      if (Status status = step->setInput("x", y); !status)
        return status;
      if (Status status = step->run(); !status)
        return status;
      return step->getOutput("y", y);
    };
    EXPECT_ERROR(run(), ErrorCode::failed, "what the fake driver says");
  }
}

TEST_F(CudaError, WrongArchitecture) {
  ArtifactBuilder builder = exampleCudaArtifact();
  builder.table.target->arch = "sm_90a";
  configure("capability=80");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::unsupportedModel,
               "compiled for sm_90a, which runs on compute capability 9.0 only, but this is Fake GPU (compute "
               "capability 8.0); compile with target=cuda:sm_80");
  configure("capability=100");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::unsupportedModel, "(compute capability 10.0)");
  configure("capability=75");
  EXPECT_ERROR(create(exampleCudaArtifact()), ErrorCode::unsupportedModel, "8.0 or later, but this is Fake GPU");
  builder.table.target->arch = "gfx90a";
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::unsupportedModel, "'gfx90a', which is no architecture");
}

TEST_F(CudaError, CompilerLogIsQuoted) {
  ArtifactBuilder builder = exampleCudaArtifact();
  setCode(builder, kCudaKernels + "syntax error");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::corruptFile, "blob 0: the NVIDIA driver refuses the code");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::corruptFile, "line 7; fatal : Parsing error");
}

TEST_F(CudaError, PtxTooNew) {
  configure("version=12040");
  ArtifactBuilder builder = exampleCudaArtifact();
  setCode(builder, ".version 99.0");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::unsupportedModel,
               "the NVIDIA driver, of CUDA 12.4, does not know this version of PTX");
}

TEST_F(CudaError, PlanLargerThanFreeMemory) {
  configure("memory=2097152");
  ArtifactBuilder builder = exampleCudaArtifact();
  builder.table.entry_points[0]->workspace_bytes = 3 << 20;
  const long allocations = calls("cuMemAlloc_v2");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::doesNotFit, "needs 3.0 MiB of device memory (parameters");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::doesNotFit, "but 2.0 MiB are free on Fake GPU");
  EXPECT_EQ(calls("cuMemAlloc_v2"), allocations) << "refused before anything is allocated";
}

TEST_F(CudaError, AllocationFails) {
  auto driver = openDriver("cuda");
  ASSERT_TRUE(driver.ok());
  configure("memory=4096");
  EXPECT_ERROR((*driver)->allocate(5000), ErrorCode::doesNotFit,
               "allocating 5000 bytes on the GPU, of which 4096 of 4096 are free");
}

TEST_F(CudaError, KernelsThatAreNotThere) {
  ArtifactBuilder builder = exampleCudaArtifact();
  builder.table.kernels[1]->name = "test_triple";
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::corruptFile,
               "blob 0 does not hold the kernel 'test_triple'");
}

TEST_F(CudaError, KernelsWithOtherParameters) {
  ArtifactBuilder builder = exampleCudaArtifact();
  builder.table.kernels[0]->name = "test_reverse"; // Two parameters, but three buffers.
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::corruptFile,
               "kernel 'test_reverse' has 2 parameters for 3 buffers");
}

TEST_F(CudaError, TensorMaps) {
  ArtifactBuilder builder = tensorMapArtifact();
  configure("cuTensorMapEncodeTiled=1");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::failed,
               "kernel 'test_double_mapped': f32[50,20] in boxes of [10,20]: encoding a tensor map: ");
  configure("");
  builder.table.kernels[1]->tensor_maps.pop_back();
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::corruptFile,
               "kernel 'test_double_mapped' has 4 parameters for 2 buffers and 1 tensor maps");

  builder = tensorMapArtifact();
  setCode(builder, kCudaKernels + ".visible .entry test_double_mapped(.param .u64 a, .param .u64 b, .param .u64 map) {}");
  EXPECT_ERROR(Session::create(builder.build()), ErrorCode::corruptFile,
               "parameter 2 has 8 bytes; a tensor map has 128");
}

TEST_F(CudaError, KernelsThatDoNotFit) {
  auto withKernel = [](auto change) {
    ArtifactBuilder builder = exampleCudaArtifact();
    change(*builder.table.kernels[0]);
    return Session::create(builder.build()).status();
  };
  EXPECT_ERROR(
      withKernel([](format::KernelT &kernel) { kernel.shared_bytes = 227 << 10; }), ErrorCode::doesNotFit,
      "kernel 'test_add' needs 233472 bytes of shared memory, but Fake GPU (compute capability 9.0) has 232448");
  EXPECT_ERROR(withKernel([](format::KernelT &kernel) { *kernel.block = format::Dim3(64, 32, 1); }),
               ErrorCode::doesNotFit, "needs 2048 threads in a block, but Fake GPU (compute capability 9.0) has 1024");
  EXPECT_ERROR(withKernel([](format::KernelT &kernel) { *kernel.grid = format::Dim3(1, 65536, 1); }),
               ErrorCode::doesNotFit, "needs 65536 blocks along y");
  EXPECT_ERROR(withKernel([](format::KernelT &kernel) { *kernel.grid = format::Dim3(0, 1, 1); }),
               ErrorCode::corruptFile, "launched with no threads");
}

TEST_F(CudaError, ForeignCode) {
  ArtifactBuilder builder = exampleCudaArtifact();
  format::BlobData blob{format::BlobKind::elf, builder.code};
  auto bytes = format::encodeArtifact(builder.table, {&blob, 1});
  ASSERT_TRUE(bytes.ok());
  EXPECT_ERROR(Session::create(*Artifact::fromBytes(*bytes)), ErrorCode::corruptFile,
               "it is elf, but the driver 'cuda' loads ptx and cubin");
}

TEST_F(CudaError, MachineCodeForAnotherGpu) {
  ArtifactBuilder builder = exampleCudaArtifact();
  format::BlobData blob{format::BlobKind::cubin, builder.code, "sm_80"};
  auto bytes = format::encodeArtifact(builder.table, {&blob, 1});
  ASSERT_TRUE(bytes.ok());
  EXPECT_ERROR(Session::create(*Artifact::fromBytes(*bytes)), ErrorCode::unsupportedModel,
               "machine code for sm_80 alone, but this is Fake GPU (compute capability 9.0)");
  configure("capability=80");
  EXPECT_ERROR(Session::create(*Artifact::fromBytes(*bytes)), ErrorCode::corruptFile, "not a whole cubin");
}

TEST_F(CudaError, CrashedKernel) {
  ArtifactBuilder builder = exampleCudaArtifact();
  setCode(builder, kCudaKernels + ".visible .entry test_crash(.param .u64 a, .param .u64 b) {}");
  builder.table.kernels[1]->name = "test_crash";
  auto session = makeSession(builder.build());
  ASSERT_NE(session, nullptr);
  EXPECT_OK(session->find("step")->run());
  EXPECT_ERROR(session->driver().synchronize(), ErrorCode::failed, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_ERROR(session->find("step")->run(), ErrorCode::failed, "'step': launching a graph");
  EXPECT_ERROR(session->find("step")->run(), ErrorCode::failed, "by a kernel that was launched before");
}

} // namespace

//===- FakeDevice.h - Tests on the fake libcuda -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TEST_RUNTIME_CUDA_FAKEDEVICE_H
#define MOE_TEST_RUNTIME_CUDA_FAKEDEVICE_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <dlfcn.h>
#include <string>

namespace moe::test {

/// A test whose driver `cuda` opens FakeCuda.cpp.
class FakeDeviceTest : public testing::Test {
protected:
  void SetUp() override {
    ::setenv("MOE_CUDA_LIBRARY", MOE_FAKE_CUDA_PATH, 1);
    configure("");
    library = ::dlopen(MOE_FAKE_CUDA_PATH, RTLD_NOW);
    ASSERT_NE(library, nullptr) << ::dlerror();
  }
  void TearDown() override {
    ::unsetenv("MOE_CUDA_LIBRARY");
    ::unsetenv("MOE_FAKE_CUDA");
    // Whatever happened, nothing leaks.
    EXPECT_EQ(reinterpret_cast<long (*)()>(::dlsym(library, "fakeCudaObjects"))(), 0);
  }

  /// "capability=80 memory=4096"
  static void configure(const std::string &settings) { ::setenv("MOE_FAKE_CUDA", settings.c_str(), 1); }
  /// How often `function` was called in this process.
  long calls(const char *function) const {
    return reinterpret_cast<long (*)(const char *)>(::dlsym(library, "fakeCudaCalls"))(function);
  }

private:
  void *library = nullptr;
};

} // namespace moe::test

#endif // MOE_TEST_RUNTIME_CUDA_FAKEDEVICE_H

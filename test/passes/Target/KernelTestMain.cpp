//===- KernelTestMain.cpp - Runs or records the kernels of tests -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Beside GoogleTest's flags:
///   --kernels-to=DIR    compile the kernels of all CUDA cases into DIR and run nothing
///   --kernels-from=DIR  take kernels from there instead of compiling them
///
//===----------------------------------------------------------------------===//
#include "KernelCode.h"

#include "gtest/gtest.h"
#include <filesystem>
#include <iostream>

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  moe::test::KernelRecording &recording = moe::test::kernelRecording();
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    auto take = [&](const std::string &flag, std::string &value) {
      if (argument.starts_with(flag))
        value = argument.substr(flag.size());
    };
    take("--kernels-to=", recording.to);
    take("--kernels-from=", recording.from);
  }
  if (recording.to.empty())
    return RUN_ALL_TESTS();

  // Nothing is run, so no expectation is met; what counts is that all kernels compiled.
  std::filesystem::create_directories(recording.to);
  auto &listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  struct CompileErrors : testing::EmptyTestEventListener {
    void OnTestPartResult(const testing::TestPartResult &result) override {
      std::string file = result.file_name() ? result.file_name() : "";
      if (!result.failed() || !file.ends_with("CompileKernel.cpp"))
        return;
      std::cerr << result.message() << "\n";
      ++count;
    }
    int count = 0;
  };
  auto *errors = new CompileErrors;
  listeners.Append(errors);
  (void)RUN_ALL_TESTS();
  return errors->count ? 1 : 0;
}

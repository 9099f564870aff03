//===- ReplayKernels.cpp - Stands in for the compiler where there is none -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "KernelCode.h"

#include "gtest/gtest.h"

namespace moe::test {

bool canRunOnProcessor(const std::string &) { return false; }

std::optional<KernelCode> compileKernel(const std::string &, const std::string &, const std::string &) {
  ADD_FAILURE() << "this program has no compiler: give it --kernels-from";
  return std::nullopt;
}

} // namespace moe::test

//===- UsageError.h - What is wrong with a command line ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TOOLS_MOE_RUN_USAGEERROR_H
#define TOOLS_MOE_RUN_USAGEERROR_H

#include <CLI/CLI.hpp>

#include <string>

namespace moe::run {

/// For CLI::App::failure_message: names an unknown command or option and the nearest known one.
std::string describeUsageError(const CLI::App *root, const CLI::Error &error);

/// Checks that a number is not less than `minimum`.
CLI::Validator atLeast(double minimum);

} // namespace moe::run

#endif // TOOLS_MOE_RUN_USAGEERROR_H

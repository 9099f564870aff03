//===- Commands.h - The subcommands of moe-run ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TOOLS_MOE_RUN_COMMANDS_H
#define TOOLS_MOE_RUN_COMMANDS_H

#include "moe/Status.h"

#include <CLI/CLI.hpp>

#include <functional>

namespace moe::run {

/// A subcommand: `run` executes it after parsing. An error is printed and becomes the exit code.
struct Command {
  CLI::App *app;
  std::function<Status()> run;
};

Command addTrain(CLI::App &root);
Command addGenerate(CLI::App &root);
Command addEval(CLI::App &root);
Command addInspect(CLI::App &root);
Command addBench(CLI::App &root);
Command addDoctor(CLI::App &root);
Command addConformance(CLI::App &root);

} // namespace moe::run

#endif // TOOLS_MOE_RUN_COMMANDS_H

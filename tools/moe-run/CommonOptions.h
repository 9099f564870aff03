//===- CommonOptions.h - Options that several subcommands share --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TOOLS_MOE_RUN_COMMONOPTIONS_H
#define TOOLS_MOE_RUN_COMMONOPTIONS_H

#include "lib/Engine/Config/RunConfig.h"
#include "lib/Engine/Support/Console.h"
#include "moe/Session.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace moe::run {

/// Creates a subcommand whose help starts with `examples`.
CLI::App *addSubcommand(CLI::App &root, const std::string &name, const std::string &description,
                        const std::string &examples);

/// Logs, progress and --json.
struct OutputOptions {
  engine::ConsoleOptions console;
  bool json = false;

  void declare(CLI::App &app);
};

/// Declares --trace.
void declareTrace(CLI::App &app, std::string &file);

/// A configuration and where its values come from.
class ConfigOptions {
public:
  /// Declares the artifact, --config and --set.
  void declare(CLI::App &app);
  /// Declares a flag that sets a key.
  void flag(CLI::App &app, const std::string &name, const std::string &key);

  /// Merges defaults, `base` (a TOML file, if not empty), --config, the environment, --set and flags.
  Result<engine::RunConfig> resolve(const std::string &base = "") const;

private:
  struct Flag {
    std::string name, key, value;
  };

  std::string file;
  std::vector<std::string> settings;
  std::vector<Flag> flags; ///< In the order of the command line.
};

/// Opens the artifact that `config` names.
Result<std::shared_ptr<const Artifact>> openArtifact(const engine::RunConfig &config);
Result<std::unique_ptr<Session>> openSession(const engine::RunConfig &config);

/// The config.toml of the run that a checkpoint, or a run directory, belongs to; empty if there is none.
std::string findRunConfig(const std::string &checkpoint);

/// Opens a checkpoint and restores its parameters. Says which one, and which were skipped.
Status restoreModel(Session &session, const std::string &checkpoint, engine::Console &console);

} // namespace moe::run

#endif // TOOLS_MOE_RUN_COMMONOPTIONS_H

//===- CommonOptions.cpp - Options that several subcommands share ---------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/CommonOptions.h"

#include "lib/Engine/Checkpoint/Checkpoint.h"

#include <filesystem>
#include <unistd.h>

namespace moe::run {
namespace {

/// What stands for a value in the help of a flag.
std::string valueName(const engine::ConfigKey &key) {
  if (key.name == "run.directory")
    return "DIR";
  if (key.name == "data.path" || key.name == "model.artifact")
    return "PATH";
  return std::holds_alternative<std::string engine::RunConfig::*>(key.field) ? "TEXT" : "N";
}

/// Puts examples before everything else; not again before a group of options, which has no name.
class ExamplesFirst : public CLI::Formatter {
public:
  explicit ExamplesFirst(std::string examples) : examples(std::move(examples)) {}

  std::string make_description(const CLI::App *app) const override {
    const std::string description = CLI::Formatter::make_description(app);
    return app->get_name().empty() ? description : "Examples:\n" + examples + "\n" + description;
  }

private:
  std::string examples;
};

} // namespace

CLI::App *addSubcommand(CLI::App &root, const std::string &name, const std::string &description,
                        const std::string &examples) {
  CLI::App *app = root.add_subcommand(name, description);
  auto formatter = std::make_shared<ExamplesFirst>(examples);
  formatter->column_width(34);
  app->formatter(formatter);
  return app;
}

void OutputOptions::declare(CLI::App &app) {
  app.add_flag("--quiet", console.quiet, "only warnings and errors on stderr");
  app.add_flag("--no-progress", console.noProgress, "no progress bar and no progress lines");
  app.add_flag("--json", json, "the report on stdout as JSON");
}

void declareTrace(CLI::App &app, std::string &file) {
  app.add_option("--trace", file,
                 "write a Chrome trace (for Perfetto) of every instruction; slower, because tracing waits after each "
                 "instruction")
      ->type_name("FILE");
}

void ConfigOptions::declare(CLI::App &app) {
  flag(app, "artifact", "model.artifact");
  app.add_option("--config", file, "a TOML file of settings")->type_name("FILE");
  app.add_option("--set", settings, "set any key; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->expected(1)
      ->take_all();
}

void ConfigOptions::flag(CLI::App &app, const std::string &name, const std::string &key) {
  for (const engine::ConfigKey &known : engine::configKeys()) {
    if (known.name != key)
      continue;
    app.add_option_function<std::string>(
           name,
           [this, name, key](const std::string &value) {
             flags.push_back({name, key, value});
           },
           std::string(known.help))
        ->type_name(valueName(known));
  }
}

Result<engine::RunConfig> ConfigOptions::resolve(const std::string &base) const {
  engine::ConfigLoader loader;
  for (const std::string &path : {base, file})
    if (!path.empty())
      if (Status status = loader.loadFile(path); !status)
        return status;
  if (Status status = loader.loadEnvironment(environ); !status)
    return status;
  for (const std::string &setting : settings)
    if (Status status = loader.set(setting); !status)
      return status;
  for (const Flag &flag : flags)
    if (Status status = loader.set(flag.key, flag.value, flag.name); !status)
      return Status(ErrorCode::usage, status.message());
  return loader.config();
}

Result<std::shared_ptr<const Artifact>> openArtifact(const engine::RunConfig &config) {
  if (config.artifact.empty())
    return Status(ErrorCode::usage, "no artifact; give the file that moe-opt wrote");
  return Artifact::open(config.artifact);
}

Result<std::unique_ptr<Session>> openSession(const engine::RunConfig &config) {
  Result<std::shared_ptr<const Artifact>> artifact = openArtifact(config);
  if (!artifact)
    return artifact.status();
  return Session::create(*artifact, DriverOptions{.threads = static_cast<int>(config.threads),
                                                  .device = static_cast<int>(config.device)});
}

std::string findRunConfig(const std::string &checkpoint) {
  // The run directory itself, its checkpoints directory, or one of the checkpoints in it.
  for (const char *way : {"/config.toml", "/../config.toml", "/../../config.toml"})
    if (std::string path = checkpoint + way; std::filesystem::exists(path))
      return path;
  return "";
}

Status restoreModel(Session &session, const std::string &path, engine::Console &console) {
  Result<engine::CheckpointStore::Newest> found = engine::findCheckpoint(path);
  if (!found)
    return found.status();
  for (const std::string &skipped : found->skipped)
    console.warning("skipped an invalid checkpoint: " + skipped);
  console.info("using " + found->checkpoint->path);
  return engine::restore(session, *found->checkpoint, engine::Restore::model);
}

} // namespace moe::run

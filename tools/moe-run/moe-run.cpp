//===- moe-run.cpp - Train, evaluate and generate with compiled models ----===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Support/Console.h"
#include "moe/DriverPlugin.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/UsageError.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/stat.h>
#include <vector>

using namespace moe;

static constexpr const char *kExitCodes = "Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 model unsupported, "
                                          "5 file corrupt, 6 does not fit,\n            7 numerics, 8 communication, "
                                          "9 checkpoint, 75 interrupted but saved";

static constexpr const char *kDescription =
    "Examples:\n"
    "  moe-run train tiny.moe --data kjv/ --run runs/tiny --steps 1200\n"
    "  moe-run generate tiny.moe --checkpoint runs/tiny --prompt \"In the beginning\"\n"
    "  moe-run inspect tiny.moe\n"
    "  moe-run doctor\n\n"
    "Runs models that moe-opt compiled. Data goes to stdout, logs to stderr.";

static std::string version() {
  std::string text = "moe-run " MOE_VERSION " (drivers:";
  for (const std::string &driver : registeredDrivers())
    text += " " + driver;
  return text + ")";
}

/// What a command printed has reached stdout, or a reader that did not want all of it.
static Status flushOutput() {
  errno = 0;
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return {};
  const int error = errno;
  struct stat status;
  if (::fstat(fileno(stdout), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)))
    return {};
  return Status(ErrorCode::failed, std::string("cannot write to stdout: ") + std::strerror(error ? error : EIO));
}

int main(int argc, char **argv) {
  std::signal(SIGPIPE, SIG_IGN); // A reader that goes away is a short write, not the end of a training run.
  CLI::App app(kDescription, "moe-run");
  app.footer(kExitCodes);
  app.set_version_flag("--version", version());
  app.require_subcommand(1);
  app.failure_message(run::describeUsageError);
  std::vector<std::string> plugins;
  app.add_option("--driver-plugin", plugins, "load a driver from this shared object; before the command")
      ->type_name("FILE")
      ->expected(1)
      ->take_all();
  const run::Command commands[] = {run::addTrain(app), run::addGenerate(app), run::addEval(app), run::addInspect(app),
                                   run::addBench(app), run::addDoctor(app), run::addConformance(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // --help and --version come this way too, with exit code 0.
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorCode::usage);
  }
  for (const std::string &plugin : plugins)
    if (Status status = loadDriverPlugin(plugin); !status) {
      engine::Console().error(status.message());
      return static_cast<int>(status.code());
    }
  for (const run::Command &command : commands) {
    if (!command.app->parsed())
      continue;
    Status status = command.run();
    if (status)
      status = flushOutput();
    if (status.code() == ErrorCode::interrupted)
      engine::Console().warning(status.message());
    else if (!status)
      engine::Console().error(status.message());
    return static_cast<int>(status.code());
  }
  return static_cast<int>(ErrorCode::usage);
}

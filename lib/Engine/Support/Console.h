//===- Console.h - Logs and progress on stderr ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_SUPPORT_CONSOLE_H
#define LIB_ENGINE_SUPPORT_CONSOLE_H

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace moe::engine {

struct ConsoleOptions {
  bool quiet = false;      ///< Errors and warnings only.
  bool noProgress = false; ///< No bars and no progress lines.
};

/// Everything a person reads while waiting; stdout is for data. On a terminal progress is one line that is redrawn,
/// elsewhere a plain line every few seconds. NO_COLOR is honoured (https://no-color.org).
class Console {
public:
  explicit Console(const ConsoleOptions &options = {}, std::FILE *stream = stderr);
  ~Console();

  void info(std::string_view message);
  void warning(std::string_view message);
  void error(std::string_view message);

  /// Shows progress if it is time to: `fraction` of `what` is done, with `details` behind.
  void progress(std::string_view what, double fraction, std::string_view details);
  /// Takes the bar away; what follows is new progress.
  void progressDone();

private:
  using Clock = std::chrono::steady_clock;

  void line(std::string_view label, const char *color, std::string_view message);
  void eraseBar();

  std::FILE *stream;
  ConsoleOptions options;
  bool terminal, colors;
  bool barVisible = false;
  Clock::time_point lastShown{};
};

} // namespace moe::engine

#endif // LIB_ENGINE_SUPPORT_CONSOLE_H

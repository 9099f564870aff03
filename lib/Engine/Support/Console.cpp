//===- Console.cpp - Logs and progress on stderr --------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Support/Console.h"

#include <algorithm>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

namespace moe::engine {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(5);
constexpr std::size_t kMostBarCells = 30, kLeastBarCells = 5;

std::size_t terminalColumns(std::FILE *stream) {
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// One line of at most `columns`: the bar takes what the text leaves.
std::string barText(std::string_view what, double fraction, std::string_view details, std::size_t columns) {
  std::string text(what);
  const std::size_t taken = what.size() + details.size() + 4;
  const std::size_t cells = std::min(kMostBarCells, columns - std::min(columns, taken));
  if (cells >= kLeastBarCells) {
    const auto full = static_cast<std::size_t>(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(cells));
    text += " [" + std::string(full, '#') + std::string(cells - full, '.') + "]";
  }
  text += " ";
  text += details;
  text.resize(std::min(text.size(), columns));
  return text;
}

} // namespace

Console::Console(const ConsoleOptions &options, std::FILE *stream)
    : stream(stream), options(options), terminal(::isatty(::fileno(stream))) {
  const char *noColor = std::getenv("NO_COLOR");
  colors = terminal && !(noColor && *noColor);
}

Console::~Console() { eraseBar(); }

void Console::info(std::string_view message) {
  if (!options.quiet)
    line("", "", message);
}

void Console::warning(std::string_view message) { line("warning: ", "\033[33m", message); }

void Console::error(std::string_view message) { line("error: ", "\033[31m", message); }

void Console::progress(std::string_view what, double fraction, std::string_view details) {
  if (options.quiet || options.noProgress)
    return;
  const Clock::time_point now = Clock::now();
  const bool due = lastShown == Clock::time_point{} ||
                   now - lastShown >= (terminal ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval));
  if (!due)
    return;
  lastShown = now;
  if (!terminal) {
    std::fprintf(stream, "%s %s\n", std::string(what).c_str(), std::string(details).c_str());
    std::fflush(stream);
    return;
  }
  const std::string text = barText(what, fraction, details, terminalColumns(stream) - 1);
  std::fprintf(stream, "\r\033[K%s", text.c_str());
  std::fflush(stream);
  barVisible = true;
}

void Console::progressDone() {
  eraseBar();
  lastShown = {};
}

void Console::line(std::string_view label, const char *color, std::string_view message) {
  eraseBar();
  std::fprintf(stream, "%s%.*s%s%.*s\n", colors ? color : "", static_cast<int>(label.size()), label.data(),
               colors && *color ? "\033[0m" : "", static_cast<int>(message.size()), message.data());
  std::fflush(stream);
}

void Console::eraseBar() {
  if (!barVisible)
    return;
  std::fputs("\r\033[K", stream);
  std::fflush(stream);
  barVisible = false;
}

} // namespace moe::engine

//===- Strings.cpp - Words for numbers, times and misspellings ------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Support/Strings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <numeric>
#include <vector>

namespace moe::engine {

std::string format(const char *pattern, ...) {
  va_list arguments, again;
  va_start(arguments, pattern);
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, pattern, arguments);
  std::string text(length, '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  va_end(arguments);
  return text;
}

/// Three significant digits of a value below 1000 or so.
static std::string threeDigits(double value) { return format("%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value); }

std::string formatBytes(std::uint64_t bytes) {
  static constexpr std::array units = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024)
    return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit)
    value /= 1024;
  return threeDigits(value) + " " + units[unit];
}

std::string formatCount(double count) {
  static constexpr std::array units = {" K", " M", " G", " T", " P"};
  if (count < 1000)
    return format("%.0f", count);
  count /= 1000;
  std::size_t unit = 0;
  for (; count >= 999.5 && unit + 1 < units.size(); ++unit)
    count /= 1000;
  return threeDigits(count) + units[unit];
}

std::string formatDuration(double seconds) {
  const auto total = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  const long long hours = total / 3600, minutes = total / 60 % 60;
  return hours ? format("%lld:%02lld:%02lld", hours, minutes, total % 60) : format("%lld:%02lld", minutes, total % 60);
}

std::string formatDouble(double value) {
  std::array<char, 32> buffer;
  std::string text(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
  if (text.find_first_of(".en") == std::string::npos)
    text += ".0";
  return text;
}

std::string formatHash(std::uint64_t hash) { return format("%016llx", static_cast<unsigned long long>(hash)); }

Result<double> parseDuration(std::string_view text) {
  const auto invalid = [&] {
    return Status(ErrorCode::configuration, "'" + std::string(text) + "' is not a duration; write 90s, 10m or 1h30m");
  };
  const char *at = text.data(), *end = text.data() + text.size();
  if (at == end)
    return invalid();
  double seconds = 0;
  while (at != end) {
    double value = 0;
    auto [next, error] = std::from_chars(at, end, value, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(value) || value < 0)
      return invalid();
    const char unit = next == end ? 's' : *next;
    if (unit != 's' && unit != 'm' && unit != 'h')
      return invalid();
    seconds += value * (unit == 'h' ? 3600 : unit == 'm' ? 60 : 1);
    at = next == end ? end : next + 1;
  }
  return seconds;
}

/// Levenshtein's distance.
static std::size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  std::size_t fewest = std::max<std::size_t>(2, word.size() / 3) + 1;
  std::string best;
  for (const std::string &candidate : candidates)
    if (std::size_t distance = editDistance(word, candidate); distance < fewest) {
      fewest = distance;
      best = candidate;
    }
  return best;
}

} // namespace moe::engine

//===- Strings.h - Words for numbers, times and misspellings ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_SUPPORT_STRINGS_H
#define LIB_ENGINE_SUPPORT_STRINGS_H

#include "moe/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace moe::engine {

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char *pattern, ...);

/// "512 B", "12.3 KiB", "1.50 GiB".
std::string formatBytes(std::uint64_t bytes);
/// "950", "12.3 K", "813 K", "1.23 M".
std::string formatCount(double count);
/// "0:07", "12:34", "1:02:03".
std::string formatDuration(double seconds);
/// The shortest decimal that reads back as the same double, with a '.' or an exponent.
std::string formatDouble(double value);
/// Sixteen hexadecimal digits.
std::string formatHash(std::uint64_t hash);

/// Seconds from "90", "90s", "10m", "1h30m", "1.5h".
Result<double> parseDuration(std::string_view text);

/// The candidate with the fewest edits from `word`, or "" if all are further than a third of its length.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

} // namespace moe::engine

#endif // LIB_ENGINE_SUPPORT_STRINGS_H

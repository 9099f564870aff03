//===- StepDirectory.cpp - Names of checkpoint directories ----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/StepDirectory.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>

namespace moe::engine {

static constexpr std::string_view kPrefix = "step-";

std::string stepDirectory(std::int64_t step) { return std::string(kPrefix) + std::to_string(step); }

std::optional<std::int64_t> parseStepDirectory(std::string_view name) {
  std::int64_t step = 0;
  if (!name.starts_with(kPrefix))
    return std::nullopt;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  // Only the canonical spelling counts: no sign, no leading zeros, nothing behind.
  if (step < 0 || stepDirectory(step) != name)
    return std::nullopt;
  return step;
}

std::vector<std::int64_t> listSteps(const std::string &directory) {
  std::vector<std::int64_t> steps;
  std::error_code ignored;
  for (const auto &entry : std::filesystem::directory_iterator(directory, ignored))
    if (std::optional<std::int64_t> step = parseStepDirectory(entry.path().filename().string()))
      steps.push_back(*step);
  std::ranges::sort(steps, std::greater());
  return steps;
}

} // namespace moe::engine

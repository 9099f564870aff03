//===- Architecture.cpp - What runs on which GPU --------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/Architecture.h"

#include <charconv>

namespace moe::drivers::cuda {

std::optional<Architecture> Architecture::parse(std::string_view text) {
  if (!text.starts_with("sm_"))
    return std::nullopt;
  Architecture architecture;
  const char *end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + 3, end, architecture.capability);
  if (error != std::errc() || architecture.capability < 10)
    return std::nullopt;
  if (rest == end)
    return architecture;
  if (rest + 1 != end || (*rest != 'a' && *rest != 'f'))
    return std::nullopt;
  architecture.suffix = *rest;
  return architecture;
}

bool Architecture::ptxRunsOn(int device) const {
  switch (suffix) {
  case 'a':
    return device == capability;
  case 'f':
    return device / 10 == capability / 10 && device >= capability;
  default:
    return device >= capability;
  }
}

std::string Architecture::requirement() const {
  const std::string text = "compute capability " + capabilityText(capability);
  switch (suffix) {
  case 'a':
    return text + " only";
  case 'f':
    return text + " or a later one of the same generation";
  default:
    return text + " or later";
  }
}

std::string capabilityText(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

} // namespace moe::drivers::cuda

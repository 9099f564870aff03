//===- StepDirectory.h - Names of checkpoint directories --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CHECKPOINT_STEPDIRECTORY_H
#define LIB_ENGINE_CHECKPOINT_STEPDIRECTORY_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::engine {

/// "step-200"
std::string stepDirectory(std::int64_t step);
/// 200 of "step-200"; none of anything else.
std::optional<std::int64_t> parseStepDirectory(std::string_view name);
/// The steps that have a directory, valid or not, newest first.
std::vector<std::int64_t> listSteps(const std::string &directory);

} // namespace moe::engine

#endif // LIB_ENGINE_CHECKPOINT_STEPDIRECTORY_H

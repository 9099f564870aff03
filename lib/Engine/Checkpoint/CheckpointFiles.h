//===- CheckpointFiles.h - The files of a checkpoint ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CHECKPOINT_CHECKPOINTFILES_H
#define LIB_ENGINE_CHECKPOINT_CHECKPOINTFILES_H

#include "runtime/format/artifact_generated.h"

#include <array>
#include <string_view>
#include <vector>

namespace moe::engine {

struct CheckpointFile {
  const char *name;
  std::vector<format::VariableRole> roles;
};

/// Caches are in none: they are the state of a generation.
inline const std::array<CheckpointFile, 2> kCheckpointFiles = {
    CheckpointFile{"model.safetensors", {format::VariableRole::parameter, format::VariableRole::buffer}},
    CheckpointFile{"optimizer.safetensors", {format::VariableRole::optimizer}}};

/// "F32" of f32.
constexpr std::string_view safetensorsName(format::DType dtype) {
  switch (dtype) {
  case format::DType::f32:
    return "F32";
  case format::DType::bf16:
    return "BF16";
  case format::DType::f16:
    return "F16";
  case format::DType::f64:
    return "F64";
  case format::DType::i32:
    return "I32";
  case format::DType::i64:
    return "I64";
  case format::DType::i8:
    return "I8";
  case format::DType::u8:
    return "U8";
  }
  return "";
}

} // namespace moe::engine

#endif // LIB_ENGINE_CHECKPOINT_CHECKPOINTFILES_H

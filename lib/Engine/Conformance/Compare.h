//===- Compare.h - Outputs against expected values ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CONFORMANCE_COMPARE_H
#define LIB_ENGINE_CONFORMANCE_COMPARE_H

#include "lib/Engine/Checkpoint/Safetensors.h"
#include "runtime/format/artifact_generated.h"

namespace moe::engine {

/// The element that uses most of its tolerance.
struct WorstElement {
  std::string output;
  std::int64_t index = -1; ///< -1: none, all are exact.
  double actual = 0, expected = 0, tolerance = 0;

  double error() const;
  /// error / tolerance: at most 1 passes. Infinite for NaN, and for any error where none is allowed.
  double share() const;
};

/// Compares the bytes of an output of type `dtype` with `expected` (F64 or I32) under `tolerance` (F32, one for each
/// element; null: none). Errors: ErrorCode::corruptFile if their sizes do not fit.
Result<WorstElement> compareOutput(const std::string &name, format::DType dtype, std::span<const std::byte> actual,
                                   const TensorView &expected, const TensorView *tolerance);

} // namespace moe::engine

#endif // LIB_ENGINE_CONFORMANCE_COMPARE_H

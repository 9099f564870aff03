//===- Bundle.h - Compiled cases and what they should give ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CONFORMANCE_BUNDLE_H
#define LIB_ENGINE_CONFORMANCE_BUNDLE_H

#include "lib/Engine/Checkpoint/Safetensors.h"

#include <optional>
#include <string>
#include <vector>

namespace moe::engine {

/// One entry point of the conformance suite.
struct ConformanceCase {
  std::string entry;             ///< "linear.odd_sizes.f32.gradient"
  std::string op, name, storage; ///< "linear", "odd_sizes", "f32"
  std::string inputs;            ///< The entry point whose inputs it takes: its own, or that of the forward function.
  bool gradient = false;
};

/// What moe-conformance wrote (lib/Compiler/Conformance/Bundle.h says how): `cases.safetensors` and artifacts.
class ConformanceBundle {
public:
  /// Errors: ErrorCode::failed (cannot be read, or holds no artifact), ErrorCode::corruptFile.
  static Result<ConformanceBundle> open(const std::string &directory);

  const std::string &directory() const { return path; }
  const std::vector<ConformanceCase> &cases() const { return list; }
  /// The paths of its artifacts, sorted.
  const std::vector<std::string> &artifacts() const { return compiled; }

  /// `kind` is "expected" or "tolerance". Errors: ErrorCode::corruptFile if it is not there.
  Result<TensorView> findInput(const ConformanceCase &listed, const std::string &name) const;
  Result<TensorView> findOutput(const ConformanceCase &listed, const char *kind, const std::string &name) const;

private:
  Result<TensorView> find(const std::string &tensor) const;
  ConformanceBundle(std::string path, SafetensorsFile file) : path(std::move(path)), file(std::move(file)) {}

  std::string path;
  SafetensorsFile file;
  std::vector<ConformanceCase> list;
  std::vector<std::string> compiled;
};

/// The bundle that came with this program: share/moe-mlir/conformance beside an installed one, conformance beside a
/// built one.
std::optional<std::string> findConformanceBundle();

} // namespace moe::engine

#endif // LIB_ENGINE_CONFORMANCE_BUNDLE_H

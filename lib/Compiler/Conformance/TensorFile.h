//===- TensorFile.h - Writes a safetensors file -------------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_CONFORMANCE_TENSORFILE_H
#define LIB_COMPILER_CONFORMANCE_TENSORFILE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/JSON.h"

#include <string>

namespace mlir::moe::conformance {

/// Collects tensors and writes them to one safetensors file.
class TensorFile {
public:
  enum class Type { I32, BF16, F32, F64 };

  bool contains(StringRef name) const { return header.get(name); }
  /// Values are rounded to `type`, to nearest even.
  void add(StringRef name, Type type, ArrayRef<int64_t> shape, ArrayRef<double> values);
  /// `metadata` becomes the header's `__metadata__.conformance`, as text.
  LogicalResult write(StringRef path, const llvm::json::Value &metadata,
                      function_ref<InFlightDiagnostic()> emitError) const;

private:
  llvm::json::Object header;
  std::string data;
};

} // namespace mlir::moe::conformance

#endif // LIB_COMPILER_CONFORMANCE_TENSORFILE_H

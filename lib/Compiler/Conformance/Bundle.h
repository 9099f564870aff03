//===- Bundle.h - Cases, compiled, with what they should give ------ -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A bundle is a folder that `moe-run conformance` takes: an artifact per target, whose entry points are the cases, and
/// `cases.safetensors` with, for each entry point and the names of its inputs and outputs,
///
///   <entry>/input/<name>          drawn, in the type of the input; those of a gradient are at its forward entry
///   <entry>/expected/<name>       what the reference computes, F64; I32 for integers, which must be equal
///   <entry>/tolerance/<name>      F32: how far each element of a float output may be away, see Bounded.h
///
/// and the list of the cases as JSON in the metadata.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_CONFORMANCE_BUNDLE_H
#define LIB_COMPILER_CONFORMANCE_BUNDLE_H

#include "lib/Compiler/Conformance/CaseList.h"

namespace mlir::moe::conformance {

struct BundleOptions {
  std::vector<std::string> files;        ///< With cases.
  std::vector<std::string> storageTypes; ///< "f32", "bf16"
  std::vector<std::string> targets;      ///< "cpu", "cuda:sm_90a": written to cpu.moe, cuda-sm_90a.moe
  std::string output;                    ///< A folder; made if it is not there.
};

/// Diagnostics go to the context.
LogicalResult writeBundle(const BundleOptions &options, MLIRContext &context);

} // namespace mlir::moe::conformance

#endif // LIB_COMPILER_CONFORMANCE_BUNDLE_H

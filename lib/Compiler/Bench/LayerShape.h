//===- LayerShape.h - Sizes of mixture-of-experts layers ----------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_BENCH_LAYERSHAPE_H
#define LIB_COMPILER_BENCH_LAYERSHAPE_H

#include "mlir/Support/LLVM.h"

#include <cstdint>
#include <string>

namespace mlir::moe::bench {

/// The sizes of one layer: the width of a token, that of an expert, the number of experts, and those of a token.
struct LayerShape {
  std::string name;
  int64_t hiddenSize, intermediateSize, numExperts, topK;
};

/// Those of published models, by name.
ArrayRef<LayerShape> getKnownShapes();

/// A known name, or sizes of one's own: "name:hidden,intermediate,experts,top_k". The error is the message.
FailureOr<LayerShape> parseShape(StringRef text, std::string &error);

} // namespace mlir::moe::bench

#endif // LIB_COMPILER_BENCH_LAYERSHAPE_H

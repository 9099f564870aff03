//===- Split.h - Holding documents out of training --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_DATA_SPLIT_H
#define LIB_ENGINE_DATA_SPLIT_H

#include "lib/Engine/Data/Documents.h"

namespace moe::engine {

struct Split {
  std::vector<Document> training, heldOut; ///< Each in the order of the input.

  std::vector<std::string> heldOutNames() const;
};

/// Holds out whole documents that make up at most `fraction` of the bytes: in the order of a hash of their names, each
/// that still fits is taken, and the smallest one if none fits. The choice depends on names and sizes only, not on a
/// seed, so that losses of different runs compare. A fraction of 0 holds out nothing; else both sides get a document.
Result<Split> splitByFraction(std::vector<Document> documents, double fraction);

/// Holds out exactly the documents named.
Result<Split> splitByName(std::vector<Document> documents, const std::vector<std::string> &heldOut);

} // namespace moe::engine

#endif // LIB_ENGINE_DATA_SPLIT_H

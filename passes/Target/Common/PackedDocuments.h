//===- PackedDocuments.h - Which tokens see which in packed sequences -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The `positions` operand of attention, for the emitters of every target. A document is a run of tokens of a sequence,
/// so the queries that see a key are a run too, and both runs have their ends in common:
///
/// ```
/// token        0  1  2 │ 3  4  5  6 │ 7        firstKey(5) = 3, firstKey(7) = 7
/// position     0  1  2 │ 0  1  2  3 │ 0        endOfQueries(1) = 3, endOfQueries(4) = 7, endOfQueries(7) = 8
/// ```
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_PACKEDDOCUMENTS_H
#define PASSES_TARGET_COMMON_PACKEDDOCUMENTS_H

#include "passes/Target/Common/CodeBuilder.h"

namespace mlir::moe::target {

/// Queries and keys are numbered within their sequence of `length` tokens.
class PackedDocuments {
public:
  /// `positions` is flat memory; null if a sequence is one document.
  PackedDocuments(CodeBuilder &b, Value positions, int64_t length) : b(b), positions(positions), length(length) {}

  explicit operator bool() const { return static_cast<bool>(positions); }

  /// The first key that `query` sees: where its document begins.
  Expr firstKey(Expr sequence, Expr query) const;
  /// The query after the last one that sees `key`: where its document ends.
  Expr endOfQueries(Expr sequence, Expr key) const;

private:
  CodeBuilder &b;
  Value positions;
  int64_t length;
};

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_PACKEDDOCUMENTS_H

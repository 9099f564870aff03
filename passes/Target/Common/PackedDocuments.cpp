//===- PackedDocuments.cpp - Which tokens see which in packed sequences -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/PackedDocuments.h"

#include "llvm/Support/MathExtras.h"

namespace mlir::moe::target {

Expr PackedDocuments::firstKey(Expr sequence, Expr query) const {
  if (!positions)
    return b.index(0);
  Expr position = b.load(positions, sequence * length + query).toIndex();
  // Whatever came before the sequence is out of reach.
  return max(query - position, b.index(0));
}

Expr PackedDocuments::endOfQueries(Expr sequence, Expr key) const {
  if (!positions)
    return b.index(length);
  // A binary search: those that see `key` come before those that do not. When it has found the end, it stays there.
  int64_t steps = llvm::Log2_64_Ceil(length) + 1;
  auto halve = [&](Expr, ArrayRef<Expr> range) {
    Expr first = range[0], end = range[1];
    Expr middle = min((first + end) / 2, b.index(length - 1));
    Expr isPast = firstKey(sequence, middle) > key;
    return SmallVector<Expr>{select(isPast, first, middle + 1), select(isPast, middle, end)};
  };
  return b.loop(b.index(0), b.index(steps), 1, {key + 1, b.index(length)}, halve)[0];
}

} // namespace mlir::moe::target

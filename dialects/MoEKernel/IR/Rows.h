//===- Rows.h - Marks on the ops of rows kernels ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOEKERNEL_IR_ROWS_H
#define DIALECTS_MOEKERNEL_IR_ROWS_H

#include "llvm/ADT/StringRef.h"

namespace mlir::moe_kernel {

/// On a linalg.generic: a reduction over rows, chunk by chunk. Its first loop runs over chunks and its second one, a
/// reduction, over the rows of a chunk; reductions within a row may follow, then columns. It may share a kernel with
/// the ops that compute those rows, whose first loop runs over all of them, and reads what they compute in its own row.
/// None of them reads its result.
///
///   %g = generic ["parallel", "parallel"] … -> tensor<64x128xf32>
///   %r = tensor.expand_shape %g … : tensor<64x128xf32> into tensor<4x16x128xf32>
///   %s = generic {moe_kernel.accumulates} ["parallel", "reduction", "parallel"] ins(%r) … -> tensor<4x128xf32>
inline constexpr llvm::StringLiteral kAccumulatesAttrName = "moe_kernel.accumulates";

} // namespace mlir::moe_kernel

#endif // DIALECTS_MOEKERNEL_IR_ROWS_H

//===- Distribution.h - How the inputs of a case are drawn --------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The attribute `moe.draw` of an argument says what its elements are. Shapes come from the argument's type; T is the
/// number of rows and K of columns.
///
///   normal(deviation = 1, mean = 0)      also without the attribute, for float tensors
///   uniform(low, high)
///   constant(value)
///   steps(n)                             multiples of 1/2 below n/2: many are equal
///   extreme(size)                        one in three ±size, the others normal
///   weights                              0, 1/2 or 1; the first is 1
///
///   index(n)                             integers below n
///   experts(E)                           K different experts for each of T tokens
///   skewed(E)                            the same, expert e in proportion to (e + 1)⁻²
///   together(E)                          the same K experts for all tokens
///   without(E, e)                        different experts, never e
///   offsets(R)                           R rows divided at random, offsets [E + 1]
///   offsets_without(R, e)                expert e has no rows
///   offsets_one(R, e)                    expert e has all rows
///   load(R)                              R rows divided at random, counts [E]
///   positions(S)                         0 … S − 1 again and again
///   documents(S)                         the same, but a document may end and the next begin anywhere
///   at(p)                                p, p + 1, … in each row
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_CONFORMANCE_DISTRIBUTION_H
#define LIB_COMPILER_CONFORMANCE_DISTRIBUTION_H

#include "lib/Compiler/Conformance/Draw.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"

namespace mlir::moe::conformance {

/// Draws a tensor of `type` as `distribution` says ("": normal). Floats are rounded to the element type.
FailureOr<Tensor> drawTensor(StringRef distribution, RankedTensorType type, Draw &draw,
                             function_ref<InFlightDiagnostic()> emitError);

} // namespace mlir::moe::conformance

#endif // LIB_COMPILER_CONFORMANCE_DISTRIBUTION_H

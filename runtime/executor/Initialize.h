//===- Initialize.h - Initial values of variables ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_EXECUTOR_INITIALIZE_H
#define MOE_RUNTIME_EXECUTOR_INITIALIZE_H

#include "moe/Driver.h"

#include <cstdint>

namespace moe {
namespace format {
struct Variable;
} // namespace format

/// Writes the initial value of `variable`, as its initializer says, to `destination` of exactly its size. Element i
/// depends only on (seed, variable name, i). A copy is not made here, but by `copyVariable`.
Status initializeVariable(Driver &driver, const format::Variable &variable, std::uint64_t seed, BufferView destination);

/// Writes the elements of `source`, converted, to `destination`: of equal shape, both of floating-point types.
Status copyVariable(Driver &driver, const format::Variable &source, BufferView from,
                    const format::Variable &destination, BufferView to);

} // namespace moe

#endif // MOE_RUNTIME_EXECUTOR_INITIALIZE_H

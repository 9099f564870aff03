//===- NormalTensor.h - Random tensors on all cores --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_NORMALTENSOR_H
#define LIB_ENGINE_BENCH_NORMALTENSOR_H

#include "runtime/format/artifact_generated.h"

#include <cstddef>
#include <string_view>
#include <vector>

namespace moe::engine {

/// `count` draws from N(0, 1) as elements of `dtype`. They depend on `name` and their index only.
std::vector<std::byte> drawNormal(std::size_t count, format::DType dtype, std::string_view name);

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_NORMALTENSOR_H

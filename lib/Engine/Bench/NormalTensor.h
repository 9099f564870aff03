//===- NormalTensor.h - Random tensors on all cores --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_NORMALTENSOR_H
#define LIB_ENGINE_BENCH_NORMALTENSOR_H

#include "moe/Session.h"
#include "runtime/format/artifact_generated.h"

#include <cstddef>
#include <span>
#include <string_view>

namespace moe::engine {

/// Normal numbers by the gigabyte: each element is one of 65536 equally likely quantiles of N(0, stddev²), chosen by 16
/// random bits of its own. That is as fine as bf16 is near zero, lies within ±4.2 standard deviations, and takes a
/// hundredth of the time of Session::initialize, whose draws are exact. Elements depend on `name` and their index only.
void drawNormal(std::span<std::byte> elements, format::DType dtype, double stddev, std::string_view name);

/// Gives every variable the value that its initializer says, with such draws for normal ones.
Status drawVariables(Session &session);

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_NORMALTENSOR_H

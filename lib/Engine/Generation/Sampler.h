//===- Sampler.h - Choosing the next token ----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_GENERATION_SAMPLER_H
#define LIB_ENGINE_GENERATION_SAMPLER_H

#include "moe/Status.h"

#include <cstdint>
#include <span>

namespace moe::engine {

struct SamplingOptions {
  double temperature = 1; ///< 0 takes the likeliest token, the lowest of equals.
  std::int64_t topK = 0;  ///< Among the k likeliest; 0 is all.
  double topP = 1;        ///< Among the fewest likeliest tokens that make up this probability, after top-k.
  std::uint64_t seed = 1;
};

/// Chooses a token for `position`. The choice depends on nothing but the arguments: a sequence continued later is the
/// sequence generated at once. An error of code `numerics` if a logit is NaN.
Result<std::int32_t> sampleToken(std::span<const float> logits, const SamplingOptions &options, std::int64_t position);

} // namespace moe::engine

#endif // LIB_ENGINE_GENERATION_SAMPLER_H

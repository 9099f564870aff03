//===- LayerFloor.cpp - The least time that a layer can take -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/LayerFloor.h"

#include <algorithm>
#include <cmath>

namespace moe::engine {

double Ceilings::secondsOf(double flops, double bytes) const {
  return std::max(flops / flopsPerSecond, bytes / bytesPerSecond);
}

namespace {
/// The factors of the table, in elements.
struct Counts {
  Counts(const LayerSizes &sizes, std::int64_t tokens) {
    const double d = static_cast<double>(sizes.hiddenSize), n = static_cast<double>(sizes.intermediateSize);
    const double experts = static_cast<double>(sizes.numExperts), t = static_cast<double>(tokens);
    const double share = static_cast<double>(sizes.topK) / experts;
    rows = t * static_cast<double>(sizes.topK);
    tokenElements = t * d;
    wide = rows * d;
    narrow = rows * n;
    allWeights = experts * d * n;
    usedWeights = allWeights * (1 - std::pow(1 - share, t));
    products = 2 * rows * d * n;
  }
  double rows, tokenElements, wide, narrow, allWeights, usedWeights, products;
};
} // namespace

static std::vector<KernelWork> forwardKernels(const Counts &c, double elementBytes, bool keepsGates) {
  return {{"gather, gate and up, SwiGLU", 2 * c.products,
           elementBytes * (c.wide + 2 * c.usedWeights + (keepsGates ? 3 : 1) * c.narrow)},
          {"down", c.products, elementBytes * (c.narrow + c.usedWeights + c.wide)},
          {"combine", 0, elementBytes * (c.wide + c.tokenElements)}};
}

std::vector<KernelWork> forwardWork(const LayerSizes &sizes, std::int64_t tokens, double elementBytes) {
  return forwardKernels(Counts(sizes, tokens), elementBytes, /*keepsGates=*/false);
}

std::vector<KernelWork> forwardBackwardWork(const LayerSizes &sizes, std::int64_t tokens, double elementBytes) {
  const Counts c(sizes, tokens);
  std::vector<KernelWork> kernels = forwardKernels(c, elementBytes, /*keepsGates=*/true);
  kernels.insert(
      kernels.end(),
      {{"gradient of down's input and of SwiGLU", c.products, elementBytes * (c.wide + c.usedWeights + 5 * c.narrow)},
       {"gradient of down's weights", c.products, elementBytes * (c.wide + c.narrow + c.allWeights)},
       {"gradient of gate and up's input", 2 * c.products, elementBytes * (2 * c.narrow + 2 * c.usedWeights + c.wide)},
       {"gradient of gate and up's weights", 2 * c.products, elementBytes * (2 * c.narrow + c.wide + 2 * c.allWeights)},
       {"combine of the gradient", 0, elementBytes * (c.wide + c.tokenElements)}});
  return kernels;
}

double floorSeconds(const std::vector<KernelWork> &kernels, const Ceilings &ceilings) {
  double seconds = 0;
  for (const KernelWork &kernel : kernels)
    seconds += ceilings.secondsOf(kernel.flops, kernel.bytes);
  return seconds;
}

double totalFlops(const std::vector<KernelWork> &kernels) {
  double flops = 0;
  for (const KernelWork &kernel : kernels)
    flops += kernel.flops;
  return flops;
}

} // namespace moe::engine

//===- LayerFloor.h - The least time that a layer can take -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A layer of mixture-of-experts needs three kernels forward and five more backward, since their inputs depend on one
/// another. Each takes at least the time of its products at the device's peak, or of its bytes at the speed of a copy,
/// whichever is longer; the floor is the sum. Router and plan are measured but have no floor.
///
/// With T tokens of width d, K of E experts each, experts of width n, R = T·K rows, and U = E·(1 − (1 − K/E)^T) experts
/// that are expected to have rows:
///
///   kernel                                   FLOPs   reads                            writes
///   gather, gate and up, SwiGLU              4Rdn    Rd, 2Udn                         Rn (and 2Rn for the gradients)
///   down                                     2Rdn    Rn, Udn                          Rd
///   combine                                          Rd                               Td
///   gradient of down's input, of SwiGLU      2Rdn    Rd, Udn, 2Rn                     2Rn, Rn (SwiGLU again, weighted)
///   gradient of down's weights               2Rdn    Rd, Rn                           Edn
///   gradient of gate and up's input          4Rdn    2Rn, 2Udn                        Rd
///   gradient of gate and up's weights        4Rdn    2Rn, Rd                          2Edn
///   combine of the gradient                          Rd                               Td
///
/// Rows that are gathered count as read once per choice: each expert needs them.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_LAYERFLOOR_H
#define LIB_ENGINE_BENCH_LAYERFLOOR_H

#include <cstdint>
#include <string>
#include <vector>

namespace moe::engine {

/// What a device reaches, as measured.
struct Ceilings {
  double flopsPerSecond = 0, bytesPerSecond = 0;

  double secondsOf(double flops, double bytes) const;
};

struct LayerSizes {
  std::int64_t hiddenSize = 0, intermediateSize = 0, numExperts = 0, topK = 0;
};

/// Useful floating-point operations and compulsory bytes of one kernel.
struct KernelWork {
  const char *name;
  double flops, bytes;
};

/// The kernels of the table above; `elementBytes` are those of a weight or activation.
std::vector<KernelWork> forwardWork(const LayerSizes &sizes, std::int64_t tokens, double elementBytes);
std::vector<KernelWork> forwardBackwardWork(const LayerSizes &sizes, std::int64_t tokens, double elementBytes);

double floorSeconds(const std::vector<KernelWork> &kernels, const Ceilings &ceilings);
double totalFlops(const std::vector<KernelWork> &kernels);

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_LAYERFLOOR_H

//===- Golden.h - Comparing a device with PyTorch ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// golden.safetensors holds what PyTorch computes in float64 for golden.mlir, rounded to float32 once (see README.md).
/// Each function below runs a device on the same inputs and expects the same outputs.
///
/// Tolerance, relative to the largest magnitude of a tensor: the file's own rounding, 2⁻²⁴, and kRoundings roundings of
/// the device. The longest chain of dependent operations in a training step goes through three layers, forward and
/// backward, each with about six reductions over at most 64 elements: 3 · 2 · 6 · 64 ≈ 2¹¹ roundings, and three steps
/// of it.
///
//===----------------------------------------------------------------------===//
#ifndef TEST_GOLDEN_GOLDEN_H
#define TEST_GOLDEN_GOLDEN_H

#include "test/conformance/Device.h"

namespace mlir::moe::conformance {

class Golden {
public:
  /// Reads the file; fails the test if it cannot.
  Golden();

  const Tensor &get(StringRef name) const { return tensors.at(name.str()); }
  /// The tensors whose names start with `prefix`, without it.
  NamedTensors getGroup(StringRef prefix) const;
  /// Element `index` of the first dimension.
  Tensor get(StringRef name, int64_t index) const;

  /// Sets all parameters and buffers.
  void initialize(Device &device) const;
  /// The inputs of train_step in step `index`.
  NamedTensors getInputs(int64_t index) const;

private:
  NamedTensors tensors;
};

/// evaluate returns the loss of the first batch.
void compareEvaluation(Device &device, const Golden &golden);
/// prefill and decode_step return the logits of the first sequence, token by token.
void compareGeneration(Device &device, const Golden &golden);
/// Three times train_step: losses, norm and loads of each step, the moments after the first (which are its gradients)
/// and all parameters and buffers after the last.
void compareTraining(Device &device, const Golden &golden);

} // namespace mlir::moe::conformance

#endif // TEST_GOLDEN_GOLDEN_H

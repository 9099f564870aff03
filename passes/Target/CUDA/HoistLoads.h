//===- HoistLoads.h - Reading before waiting --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOISTLOADS_H
#define PASSES_TARGET_CUDA_HOISTLOADS_H

#include "mlir/IR/Block.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::moe::cuda {

/// Moves loads from `memories`, which the kernel does not write, and what computes their addresses to the first op of
/// `block` that touches memory, and so before barriers and exchanges between threads. A kernel that reads a row,
/// reduces it and then reads what it scales it by would wait for memory twice. Loads whose places are not known there
/// stay, and so do all if they are more than a thread has registers to spare for.
///
///   %x = vector.load %row[%i]                 %x = vector.load %row[%i]
///   … %sum = nvvm.shfl.sync … barrier    →    %w = vector.load %weight[%j]
///   %w = vector.load %weight[%j]              … %sum = nvvm.shfl.sync … barrier
void hoistLoads(Block &block, const DenseSet<Value> &memories);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOISTLOADS_H

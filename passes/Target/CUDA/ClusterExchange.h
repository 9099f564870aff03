//===- ClusterExchange.h - Blocks that hand over to a neighbour -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Blocks of a cluster run at the same time and may write each other's shared memory (PTX ISA, "Cluster of Cooperative
/// Thread Arrays"). So the first of them goes on with what all have computed a fraction of a microsecond after the last
/// is done, where passing it on through the second-level cache (GridCounter.h) takes more than one.
///
/// ```
/// begin()                 all blocks say that they are there
/// what each computes
/// meet()                  they are
/// store(value, offset)    to the memory of the first block
/// handOver()              what has been stored is seen by the first block
/// ```
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_CLUSTEREXCHANGE_H
#define PASSES_TARGET_CUDA_CLUSTEREXCHANGE_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda {

class ClusterExchange {
public:
  /// Of blocks that every GPU with clusters runs in one.
  static constexpr int64_t kMostBlocks = 8;

  /// The kernel's grid is made of clusters of `blocks` consecutive blocks. `count` float32 are exchanged.
  ClusterExchange(BlockBuilder &b, int64_t blocks, int64_t count);

  // By all threads of all blocks.
  void begin();
  void meet();
  void handOver();

  void store(Expr value, Expr offset);
  Expr isFirst() const { return b.block % blocks == 0; }
  /// What was stored, in the first block.
  Value getMemory() const { return memory; }

private:
  BlockBuilder &b;
  int64_t blocks;
  Value memory;
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_CLUSTEREXCHANGE_H

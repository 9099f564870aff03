//===- TokenChoice.h - Scores and experts of tokens, by warps ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A warp takes a token; lane l holds the experts l, l + 32, … in registers. To choose, scores become integers of the
/// same order, whose maximum over a warp is one instruction (`redux.sync`), and so is the lowest expert that has it.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_TOKENCHOICE_H
#define PASSES_TARGET_CUDA_TOKENCHOICE_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda {

/// A value for each expert of this lane.
using LaneValues = SmallVector<Expr>;

/// The experts of a lane, for one token of `experts` scores.
struct TokenLanes {
  BlockBuilder &b;
  int64_t experts;

  int64_t getCount() const { return llvm::divideCeil(experts, kWarpSize); }
  Expr expert(int64_t i) const { return b.lane + i * kWarpSize; }
  /// Null if it is certain.
  Expr exists(int64_t i) const { return (i + 1) * kWarpSize <= experts ? Expr() : expert(i) < experts; }
  LaneValues load(Value memory, Expr start) const;
  void store(ArrayRef<Expr> values, Value memory, Expr start) const;
  /// Runs `body` for the token of each warp; returns the blocks that this takes.
  int64_t forToken(int64_t tokens, function_ref<void(Expr)> body) const;
};

/// From logits to scores, experts and weights: moe_kernel.route.
class TokenChoice {
public:
  /// `op` is a route or a router, whose results it writes (scores if there are any).
  template <typename OpT> TokenChoice(BlockBuilder &b, OpT op, int64_t experts);

  struct Token {
    Expr number;
    LaneValues logits;
    Expr exists; ///< Null if it is certain; nothing is written of others.
  };
  /// For several tokens of a warp side by side, so that one does not wait for another.
  void emit(MutableArrayRef<Token> tokens);

  const TokenLanes lanes;
  /// i32 of shared memory for each expert, to which the tokens that chose it are added; or null.
  Value counts;
  /// Called for each token of a warp, by all lanes, with the expert that lane k has chosen as number k; or null.
  std::function<void(Expr chosen)> afterToken;

private:
  /// An expert of this lane. Of equal keys the lowest expert's comes first; what does not compare comes after everything
  /// that does.
  struct Candidate {
    Expr key, expert, score; ///< The score only where it is not in the key.
  };
  struct Chosen {
    Expr expert, score;
  };
  int64_t partsOfCandidate() const { return bias ? 3 : 2; }
  void softmax(LaneValues &values);
  void score(LaneValues &values);
  void sort(MutableArrayRef<Candidate> candidates);
  /// The first of all lanes' candidates, each lane's being sorted, which is theirs no longer.
  Chosen choose(MutableArrayRef<Candidate> candidates);
  Expr toKey(Expr value);
  Expr fromKey(Expr key);

  BlockBuilder &b;
  int64_t topK;
  moe_kernel::RouteScoring scoring;
  bool normalises;
  double factor;
  Value bias, scores, weights, indices; ///< The first two may be null.
};

template <typename OpT>
TokenChoice::TokenChoice(BlockBuilder &b, OpT op, int64_t experts)
    : lanes{b, experts}, b(b), topK(op.getTopK()), scoring(op.getScoring()), normalises(op.getNormTopkProb()),
      factor(op.getRoutedScalingFactor().convertToDouble()),
      bias(op.getSelectionBias() ? b.operand(op.getSelectionBias()) : Value()),
      scores(op.getScores() ? b.result(op.getScores()) : Value()), weights(b.result(op.getWeights())),
      indices(b.result(op.getIndices())) {}

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_TOKENCHOICE_H

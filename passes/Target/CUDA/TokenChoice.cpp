//===- TokenChoice.cpp - Scores and experts of tokens, by warps -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/TokenChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include <limits>

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

/// moe.topk_gate adds this to the sum of the chosen scores.
static constexpr double kSumEpsilon = 1e-20;
/// Keys of experts that are chosen or do not exist, and of scores that are no numbers; those of numbers are larger.
static constexpr int64_t kNeverKey = 0, kUnorderedKey = 1;

//===----------------------------------------------------------------------===//
// TokenLanes
//===----------------------------------------------------------------------===//

LaneValues TokenLanes::load(Value memory, Expr start) const {
  return llvm::map_to_vector(llvm::seq<int64_t>(getCount()),
                             [&](int64_t i) { return b.loadOrZero(memory, start + expert(i), exists(i)); });
}

void TokenLanes::store(ArrayRef<Expr> values, Value memory, Expr start) const {
  for (auto [i, value] : llvm::enumerate(values))
    b.ifThen(exists(i), [&, value = value, i = i] { b.store(value, memory, start + expert(i)); });
}

int64_t TokenLanes::forToken(int64_t tokens, function_ref<void(Expr)> body) const {
  Expr token = b.block * b.warps + b.warp;
  b.ifThen(tokens % b.warps == 0 ? Expr() : token < tokens, [&] { body(token); });
  return llvm::divideCeil(tokens, b.warps);
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void TokenChoice::softmax(LaneValues &values) {
  Expr largest = b.real(std::numeric_limits<float>::lowest()), sum = b.real(0);
  auto orElse = [&](int64_t i, Expr value, Expr otherwise) {
    Expr exists = lanes.exists(i);
    return exists ? select(exists, value, otherwise) : value;
  };
  for (auto [i, value] : llvm::enumerate(values))
    largest = orElse(i, max(value, largest), largest);
  largest = b.maxLanes(largest);
  for (auto [i, value] : llvm::enumerate(values)) {
    value = exp(value - largest);
    sum = sum + orElse(i, value, b.real(0));
  }
  sum = b.sumLanes(sum);
  for (Expr &value : values)
    value = value / sum;
}

void TokenChoice::score(LaneValues &values) {
  if (scoring == RouteScoring::softmax)
    return softmax(values);
  if (scoring == RouteScoring::sigmoid)
    for (Expr &value : values)
      value = 1 / (1 + exp(0 - value));
}

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

/// Larger numbers have larger keys, as unsigned integers: the bits, with the sign's inverted, of negative numbers all.
Expr TokenChoice::toKey(Expr value) {
  ImplicitLocOpBuilder &builder = b.builder;
  value = value + 0.0; // No −0, which is no smaller than 0.
  Expr bits = b.wrap(arith::BitcastOp::create(builder, builder.getI32Type(), Value(value)));
  Value sign = arith::ShRSIOp::create(builder, Value(bits), b.i32(31));
  Value flipped = arith::OrIOp::create(builder, sign, b.i32(std::numeric_limits<int32_t>::min()));
  Value isUnordered = arith::CmpFOp::create(builder, arith::CmpFPredicate::UNO, Value(value), Value(value));
  return select(b.wrap(isUnordered), b.i32(kUnorderedKey), bits ^ b.wrap(flipped));
}

Expr TokenChoice::fromKey(Expr key) {
  ImplicitLocOpBuilder &builder = b.builder;
  Value isPositive = arith::ShRSIOp::create(builder, Value(key), b.i32(31));
  Expr flipped = b.wrap(
      arith::OrIOp::create(builder, b.wrap(isPositive) ^ b.i32(-1), Value(b.i32(std::numeric_limits<int32_t>::min()))));
  return b.wrap(arith::BitcastOp::create(builder, builder.getF32Type(), Value(key ^ flipped)));
}

TokenChoice::Chosen TokenChoice::choose(ArrayRef<Expr> keys, ArrayRef<Expr> scores) {
  Expr largest = keys.front();
  for (Expr key : keys.drop_front())
    largest = b.wrap(arith::MaxUIOp::create(b.builder, Value(largest), Value(key)));
  largest = b.maxUnsigned(largest);
  Expr first = b.i32(std::numeric_limits<int32_t>::max());
  for (int64_t i = lanes.getCount() - 1; i >= 0; --i)
    first = select(keys[i] == largest, lanes.expert(i).toI32(), first);
  Chosen chosen{b.minUnsigned(first), Expr()};
  if (!bias) {
    chosen.score = fromKey(largest);
    return chosen;
  }
  chosen.score = scores.front();
  for (int64_t i = 1; i < lanes.getCount(); ++i)
    chosen.score = select(chosen.expert == lanes.expert(i).toI32(), scores[i], chosen.score);
  chosen.score = b.shuffle(chosen.score, chosen.expert % kWarpSize);
  return chosen;
}

void TokenChoice::emit(MutableArrayRef<Token> tokens) {
  int64_t count = lanes.getCount(), slots = llvm::divideCeil(topK, kWarpSize);
  SmallVector<LaneValues> tokenScores;
  SmallVector<Expr> carried;
  for (Token &token : tokens) {
    LaneValues values = token.logits;
    score(values);
    if (scores)
      b.ifThen(token.exists, [&] { lanes.store(values, scores, token.number * lanes.experts); });
    tokenScores.push_back(values);
    if (bias)
      for (auto [value, addend] : llvm::zip_equal(values, lanes.load(bias, b.index(0))))
        value = value + addend;
    for (auto [i, value] : llvm::enumerate(values)) {
      Expr key = toKey(value), exists = lanes.exists(i);
      carried.push_back(exists ? select(exists, key, b.i32(kNeverKey)) : key);
    }
    // The sum of the chosen scores, and the choices that this lane writes: number lane, lane + 32, …
    carried.push_back(b.real(0));
    for (int64_t slot = 0; slot < slots; ++slot)
      carried.append({b.i32(0), b.real(0)});
  }

  int64_t perToken = count + 1 + 2 * slots;
  carried = b.loop(b.index(0), b.index(topK), 1, carried, [&](Expr k, ArrayRef<Expr> carried) {
    SmallVector<Expr> next;
    for (auto [t, token] : llvm::enumerate(tokens)) {
      ArrayRef<Expr> mine = carried.slice(t * perToken, perToken);
      Chosen chosen = choose(mine.take_front(count), tokenScores[t]);
      for (int64_t i = 0; i < count; ++i)
        next.push_back(select(lanes.expert(i).toI32() == chosen.expert, b.i32(kNeverKey), mine[i]));
      next.push_back(mine[count] + chosen.score);
      for (int64_t slot = 0; slot < slots; ++slot) {
        Expr isMine = k == lanes.expert(slot);
        next.push_back(select(isMine, chosen.expert, mine[count + 1 + 2 * slot]));
        next.push_back(select(isMine, chosen.score, mine[count + 2 + 2 * slot]));
      }
    }
    return next;
  });

  for (auto [t, token] : llvm::enumerate(tokens)) {
    ArrayRef<Expr> mine = ArrayRef<Expr>(carried).slice(t * perToken, perToken);
    for (int64_t slot = 0; slot < slots; ++slot) {
      Expr k = lanes.expert(slot), expert = mine[count + 1 + 2 * slot], weight = mine[count + 2 + 2 * slot];
      if (normalises)
        weight = weight / (mine[count] + kSumEpsilon);
      b.ifThen(both(token.exists, k < topK), [&, &token = token] {
        Expr entry = token.number * topK + k;
        b.store(expert, indices, entry);
        b.store(weight * factor, weights, entry);
        if (counts)
          b.atomicAdd(b.i32(1), counts, expert.toIndex());
      });
    }
    if (afterToken)
      afterToken(mine[count + 1]);
  }
}

} // namespace mlir::moe::cuda

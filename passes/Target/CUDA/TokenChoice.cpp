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

/// By Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M).
void TokenChoice::sort(MutableArrayRef<Candidate> candidates) {
  auto compare = [&](Candidate &first, Candidate &second) {
    auto unsignedGreater = arith::CmpIPredicate::ugt;
    Expr isLarger = b.wrap(arith::CmpIOp::create(b.builder, unsignedGreater, Value(second.key), Value(first.key)));
    Expr isLower = both(second.key == first.key, second.expert < first.expert);
    Expr swaps = b.wrap(arith::OrIOp::create(b.builder, Value(isLarger), Value(isLower)));
    auto exchange = [&](Expr &one, Expr &other) {
      if (!one)
        return;
      Expr old = one;
      one = select(swaps, other, one);
      other = select(swaps, old, other);
    };
    exchange(first.key, second.key);
    exchange(first.expert, second.expert);
    exchange(first.score, second.score);
  };
  int64_t count = candidates.size(), top = llvm::PowerOf2Ceil(count) / 2;
  for (int64_t p = top; p > 0; p /= 2)
    for (int64_t q = top, r = 0, d = p; d > 0; d = q - p, q /= 2, r = p) {
      for (int64_t i = 0; i + d < count; ++i)
        if ((i & p) == r)
          compare(candidates[i], candidates[i + d]);
      if (q == p)
        break;
    }
}

TokenChoice::Chosen TokenChoice::choose(MutableArrayRef<Candidate> candidates) {
  const Candidate first = candidates.front();
  Expr largest = b.maxUnsigned(first.key), none = b.i32(std::numeric_limits<int32_t>::max());
  Expr expert = b.minUnsigned(select(first.key == largest, first.expert, none));
  Chosen chosen{expert, bias ? b.shuffle(first.score, expert % kWarpSize) : fromKey(largest)};
  Expr isMine = first.expert == expert;
  for (size_t i = 0; i < candidates.size(); ++i) {
    Candidate &old = candidates[i];
    if (i + 1 == candidates.size()) {
      old.key = select(isMine, b.i32(kNeverKey), old.key);
      continue;
    }
    const Candidate &next = candidates[i + 1];
    old.key = select(isMine, next.key, old.key);
    old.expert = select(isMine, next.expert, old.expert);
    if (bias)
      old.score = select(isMine, next.score, old.score);
  }
  return chosen;
}

void TokenChoice::emit(MutableArrayRef<Token> tokens) {
  int64_t count = lanes.getCount(), slots = llvm::divideCeil(topK, kWarpSize);
  SmallVector<Expr> carried;
  for (Token &token : tokens) {
    LaneValues values = token.logits;
    score(values);
    if (scores)
      b.ifThen(token.exists, [&] { lanes.store(values, scores, token.number * lanes.experts); });
    LaneValues addends;
    if (bias)
      addends = lanes.load(bias, b.index(0));
    SmallVector<Candidate> candidates;
    for (auto [i, value] : llvm::enumerate(values)) {
      Expr key = toKey(bias ? value + addends[i] : value), exists = lanes.exists(i);
      candidates.push_back({exists ? select(exists, key, b.i32(kNeverKey)) : key, lanes.expert(i).toI32(),
                            bias ? value : Expr()});
    }
    sort(candidates);
    for (const Candidate &candidate : candidates) {
      carried.append({candidate.key, candidate.expert});
      if (bias)
        carried.push_back(candidate.score);
    }
    // The sum of the chosen scores, and the choices that this lane writes: number lane, lane + 32, …
    carried.push_back(b.real(0));
    for (int64_t slot = 0; slot < slots; ++slot)
      carried.append({b.i32(0), b.real(0)});
  }

  int64_t parts = partsOfCandidate(), ofCandidates = count * parts, perToken = ofCandidates + 1 + 2 * slots;
  carried = b.loop(b.index(0), b.index(topK), 1, carried, [&](Expr k, ArrayRef<Expr> carried) {
    SmallVector<Expr> next;
    for (size_t t = 0; t < tokens.size(); ++t) {
      ArrayRef<Expr> mine = carried.slice(t * perToken, perToken);
      SmallVector<Candidate> candidates;
      for (int64_t i = 0; i < ofCandidates; i += parts)
        candidates.push_back({mine[i], mine[i + 1], bias ? mine[i + 2] : Expr()});
      Chosen chosen = choose(candidates);
      for (const Candidate &candidate : candidates) {
        next.append({candidate.key, candidate.expert});
        if (bias)
          next.push_back(candidate.score);
      }
      ArrayRef<Expr> sums = mine.drop_front(ofCandidates);
      next.push_back(sums[0] + chosen.score);
      for (int64_t slot = 0; slot < slots; ++slot) {
        Expr isMine = k == lanes.expert(slot);
        next.push_back(select(isMine, chosen.expert, sums[1 + 2 * slot]));
        next.push_back(select(isMine, chosen.score, sums[2 + 2 * slot]));
      }
    }
    return next;
  });

  for (auto [t, token] : llvm::enumerate(tokens)) {
    ArrayRef<Expr> mine = ArrayRef<Expr>(carried).slice(t * perToken, perToken).drop_front(ofCandidates);
    for (int64_t slot = 0; slot < slots; ++slot) {
      Expr k = lanes.expert(slot), expert = mine[1 + 2 * slot], weight = mine[2 + 2 * slot];
      if (normalises)
        weight = weight / (mine[0] + kSumEpsilon);
      b.ifThen(both(token.exists, k < topK), [&, &token = token] {
        Expr entry = token.number * topK + k;
        b.store(expert, indices, entry);
        b.store(weight * factor, weights, entry);
        if (counts)
          b.atomicAdd(b.i32(1), counts, expert.toIndex());
      });
    }
    if (afterToken)
      afterToken(mine[1]);
  }
}

} // namespace mlir::moe::cuda

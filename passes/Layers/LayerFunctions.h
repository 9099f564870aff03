//===- LayerFunctions.h - One function for each distinct layer --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_LAYERS_LAYERFUNCTIONS_H
#define PASSES_LAYERS_LAYERFUNCTIONS_H

#include "dialects/MoE/IR/MoEOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::moe {

/// How a layer sees its tokens: whole sequences, or new tokens after those in a cache.
enum class LayerMode { Sequence, Prefill, Decode };

inline bool isCached(LayerMode mode) { return mode != LayerMode::Sequence; }

/// What fixes the shapes of a mode: `batch` sequences of `length` tokens, caches of `context` tokens; whether a
/// sequence is several documents.
struct TokenShape {
  int64_t batch, length, context = 0;
  bool packedDocuments = false;

  static TokenShape ofTraining(TrainingOp op);
  static TokenShape ofPrefill(ServingOp op);
  static TokenShape ofDecode(ServingOp op);
  int64_t getNumTokens() const { return batch * length; }
};

/// One layer as described: the ops in the body of moe.layers and the model around them.
struct LayerDescription {
  ModelOp model;
  SelfAttentionOp attention;
  Operation *feedForward;

  explicit LayerDescription(LayersOp layers);
  /// Null for a dense layer.
  SparseMLPOp getSparse() const { return dyn_cast<SparseMLPOp>(feedForward); }
  bool hasSelectionBias() const;
  bool hasBalanceLoss() const;
  /// Equal for layers that can share a function.
  Attribute getKey() const;
};

/// A variable of a layer. `name` is what follows "model.layers.<i>." in Hugging Face's name.
struct LayerWeight {
  StringRef name;
  RankedTensorType type;
  VariableRole role;
  InitializerKind initializer;
  /// How many of its elements take part in the computation of one token.
  int64_t activeElements;
};

/// The one weight that an entry point touches itself: it updates it.
inline constexpr StringRef selectionBiasName = "mlp.gate.e_score_correction_bias";

/// The weights of a layer, in the order in which its function takes them; the selection bias, if any, is the last.
SmallVector<LayerWeight> getLayerWeights(const LayerDescription &layer);

/// What the parameters, activations and caches of `model` hold (its dtype).
Type getStorageType(ModelOp model);

/// [batch, context, kv heads · head_dim]: the type of a layer's key cache and of its value cache.
RankedTensorType getCacheType(const LayerDescription &layer, const TokenShape &shape);

/// Builds, at the builder's insertion point, the private function that computes a layer:
///
///   Sequence:         (x, cos, sin, positions if documents are packed, weights…)
///                         -> (x, aux_loss if the layer has a balance loss, load if it is sparse)
///   Prefill, Decode:  (x, cos, sin, positions, key_cache, value_cache, weights…) -> (x, key_cache, value_cache)
///
/// with x [T, hidden_size], cos and sin [T, head_dim / 2], positions [batch, length], load [num_experts].
func::FuncOp buildLayerFunction(OpBuilder &builder, StringRef name, const LayerDescription &layer, LayerMode mode,
                                const TokenShape &shape);

} // namespace mlir::moe

#endif // PASSES_LAYERS_LAYERFUNCTIONS_H

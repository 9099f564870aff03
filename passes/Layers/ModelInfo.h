//===- ModelInfo.h - Facts about a model that outlive its layer ops -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_LAYERS_MODELINFO_H
#define PASSES_LAYERS_MODELINFO_H

#include "dialects/MoE/IR/MoEOps.h"

namespace mlir::moe {

/// On the module after the stage `layers`: what the runtime wants to know of the model and the IR no longer says. The
/// artifact writer turns it into JSON with the same keys:
///
///   moe.model_info = {name = "tiny", vocab_size = 256, hidden_size = 128, num_layers = 3, sparse_layers = [1, 2],
///     num_experts = 8, top_k = 2, parameters = ..., active_parameters = ...,
///     training = {batch_size, sequence_length, beta1, beta2, epsilon, weight_decay, max_grad_norm,
///                 packed_documents},
///     serving = {batch_size, prompt_length, context_length}}
///
/// Integers are i64, numbers f64, packed_documents is a bool; `training` and `serving` are there if the description has
/// them.
inline constexpr StringRef modelInfoAttrName = "moe.model_info";

/// The part of it that is counted rather than read off an op.
struct ModelInfo {
  int64_t numLayers = 0;
  SmallVector<int64_t> sparseLayers;
  /// The largest of any layer; 0 if no layer is sparse.
  int64_t numExperts = 0, topK = 0;
  /// All trained elements, and those that take part in the computation of one token.
  int64_t parameters = 0, activeParameters = 0;

  /// `training` and `serving` may be null.
  DictionaryAttr toAttribute(ModelOp model, TrainingOp training, ServingOp serving) const;
};

} // namespace mlir::moe

#endif // PASSES_LAYERS_MODELINFO_H

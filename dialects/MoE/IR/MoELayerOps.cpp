//===- MoELayerOps.cpp - Assembly and verifiers of layer ops ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoELayerAssembly.h"
#include "dialects/MoE/IR/MoEOps.h"

#include <limits>

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

#define MOE_LAYER_OP_ASSEMBLY(OpT)                                                                                     \
  ParseResult OpT::parse(OpAsmParser &parser, OperationState &result) {                                                \
    return parseLayerOp(parser, result, LayerOpSpec::of<OpT>(parser.getContext()));                                    \
  }                                                                                                                    \
  void OpT::print(OpAsmPrinter &printer) { printLayerOp(printer, *this, LayerOpSpec::of<OpT>(getContext())); }

MOE_LAYER_OP_ASSEMBLY(ModelOp)
MOE_LAYER_OP_ASSEMBLY(LayersOp)
MOE_LAYER_OP_ASSEMBLY(SelfAttentionOp)
MOE_LAYER_OP_ASSEMBLY(MLPOp)
MOE_LAYER_OP_ASSEMBLY(SparseMLPOp)
MOE_LAYER_OP_ASSEMBLY(TrainingOp)
MOE_LAYER_OP_ASSEMBLY(ServingOp)
#undef MOE_LAYER_OP_ASSEMBLY

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

/// The largest size of anything: indices are int32 on every target.
static constexpr int64_t maxSize = std::numeric_limits<int32_t>::max();

static int64_t getInteger(Operation *op, StringRef key) {
  return cast<IntegerAttr>(*op->getInherentAttr(key)).getValue().getSExtValue();
}
static double getNumber(Operation *op, StringRef key) {
  return cast<FloatAttr>(*op->getInherentAttr(key)).getValueAsDouble();
}

static LogicalResult verifySizes(Operation *op, ArrayRef<StringRef> keys, int64_t minimum = 1,
                                 int64_t maximum = maxSize) {
  for (StringRef key : keys) {
    int64_t size = getInteger(op, key);
    if (size < minimum || size > maximum)
      return op->emitOpError() << key << " is " << size << " but must be between " << minimum << " and " << maximum;
  }
  return success();
}

/// `key` must be finite and above 0.
static LogicalResult verifyPositive(Operation *op, StringRef key) {
  double value = getNumber(op, key);
  if (value > 0 && std::isfinite(value))
    return success();
  return op->emitOpError() << key << " is " << formatNumber(value) << " but must be above 0";
}

/// `key` must be in [0, limit).
static LogicalResult verifyFromZero(Operation *op, StringRef key, double limit) {
  double value = getNumber(op, key);
  if (value >= 0 && value < limit)
    return success();
  auto diagnostic = op->emitOpError() << key << " is " << formatNumber(value) << " but must be at least 0";
  if (std::isfinite(limit))
    diagnostic << " and below " << formatNumber(limit);
  return diagnostic;
}

static constexpr double infinity = std::numeric_limits<double>::infinity();

/// `value` must be a multiple of `divisor`; names the multiples around it otherwise.
static LogicalResult verifyMultiple(Operation *op, StringRef key, int64_t value, StringRef divisorKey,
                                    int64_t divisor) {
  if (value % divisor == 0)
    return success();
  int64_t below = value / divisor * divisor;
  auto diagnostic = op->emitOpError() << key << " is " << value << " but must be a multiple of " << divisorKey
                                      << (divisorKey.empty() ? "" : " = ") << divisor << "; nearest: ";
  if (below > 0)
    diagnostic << below << " or ";
  return diagnostic << below + divisor;
}

/// A module says once how to train and how to serve, and describes one model.
template <typename OpT> static LogicalResult verifyOnlyOne(OpT op) {
  for (Operation &other : *op->getBlock()) {
    if (&other == op)
      break;
    if (!isa<OpT>(other))
      continue;
    auto diagnostic = op->emitOpError("is the second in this module, which may have one");
    diagnostic.attachNote(other.getLoc()) << "the first is here";
    return diagnostic;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult ModelOp::verify() {
  if (failed(verifyOnlyOne(*this)) || failed(verifySizes(*this, {"vocab_size", "hidden_size"})) ||
      failed(verifyPositive(*this, "rms_norm_eps")) || failed(verifyFromZero(*this, "initializer_range", infinity)))
    return failure();
  if (getBody().front().empty())
    return emitOpError("has no layers; it needs at least one moe.layers");
  for (Operation &op : getBody().front())
    if (!isa<LayersOp>(op))
      return op.emitOpError("cannot stand in the body of moe.model, which holds only moe.layers");
  return success();
}

LogicalResult LayersOp::verify() {
  // Each layer has variables and a call of its own: a limit far above any model keeps a slip from filling the memory.
  if (failed(verifySizes(*this, {"count"}, /*minimum=*/1, /*maximum=*/65536)))
    return failure();
  SmallVector<Operation *> ops;
  for (Operation &op : getBody().front())
    ops.push_back(&op);
  if (ops.size() == 2 && isa<SelfAttentionOp>(ops[0]) && isa<MLPOp, SparseMLPOp>(ops[1]))
    return success();

  auto diagnostic = emitOpError("must hold an attention op (moe.self_attention) and then a feed-forward op (moe.mlp or "
                                "moe.sparse_mlp), but holds ");
  if (ops.empty())
    return diagnostic << "nothing";
  llvm::interleaveComma(ops, diagnostic, [&](Operation *op) { diagnostic << op->getName(); });
  return diagnostic;
}

LogicalResult SelfAttentionOp::verify() {
  if (failed(verifySizes(*this, {"num_heads", "num_kv_heads", "head_dim"})) ||
      failed(verifyPositive(*this, "rope_theta")))
    return failure();
  if (failed(verifyMultiple(*this, "num_heads", getNumHeads(), "num_kv_heads", getNumKvHeads())))
    return failure();
  // The rotary embedding turns pairs of elements.
  return verifyMultiple(*this, "head_dim", getHeadDim(), "", 2);
}

LogicalResult MLPOp::verify() { return verifySizes(*this, {"intermediate_size"}); }

LogicalResult SparseMLPOp::verify() {
  if (failed(verifySizes(*this, {"num_experts", "top_k", "moe_intermediate_size"})) ||
      failed(verifySizes(*this, {"num_shared_experts"}, /*minimum=*/0)) ||
      failed(verifyPositive(*this, "routed_scaling_factor")) ||
      failed(verifyFromZero(*this, "aux_loss_alpha", infinity)) ||
      failed(verifyFromZero(*this, "bias_update_rate", infinity)))
    return failure();
  if (getTopK() > getNumExperts())
    return emitOpError() << "top_k is " << getTopK() << " but there are only num_experts = " << getNumExperts()
                         << "; nearest: top_k = " << getNumExperts();
  return success();
}

LogicalResult TrainingOp::verify() {
  if (failed(verifyOnlyOne(*this)) || failed(verifySizes(*this, {"batch_size", "sequence_length"})) ||
      failed(verifyFromZero(*this, "beta1", 1.0)) || failed(verifyFromZero(*this, "beta2", 1.0)) ||
      failed(verifyPositive(*this, "epsilon")) || failed(verifyFromZero(*this, "weight_decay", infinity)))
    return failure();
  return verifyPositive(*this, "max_grad_norm");
}

LogicalResult ServingOp::verify() {
  if (failed(verifyOnlyOne(*this)) || failed(verifySizes(*this, {"batch_size", "prompt_length", "context_length"})))
    return failure();
  if (getPromptLength() > getContextLength())
    return emitOpError() << "prompt_length is " << getPromptLength()
                         << " but the caches hold context_length = " << getContextLength()
                         << " tokens; nearest: prompt_length = " << getContextLength();
  return success();
}

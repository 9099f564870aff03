//===- FuseEpilogue.cpp - Apply what follows a matmul to its accumulator --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/ApplyFusions.h"
#include "passes/Fuse/KernelLabels.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/RowsBuilder.h"
#include "passes/Target/Target.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEEPILOGUEPASS
#include "passes/Fuse/Passes.h.inc"

using moe_kernel::MatmulKind;
using moe_kernel::TileExtent;

namespace {
/// A matmul with a longer epilogue: gets the values that the old epilogue yielded, before they were rounded, and the
/// elements of the new extras, extended, and returns what to yield instead, to be rounded.
using Continue = function_ref<SmallVector<Value>(ScalarBuilder &builder, ValueRange yielded, ValueRange extras)>;

struct Extension {
  StringRef label; ///< What is added, for the name of the kernel.
  SmallVector<std::pair<Value, TileExtent>> extras = {};
  SmallVector<std::pair<Type, TileExtent>> results = {};
  bool paired = false; ///< Whether the matmul becomes paired, if it is not yet.
};
} // namespace

static ArrayAttr appendExtents(ArrayAttr extents, ArrayRef<TileExtent> added, Builder &builder) {
  SmallVector<Attribute> all(extents.begin(), extents.end());
  for (TileExtent extent : added)
    all.push_back(moe_kernel::TileExtentAttr::get(builder.getContext(), extent));
  return builder.getArrayAttr(all);
}

/// Builds a copy of `matmul` at the insertion point of `rewriter` with another end of its epilogue.
static moe_kernel::MatmulOp extendEpilogue(moe_kernel::MatmulOp matmul, const Extension &extension,
                                           PatternRewriter &rewriter, Continue continueEpilogue) {
  SmallVector<Value> extras(matmul.getExtras());
  SmallVector<TileExtent> extraExtents, resultExtents;
  SmallVector<Type> resultTypes;
  for (auto [extra, extent] : extension.extras) {
    extras.push_back(extra);
    extraExtents.push_back(extent);
  }
  for (auto [type, extent] : extension.results) {
    resultTypes.push_back(type);
    resultExtents.push_back(extent);
  }
  bool becomesPaired = extension.paired && !matmul.getPaired();
  auto extended = moe_kernel::MatmulOp::create(
      rewriter, matmul.getLoc(), resultTypes, matmul.getLhs(), matmul.getRhs(), matmul.getOffsets(),
      matmul.getRowIndex(), extras, matmul.getKind(), matmul.getTransposeLhs(), matmul.getTransposeRhs(),
      matmul.getPaired() || extension.paired, matmul.getGatherRhs(), matmul.getRowDivisor(),
      appendExtents(matmul.getExtraExtents(), extraExtents, rewriter),
      appendExtents(rewriter.getArrayAttr({}), resultExtents, rewriter));
  llvm::SmallSetVector<StringAttr, 4> labels;
  collectLabels(matmul, labels);
  labels.insert(rewriter.getStringAttr(extension.label));
  setLabels(extended, labels);

  OpBuilder::InsertionGuard guard(rewriter);
  Location location = matmul.getLoc();
  Block *epilogue = rewriter.createBlock(&extended.getEpilogue());
  IRMapping mapping;
  SmallVector<Value> added;
  for (BlockArgument argument : matmul.getEpilogue().getArguments())
    mapping.map(argument, epilogue->addArgument(argument.getType(), location));
  if (becomesPaired)
    added.push_back(epilogue->addArgument(rewriter.getF32Type(), location));
  for (auto [extra, extent] : extension.extras)
    for (int i = 0; i < (extent == TileExtent::pair ? 2 : 1); ++i)
      added.push_back(epilogue->addArgument(getElementTypeOrSelf(extra), location));
  Block &old = matmul.getEpilogue().front();
  for (Operation &op : old.without_terminator())
    rewriter.clone(op, mapping);
  auto yielded = llvm::map_to_vector(old.getTerminator()->getOperands(), [&](Value value) {
    Value mapped = mapping.lookupOrDefault(value);
    auto rounded = mapped.getDefiningOp<arith::TruncFOp>();
    return rounded ? rounded.getIn() : mapped;
  });
  ScalarBuilder builder(location, rewriter);
  for (Value &extra : added)
    extra = builder.extend(extra);
  SmallVector<Value> yields = continueEpilogue(builder, yielded, added);
  SmallVector<Type> yieldTypes;
  for (auto [type, extent] : extension.results)
    yieldTypes.append(extent == TileExtent::pair ? 2 : 1, getElementTypeOrSelf(type));
  for (auto [value, type] : llvm::zip_equal(yields, yieldTypes))
    value = builder.round(value, type);
  rewriter.setInsertionPointToEnd(epilogue);
  moe_kernel::YieldOp::create(rewriter, location, yields);
  return extended;
}

/// Whether `matmul` stores its accumulator, rounded or as it is, and nothing else.
static bool storesAccumulator(moe_kernel::MatmulOp matmul) {
  Block &epilogue = matmul.getEpilogue().front();
  return epilogue.getNumArguments() == 1 && matmul->getNumResults() == 1 &&
         llvm::all_of(epilogue.without_terminator(), [](Operation &op) { return isa<arith::TruncFOp>(op); });
}

/// The matmul that computes `value`, if nobody else needs that and it has no other result.
static moe_kernel::MatmulOp getMatmulOnlyFor(Value value) {
  auto matmul = value.getDefiningOp<moe_kernel::MatmulOp>();
  if (!matmul || matmul->getNumResults() != 1 || !value.hasOneUse())
    return {};
  auto extent = cast<moe_kernel::TileExtentAttr>(matmul.getResultExtents()[0]).getValue();
  return extent == TileExtent::full ? matmul : moe_kernel::MatmulOp();
}

/// gated_activation(matmul) → a paired matmul, which also stores its accumulators if they are needed elsewhere.
static LogicalResult fuseGatedActivation(GatedActivationOp activation, PatternRewriter &rewriter) {
  auto matmul = activation.getInput().getDefiningOp<moe_kernel::MatmulOp>();
  if (!matmul || matmul.getKind() == MatmulKind::ragged_contraction || !storesAccumulator(matmul))
    return rewriter.notifyMatchFailure(activation, "the input is not the plain result of a matmul over rows");

  bool keepsInput = !activation.getInput().hasOneUse();
  Extension extension{.label = keepsInput ? "swiglu_with_input" : "swiglu",
                      .results = {{activation.getType(), TileExtent::full}},
                      .paired = true};
  if (keepsInput)
    extension.results.push_back({matmul.getResult(0).getType(), TileExtent::pair});
  rewriter.setInsertionPoint(matmul);
  auto fused = extendEpilogue(matmul, extension, rewriter, [&](ScalarBuilder &b, ValueRange gate, ValueRange up) {
    SmallVector<Value> yields{b.swiglu(gate[0], up[0])};
    if (keepsInput)
      yields.append({gate[0], up[0]});
    return yields;
  });
  rewriter.replaceOp(activation, fused.getResult(0));
  if (keepsInput)
    rewriter.replaceOp(matmul, fused.getResult(1));
  else
    rewriter.eraseOp(matmul);
  return success();
}

/// gated_activation_backward(input, matmul) → a matmul that reads the activation's input in pairs and stores its
/// gradient in pairs.
static LogicalResult fuseGatedActivationBackward(GatedActivationBackwardOp backward, PatternRewriter &rewriter) {
  moe_kernel::MatmulOp matmul = getMatmulOnlyFor(backward.getResultGradient());
  if (!matmul || matmul.getPaired() || matmul.getKind() == MatmulKind::ragged_contraction)
    return rewriter.notifyMatchFailure(backward, "the gradient is not computed by a matmul over rows for it alone");
  Extension extension{.label = "swiglu_backward",
                      .extras = {{backward.getInput(), TileExtent::pair}},
                      .results = {{backward.getType(), TileExtent::pair}}};
  auto fused = extendEpilogue(matmul, extension, rewriter,
                              [](ScalarBuilder &b, ValueRange gradient, ValueRange input) -> SmallVector<Value> {
                                auto [gate, up] = b.swigluBackward(input[0], input[1], gradient[0]);
                                return {gate, up};
                              });
  rewriter.replaceOp(backward, fused);
  rewriter.eraseOp(matmul);
  return success();
}

namespace {
/// weighted_gated_activation_backward(input, matmul) → a matmul that reads the activation's input in pairs and the
/// weights of rows, and stores all three results: the gradients of the weights as sums that a kernel of tokens adds up.
struct FuseWeightedGatedActivationBackward : OpRewritePattern<WeightedGatedActivationBackwardOp> {
  FuseWeightedGatedActivationBackward(MLIRContext *context, const Target &target)
      : OpRewritePattern(context), target(target) {}

  LogicalResult matchAndRewrite(WeightedGatedActivationBackwardOp backward, PatternRewriter &rewriter) const override {
    moe_kernel::MatmulOp matmul = getMatmulOnlyFor(backward.getResultGradient());
    if (!matmul || matmul.getPaired() || matmul.getKind() == MatmulKind::ragged_contraction)
      return rewriter.notifyMatchFailure(backward, "the gradient is not computed by a matmul over rows for it alone");
    if (!target.sumsRows(matmul))
      return rewriter.notifyMatchFailure(backward, "the target does not sum rows in the epilogue of that matmul");

    Extension extension{
        .label = "weighted_swiglu_backward",
        .extras = {{backward.getInput(), TileExtent::pair}, {buildRowWeights(backward, rewriter), TileExtent::row}},
        .results = {{backward.getResult().getType(), TileExtent::full},
                    {backward.getInputGradient().getType(), TileExtent::pair},
                    {getSumsType(backward), TileExtent::row_sum}}};
    auto fused =
        extendEpilogue(matmul, extension, rewriter,
                       [](ScalarBuilder &b, ValueRange gradient, ValueRange extras) -> SmallVector<Value> {
                         Value gate = extras[0], up = extras[1], weight = extras[2];
                         Value activation = b.swiglu(gate, up), weighted = b.mul(weight, gradient[0]);
                         auto [gateGradient, upGradient] = b.swigluBackward(gate, up, weighted);
                         return {b.mul(weight, activation), gateGradient, upGradient, b.mul(gradient[0], activation)};
                       });
    Value weightsGradient = buildWeightsGradient(backward, fused.getResult(2), rewriter);
    rewriter.replaceOp(backward, {fused.getResult(0), fused.getResult(1), weightsGradient});
    rewriter.eraseOp(matmul);
    return success();
  }

private:
  /// [R] float32.
  static Value buildRowWeights(WeightedGatedActivationBackwardOp op, PatternRewriter &rewriter) {
    RowsBuilder b(op.getLoc(), rewriter, "row_weights");
    Value weights = b.reshape(op.getWeights(), {numElements(op.getWeights())});
    return b.compute(shapeOf(op.getPermutation()), {{op.getPermutation(), {0}}}, {getElementTypeOrSelf(weights), {0}},
                     [&](ValueRange v) { return b.extract(weights, b.toIndex(v[0])); });
  }

  static RankedTensorType getSumsType(WeightedGatedActivationBackwardOp op) {
    ArrayRef<int64_t> shape = shapeOf(op.getResult());
    return RankedTensorType::get({shape[0], llvm::divideCeilSigned(shape[1], moe_kernel::kRowSumColumns)},
                                 Float32Type::get(op.getContext()));
  }

  /// The sums of each row added up, in the order of the tokens.
  static Value buildWeightsGradient(WeightedGatedActivationBackwardOp op, Value sums, PatternRewriter &rewriter) {
    RowsBuilder b(op.getLoc(), rewriter, "sum");
    RowsBuilder::Output total{getElementTypeOrSelf(sums), {0}};
    Value dots = b.compute(shapeOf(sums), {{sums, {0, 1}}}, total, [&](ValueRange v) { return b.add(v[1], v[0]); });
    b.setLabel("weights_gradient");
    return b.compute(shapeOf(op.getInverse()), {{op.getInverse(), {0, 1}}}, {getElementTypeOrSelf(sums), {0, 1}},
                     [&](ValueRange v) { return b.extract(dots, b.toIndex(v[0])); });
  }

  const Target &target;
};
} // namespace

/// The scalar op for the elementwise op `op`.
static Value buildElementwise(Operation *op, ScalarBuilder &b, ValueRange operands) {
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](AddOp) { return b.add(operands[0], operands[1]); })
      .Case([&](MultiplyOp) { return b.mul(operands[0], operands[1]); })
      .Case([&](DivideOp) { return b.div(operands[0], operands[1]); })
      .Case([&](NegateOp) { return b.neg(operands[0]); })
      .Case([&](CastOp) { return operands[0]; }); // What an epilogue yields is rounded.
}

/// elementwise(…, matmul, …) → the matmul with the other operands as extras. Of two matmuls the later one takes the
/// other's result, so that a sum of matmuls becomes a chain.
template <typename OpT> static LogicalResult fuseElementwise(OpT op, PatternRewriter &rewriter) {
  moe_kernel::MatmulOp matmul;
  unsigned position = 0;
  for (auto [index, operand] : llvm::enumerate(op->getOperands())) {
    moe_kernel::MatmulOp candidate = getMatmulOnlyFor(operand);
    if (!candidate || (matmul && candidate->isBeforeInBlock(matmul)))
      continue;
    matmul = candidate;
    position = index;
  }
  if (!matmul)
    return rewriter.notifyMatchFailure(op, "no operand is computed by a matmul for this op alone");

  Extension extension{.label = op->getName().stripDialect(), .results = {{op.getType(), TileExtent::full}}};
  for (auto [index, operand] : llvm::enumerate(op->getOperands()))
    if (index != position)
      extension.extras.push_back({operand, TileExtent::full});
  auto fused = extendEpilogue(matmul, extension, rewriter, [&](ScalarBuilder &b, ValueRange value, ValueRange extras) {
    // A commutative op has one form, so that equal kernels look equal.
    SmallVector<Value> operands(extras);
    operands.insert(operands.begin() + (op->template hasTrait<OpTrait::IsCommutative>() ? 0 : position), value[0]);
    return SmallVector<Value>{buildElementwise(op, b, operands)};
  });
  rewriter.replaceOp(op, fused);
  rewriter.eraseOp(matmul);
  return success();
}

namespace {
struct FuseEpiloguePass : impl::FuseEpiloguePassBase<FuseEpiloguePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(fuseGatedActivation)
        .add(fuseGatedActivationBackward)
        .add(fuseElementwise<AddOp>)
        .add(fuseElementwise<MultiplyOp>)
        .add(fuseElementwise<DivideOp>)
        .add(fuseElementwise<NegateOp>)
        .add(fuseElementwise<CastOp>);
    // Without a target (in tests of this pass alone) nothing is fused that not every target can do.
    auto module = getOperation()->getParentOfType<ModuleOp>();
    std::unique_ptr<Target> target;
    if (module && module->hasAttr(kTargetAttrName) && !(target = getTarget(module)))
      return signalPassFailure();
    if (target)
      patterns.add<FuseWeightedGatedActivationBackward>(&getContext(), *target);
    if (failed(applyFusions(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe

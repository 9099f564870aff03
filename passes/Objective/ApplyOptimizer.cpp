//===- ApplyOptimizer.cpp - Turn gradients into parameter updates -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/EntryPoint.h"
#include "passes/Objective/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_APPLYOPTIMIZERPASS
#include "passes/Objective/Passes.h.inc"

namespace {

/// A parameter and its gradient, the output `output` of train_step.
struct Update {
  VariableOp parameter;
  Value gradient;
  unsigned output;
};

/// Builds AdamW behind everything else in train_step.
class Optimizer {
public:
  Optimizer(ModuleOp module, EntryPoint entry, TrainingOp training)
      : symbols(module), entry(entry), training(training), builder(entry.getTerminator()) {
    for (VariableOp variable : module.getOps<VariableOp>())
      lastVariable = variable;
  }

  LogicalResult run(bool keepGradients);

private:
  LogicalResult collectUpdates();
  void apply(const Update &update);
  /// Makes the updates of selection biases depend on the norm of the gradients, as those of parameters do.
  void guardSelectionBiases();
  /// Creates a float32 variable of the optimizer for a parameter, behind all others: a moment, which starts with zeros,
  /// or the master, which starts as a copy.
  VariableOp createState(VariableOp parameter, StringRef suffix, InitializerKind initializer);
  ReadOp read(VariableOp variable);

  SymbolTable symbols;
  EntryPoint entry;
  TrainingOp training;
  OpBuilder builder;
  VariableOp lastVariable;
  SmallVector<Update> updates;
  Value gradNorm, learningRate, biasCorrection1, biasCorrection2;
};

} // namespace

static constexpr StringLiteral kGradientPrefix = "gradient.";

LogicalResult Optimizer::collectUpdates() {
  for (auto [index, value] : llvm::enumerate(entry.getTerminator()->getOperands())) {
    StringRef name = entry.getOutputName(index);
    if (!name.consume_front(kGradientPrefix))
      continue;
    auto parameter = symbols.lookup<VariableOp>(name);
    if (!parameter)
      return entry.getTerminator()->emitOpError() << "returns the gradient of '" << name << "', which is no variable";
    updates.push_back({parameter, value, static_cast<unsigned>(index)});
  }
  if (updates.empty())
    return entry.getFunc().emitError("has no gradients to apply: moe-differentiate comes first");
  return success();
}

VariableOp Optimizer::createState(VariableOp parameter, StringRef suffix, InitializerKind initializer) {
  OpBuilder moduleBuilder(parameter.getContext());
  moduleBuilder.setInsertionPointAfter(lastVariable);
  auto type = cast<RankedTensorType>(parameter.getType());
  // Statistics of bf16 are float32; of a test's float64 they are float64.
  if (type.getElementType().isBF16())
    type = type.clone(Float32Type::get(parameter.getContext()));
  auto source = initializer == InitializerKind::copy ? FlatSymbolRefAttr::get(parameter.getSymNameAttr())
                                                     : FlatSymbolRefAttr();
  lastVariable = VariableOp::create(moduleBuilder, parameter.getLoc(), (parameter.getSymName() + suffix).str(),
                                    VariableRole::optimizer, initializer, /*stddev=*/FloatAttr(), source, type);
  return lastVariable;
}

ReadOp Optimizer::read(VariableOp variable) {
  for (auto read : entry.getFunc().front().getOps<ReadOp>())
    if (read.getVariable() == variable.getSymName())
      return read;
  return ReadOp::create(builder, variable.getLoc(), variable.getType(), variable.getSymName());
}

void Optimizer::apply(const Update &update) {
  VariableOp parameter = update.parameter;
  // Norm weights are of rank 1; pulling them to zero would only fight the layers behind them.
  FloatAttr weightDecay =
      parameter.getType().getRank() >= 2 ? training.getWeightDecayAttr() : builder.getF64FloatAttr(0.0);
  SmallVector<VariableOp> variables = {parameter, createState(parameter, ".exp_avg", InitializerKind::zeros),
                                       createState(parameter, ".exp_avg_sq", InitializerKind::zeros)};
  if (getElementTypeOrSelf(parameter.getType()).isBF16())
    variables.push_back(createState(parameter, ".master_weight", InitializerKind::copy));
  SmallVector<Value> values =
      llvm::map_to_vector(variables, [&](VariableOp variable) -> Value { return read(variable); });
  auto step = AdamWOp::create(builder, parameter.getLoc(), TypeRange(values), values[0], update.gradient, values[1],
                              values[2], gradNorm, learningRate, biasCorrection1, biasCorrection2,
                              values.size() > 3 ? values[3] : Value(), training.getBeta1Attr(),
                              training.getBeta2Attr(), training.getEpsilonAttr(), weightDecay,
                              training.getMaxGradNormAttr());
  for (auto [variable, value] : llvm::zip_equal(variables, step.getResults()))
    WriteOp::create(builder, parameter.getLoc(), value, variable.getSymName());
}

void Optimizer::guardSelectionBiases() {
  Operation *terminator = entry.getTerminator();
  // Collected before any moves: what went to the end would come up again.
  for (UpdateSelectionBiasOp update : llvm::to_vector(entry.getFunc().front().getOps<UpdateSelectionBiasOp>())) {
    update.getGradNormMutable().assign(gradNorm);
    update->moveBefore(terminator);
    for (Operation *user : update->getUsers())
      user->moveBefore(terminator);
  }
}

LogicalResult Optimizer::run(bool keepGradients) {
  Value loss = entry.getOutput("loss");
  if (!loss || failed(collectUpdates()))
    return failure();
  learningRate = entry.addInput("learning_rate", loss.getType());
  biasCorrection1 = entry.addInput("bias_correction1", loss.getType());
  biasCorrection2 = entry.addInput("bias_correction2", loss.getType());
  SmallVector<Value> gradients = llvm::map_to_vector(updates, [](const Update &update) { return update.gradient; });
  gradNorm = GlobalNormOp::create(builder, entry.getFunc().getLoc(), loss.getType(), gradients);
  for (const Update &update : updates)
    apply(update);
  guardSelectionBiases();

  if (!keepGradients)
    for (const Update &update : llvm::reverse(updates))
      entry.removeOutput(update.output);
  entry.addOutput("grad_norm", gradNorm);
  return success();
}

namespace {
struct ApplyOptimizerPass : impl::ApplyOptimizerPassBase<ApplyOptimizerPass> {
  using ApplyOptimizerPassBase::ApplyOptimizerPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto trainings = module.getOps<TrainingOp>();
    EntryPoint entry = EntryPoint::find(module, EntryKind::train_step);
    if (trainings.empty() && entry) {
      entry.getFunc().emitError("needs the hyperparameters of a moe.training");
      return signalPassFailure();
    }
    if (entry && failed(Optimizer(module, entry, *trainings.begin()).run(keepGradients)))
      return signalPassFailure();
    for (auto training : llvm::make_early_inc_range(trainings))
      training.erase();
  }
};
} // namespace
} // namespace mlir::moe

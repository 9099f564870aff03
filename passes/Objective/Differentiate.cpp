//===- Differentiate.cpp - Differentiate train_step -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Activity.h"
#include "passes/Objective/Backward.h"
#include "passes/Objective/EntryPoint.h"
#include "passes/Objective/Passes.h"
#include "passes/Objective/Residuals.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "passes/Objective/Passes.h.inc"

namespace {

/// Where a caller of @f_forward finds a residual: among its operands or among its results.
struct Residual {
  bool isArgument;
  unsigned index;
};

/// What @f_forward and @f_backward exchange.
struct FunctionPair {
  /// The results of @f whose gradients @f_backward takes, and the arguments whose gradients it returns.
  SmallVector<unsigned> activeResults;
  SmallVector<unsigned> activeArguments;
  /// What @f_backward takes before those gradients.
  SmallVector<Residual> residuals;
  func::FuncOp forward, backward;
};

class Differentiator {
public:
  Differentiator(ModuleOp module, ActivationCheckpointing checkpointing)
      : module(module), symbols(module), checkpointing(checkpointing) {}

  /// Adds the gradients of the sum of the outputs `lossNames` as outputs of `entry`.
  LogicalResult run(EntryPoint entry, ArrayRef<StringRef> lossNames);

private:
  LogicalResult collectParameters(func::FuncOp entry);
  void collectActiveSignatures(const Activity &activity);
  LogicalResult buildPair(func::FuncOp func, Activity &activity);
  LogicalResult buildBackward(FunctionPair &pair, const Activity &activity);
  void passResiduals(FunctionPair &pair);
  LogicalResult buildCallGradient(func::CallOp call, OpBuilder &builder, ValueRange resultGradients,
                                  MutableArrayRef<Value> operandGradients);
  LogicalResult differentiate(Block &block, BackwardBuilder &backward);
  LogicalResult buildEntryBackward(EntryPoint entry, ArrayRef<Value> losses, const Activity &activity);

  ModuleOp module;
  SymbolTable symbols;
  ActivationCheckpointing checkpointing;
  /// The entry point and all it calls, callees first.
  SmallVector<func::FuncOp> functions;
  llvm::DenseMap<func::FuncOp, FunctionPair> pairs;
  /// What the entry point reads of each parameter.
  llvm::DenseMap<VariableOp, Value> parameters;
};

} // namespace

/// A constant with every element `value`.
static Value buildSplat(OpBuilder &builder, Location loc, Type type, double value) {
  auto tensorType = cast<RankedTensorType>(type);
  auto element = builder.getFloatAttr(tensorType.getElementType(), value);
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(tensorType, element));
}

/// The elements at `indices`: values or types.
template <typename Range> static auto select(Range elements, ArrayRef<unsigned> indices) {
  return llvm::map_to_vector(indices, [&](unsigned index) { return elements[index]; });
}

/// Collects `functions` and `parameters`, and makes the entry point read each parameter once.
LogicalResult Differentiator::collectParameters(func::FuncOp entry) {
  FailureOr<SmallVector<func::FuncOp>> called = collectCalledFunctions(entry);
  if (failed(called))
    return failure();
  functions = std::move(*called);
  for (func::FuncOp func : functions)
    for (auto read : llvm::make_early_inc_range(func.front().getOps<ReadOp>())) {
      auto variable = symbols.lookup<VariableOp>(read.getVariable());
      if (variable.getRole() != VariableRole::parameter)
        continue;
      if (func != entry)
        return read.emitOpError("reads a parameter outside the entry point, which has to pass it as an operand");
      auto [known, isNew] = parameters.try_emplace(variable, read.getValue());
      if (isNew)
        continue;
      read.getValue().replaceAllUsesWith(known->second);
      read.erase();
    }
  return success();
}

void Differentiator::collectActiveSignatures(const Activity &activity) {
  llvm::MapVector<func::FuncOp, llvm::BitVector> activeResults;
  for (func::FuncOp func : functions)
    for (auto call : func.front().getOps<func::CallOp>()) {
      llvm::BitVector &active = activeResults[getCallee(call)];
      active.resize(call.getNumResults());
      for (OpResult result : call.getResults())
        if (activity.isActive(result))
          active.set(result.getResultNumber());
    }
  for (auto &[func, active] : activeResults) {
    if (active.none())
      continue;
    FunctionPair &pair = pairs[func];
    llvm::append_range(pair.activeResults, active.set_bits());
    for (BlockArgument argument : func.getArguments())
      if (activity.isActive(argument))
        pair.activeArguments.push_back(argument.getArgNumber());
  }
}

LogicalResult Differentiator::buildCallGradient(func::CallOp call, OpBuilder &builder, ValueRange resultGradients,
                                                MutableArrayRef<Value> operandGradients) {
  const FunctionPair &pair = pairs.find(getCallee(call))->second;

  OpBuilder forwardBuilder(call);
  auto forward = func::CallOp::create(forwardBuilder, call.getLoc(), pair.forward, call.getOperands());
  forward->setDiscardableAttrs(call->getDiscardableAttrDictionary());
  call.replaceAllUsesWith(forward.getResults().take_front(call.getNumResults()));

  SmallVector<Value> operands = llvm::map_to_vector(pair.residuals, [&](Residual residual) -> Value {
    return residual.isArgument ? forward.getOperand(residual.index) : forward.getResult(residual.index);
  });
  // Another call may use a result that this one does not.
  for (unsigned index : pair.activeResults)
    operands.push_back(resultGradients[index] ? resultGradients[index]
                                              : buildSplat(builder, call.getLoc(), call.getType(index), 0.0));
  auto backward = func::CallOp::create(builder, call.getLoc(), pair.backward, operands);
  backward->setDiscardableAttrs(call->getDiscardableAttrDictionary());
  for (auto [index, gradient] : llvm::zip_equal(pair.activeArguments, backward.getResults()))
    operandGradients[index] = gradient;
  call.erase();
  return success();
}

LogicalResult Differentiator::differentiate(Block &block, BackwardBuilder &backward) {
  return backward.differentiate(block, [&](func::CallOp call, OpBuilder &builder, ValueRange resultGradients,
                                           MutableArrayRef<Value> operandGradients) {
    return buildCallGradient(call, builder, resultGradients, operandGradients);
  });
}

/// Builds the body of @f_backward, which still uses the values of @f_forward directly.
LogicalResult Differentiator::buildBackward(FunctionPair &pair, const Activity &activity) {
  Block &forward = pair.forward.front();
  Block &body = *pair.backward.addEntryBlock();
  OpBuilder builder = OpBuilder::atBlockEnd(&body);
  BackwardBuilder backward(activity, builder);
  for (auto [index, gradient] : llvm::zip_equal(pair.activeResults, body.getArguments()))
    backward.addGradient(forward.getTerminator()->getOperand(index), gradient);
  if (failed(differentiate(forward, backward)))
    return failure();

  SmallVector<Value> gradients;
  for (unsigned index : pair.activeArguments)
    gradients.push_back(backward.getGradient(forward.getArgument(index)));
  func::ReturnOp::create(builder, pair.backward.getLoc(), gradients);
  finishGradients(body);
  recomputeResiduals(forward, body, checkpointing);
  return success();
}

/// Makes what @f_backward uses of @f_forward its leading arguments, and further results of @f_forward unless they are
/// arguments or results already.
void Differentiator::passResiduals(FunctionPair &pair) {
  Block &forward = pair.forward.front(), &backward = pair.backward.front();
  Operation *terminator = forward.getTerminator();
  for (auto [position, value] : llvm::enumerate(collectResiduals(forward, backward))) {
    (void)pair.backward.insertArgument(position, value.getType(), {}, value.getLoc());
    value.replaceUsesWithIf(backward.getArgument(position),
                            [&](OpOperand &use) { return use.getOwner()->getBlock() == &backward; });
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      pair.residuals.push_back({/*isArgument=*/true, argument.getArgNumber()});
      continue;
    }
    unsigned index = llvm::find(terminator->getOperands(), value) - terminator->operand_begin();
    if (index == terminator->getNumOperands()) {
      (void)pair.forward.insertResult(index, value.getType(), {});
      terminator->insertOperands(index, value);
    }
    pair.residuals.push_back({/*isArgument=*/false, index});
  }
}

LogicalResult Differentiator::buildPair(func::FuncOp func, Activity &activity) {
  FunctionPair &pair = pairs[func];
  IRMapping mapping;
  pair.forward = func.clone(mapping);
  activity.extend(mapping);
  auto type = FunctionType::get(func.getContext(), select(func.getResultTypes(), pair.activeResults),
                                select(func.getArgumentTypes(), pair.activeArguments));
  pair.backward = func::FuncOp::create(func.getLoc(), (func.getName() + "_backward").str(), type);
  pair.forward.setName((func.getName() + "_forward").str());
  Block::iterator position = std::next(func->getIterator());
  for (func::FuncOp half : {pair.forward, pair.backward}) {
    half.setPrivate();
    symbols.insert(half, position);
  }
  if (failed(buildBackward(pair, activity)))
    return failure();
  passResiduals(pair);
  return success();
}

LogicalResult Differentiator::buildEntryBackward(EntryPoint entry, ArrayRef<Value> losses, const Activity &activity) {
  OpBuilder builder(entry.getTerminator());
  BackwardBuilder backward(activity, builder);
  for (Value loss : losses)
    if (activity.isActive(loss))
      backward.addGradient(loss, buildSplat(builder, loss.getLoc(), loss.getType(), 1.0));
  if (failed(differentiate(entry.getFunc().front(), backward)))
    return failure();

  bool isComplete = true;
  for (auto variable : module.getOps<VariableOp>()) {
    if (variable.getRole() != VariableRole::parameter)
      continue;
    if (Value gradient = backward.getGradient(parameters.lookup(variable))) {
      entry.addOutput(("gradient." + variable.getSymName()).str(), gradient);
      continue;
    }
    variable.emitError() << "parameter '" << variable.getSymName() << "' has no gradient: the loss of '"
                         << entry.getFunc().getName() << "' does not depend on it";
    isComplete = false;
  }
  finishGradients(entry.getFunc().front());
  return success(isComplete);
}

LogicalResult Differentiator::run(EntryPoint entry, ArrayRef<StringRef> lossNames) {
  SmallVector<Value> losses = llvm::map_to_vector(lossNames, [&](StringRef name) { return entry.getOutput(name); });
  if (llvm::is_contained(losses, Value()) || failed(collectParameters(entry.getFunc())))
    return failure();
  SmallVector<Value> sources = llvm::to_vector(llvm::make_second_range(parameters));
  Activity activity(functions, sources, losses);
  collectActiveSignatures(activity);
  for (func::FuncOp func : functions)
    if (pairs.contains(func) && failed(buildPair(func, activity)))
      return failure();
  if (failed(buildEntryBackward(entry, losses, activity)))
    return failure();
  // Callers come last in `functions`; an undifferentiated one may have been the only user of its callees.
  for (func::FuncOp func : llvm::reverse(functions))
    if (func.isPrivate() && SymbolTable::symbolKnownUseEmpty(func, module))
      symbols.erase(func);
  return success();
}

namespace {
struct DifferentiatePass : impl::DifferentiatePassBase<DifferentiatePass> {
  using DifferentiatePassBase::DifferentiatePassBase;

  void runOnOperation() override {
    EntryPoint entry = EntryPoint::find(getOperation(), EntryKind::train_step);
    if (!entry)
      return;
    FailureOr<ActivationCheckpointing> policy = getPolicy();
    if (failed(policy) || failed(Differentiator(getOperation(), *policy).run(entry, {"loss", "aux_loss"})))
      signalPassFailure();
  }

private:
  FailureOr<ActivationCheckpointing> getPolicy() {
    if (!checkpointing.empty()) {
      if (std::optional<ActivationCheckpointing> policy = symbolizeActivationCheckpointing(checkpointing))
        return *policy;
      return emitError(getOperation().getLoc())
             << "moe-differentiate: there is no activation checkpointing '" << checkpointing
             << "'; there are: none, selective, full";
    }
    auto trainings = getOperation().getOps<TrainingOp>();
    return trainings.empty() ? ActivationCheckpointing::selective : (*trainings.begin()).getActivationCheckpointing();
  }
};
} // namespace
} // namespace mlir::moe

//===- Interpreter.cpp - Runs moe tensor ops in float64 -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Interpreter.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "lib/Compiler/Reference/Rounding.h"
#include "lib/Compiler/Reference/Rules.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::reference;

static constexpr StringLiteral kNameAttr = "moe.name";

static ArrayRef<int64_t> getShape(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

template <typename Number> static TensorOf<Number> readConstant(DenseElementsAttr elements) {
  TensorOf<Number> tensor(elements.getType().getShape());
  if (isa<FloatType>(elements.getElementType()))
    llvm::transform(elements.getValues<APFloat>(), tensor.values.begin(), [](APFloat value) {
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      return value.convertToDouble();
    });
  else
    llvm::transform(elements.getValues<APInt>(), tensor.values.begin(),
                    [](const APInt &value) { return static_cast<double>(value.getSExtValue()); });
  return tensor;
}

template <typename Number>
InterpreterOf<Number>::InterpreterOf(ModuleOp module, InterpreterOptions options) : symbols(module), options(options) {
  for (auto variable : module.getOps<VariableOp>()) {
    if (variable.getInitializer() == InitializerKind::normal || variable.getInitializer() == InitializerKind::copy)
      continue;
    Tensor value(variable.getType().getShape());
    llvm::fill(value.values, variable.getInitializer() == InitializerKind::ones ? 1.0 : 0.0);
    setVariable(variable.getSymName(), std::move(value));
  }
}

template <typename Number> void InterpreterOf<Number>::setVariable(StringRef name, Tensor value) {
  if (auto variable = symbols.lookup<VariableOp>(name))
    store(value, variable.getType());
  variables[name.str()] = std::move(value);
}

template <typename Number> auto InterpreterOf<Number>::getVariable(StringRef name) const -> const Tensor * {
  if (auto it = variables.find(name.str()); it != variables.end())
    return &it->second;
  // A copy that was not set has the value that its source has when it is first read; it is written before that changes.
  auto variable = symbols.lookup<VariableOp>(name);
  return variable && variable.getSource() ? getVariable(*variable.getSource()) : nullptr;
}

template <typename Number>
LogicalResult InterpreterOf<Number>::checkType(Operation *where, const Twine &what, const Tensor &tensor,
                                               Type type) const {
  if (cast<RankedTensorType>(type).getShape() == ArrayRef(tensor.shape))
    return success();
  InFlightDiagnostic error = where->emitError() << what << " has shape [";
  llvm::interleaveComma(tensor.shape, error);
  return error << "] but the type is " << type;
}

template <typename Number> void InterpreterOf<Number>::store(Tensor &tensor, Type type) const {
  Type elementType = getElementTypeOrSelf(type);
  if (elementType.isBF16())
    for (Number &element : tensor.values)
      element = roundToBF16(element);
  else if (elementType.isF32() && (options.roundToFloat32 || std::is_same_v<Number, Bounded>))
    for (Number &element : tensor.values)
      element = reference::roundToFloat32(element);
}

template <typename Number> LogicalResult InterpreterOf<Number>::execute(Operation *op, Frame &frame) {
  if (auto call = dyn_cast<func::CallOp>(op)) {
    auto arguments = llvm::map_to_vector(call.getOperands(), [&](Value operand) { return frame.at(operand); });
    FailureOr<SmallVector<Tensor>> results = callFunction(symbols.lookup<func::FuncOp>(call.getCallee()), arguments);
    if (failed(results))
      return failure();
    for (auto [value, tensor] : llvm::zip_equal(call.getResults(), *results))
      frame[value] = std::move(tensor);
    return success();
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    frame[constant] = readConstant<Number>(cast<DenseElementsAttr>(constant.getValue()));
    return success();
  }
  if (auto read = dyn_cast<ReadOp>(op)) {
    const Tensor *value = getVariable(read.getVariable());
    if (!value)
      return read.emitOpError() << "reads '" << read.getVariable() << "', which has no value yet";
    frame[read] = *value;
    return checkType(op, "variable '" + read.getVariable() + "'", *value, read.getType());
  }
  if (auto write = dyn_cast<WriteOp>(op)) {
    written[write.getVariable().str()] = frame.at(write.getValue());
    return success();
  }

  const typename Rules<Number>::Rule *rule = Rules<Number>::get().lookup(op->getName().getStringRef());
  if (!rule)
    return op->emitOpError("has no rule in the reference interpreter");
  SmallVector<const Tensor *> operands =
      llvm::map_to_vector(op->getOperands(), [&](Value operand) -> const Tensor * { return &frame.at(operand); });
  SmallVector<Tensor> results =
      llvm::map_to_vector(op->getResults(), [](Value value) { return Tensor(getShape(value)); });
  (*rule)(op, Operands<Number>(operands), results);
  for (auto [value, tensor] : llvm::zip_equal(op->getResults(), results)) {
    store(tensor, value.getType());
    frame[value] = std::move(tensor);
  }
  return success();
}

template <typename Number>
auto InterpreterOf<Number>::callFunction(func::FuncOp func, ArrayRef<Tensor> arguments)
    -> FailureOr<SmallVector<Tensor>> {
  if (func.isExternal())
    return func.emitError("has no body to interpret");
  Frame frame;
  for (auto [value, tensor] : llvm::zip_equal(func.getArguments(), arguments)) {
    if (failed(checkType(func, "argument #" + Twine(value.getArgNumber()), tensor, value.getType())))
      return failure();
    frame[value] = tensor;
  }
  for (Operation &op : func.front().without_terminator())
    if (failed(execute(&op, frame)))
      return failure();
  return llvm::map_to_vector(func.front().getTerminator()->getOperands(), [&](Value value) { return frame.at(value); });
}

template <typename Number>
auto InterpreterOf<Number>::call(StringRef function, ArrayRef<Tensor> arguments) -> FailureOr<SmallVector<Tensor>> {
  auto func = symbols.lookup<func::FuncOp>(function);
  if (!func)
    return symbols.getOp()->emitError() << "has no function '" << function << "'";
  if (func.getNumArguments() != arguments.size())
    return func.emitError() << "takes " << func.getNumArguments() << " arguments, not " << arguments.size();
  written.clear();
  SmallVector<Tensor> stored(arguments);
  for (auto [tensor, type] : llvm::zip_equal(stored, func.getArgumentTypes()))
    store(tensor, type);
  FailureOr<SmallVector<Tensor>> results = callFunction(func, stored);
  if (succeeded(results))
    for (auto &[name, value] : written)
      variables[name] = std::move(value);
  return results;
}

template <typename Number>
auto InterpreterOf<Number>::run(StringRef entry, const NamedTensors &inputs) -> FailureOr<NamedTensors> {
  auto func = symbols.lookup<func::FuncOp>(entry);
  if (!func)
    return symbols.getOp()->emitError() << "has no function '" << entry << "'";
  SmallVector<Tensor> arguments;
  for (unsigned index : llvm::seq(func.getNumArguments())) {
    auto name = func.getArgAttrOfType<StringAttr>(index, kNameAttr);
    auto input = name ? inputs.find(name.str()) : inputs.end();
    if (input == inputs.end())
      return func.emitError() << "is missing the input " << name;
    arguments.push_back(input->second);
  }
  if (arguments.size() != inputs.size())
    return func.emitError() << "takes " << arguments.size() << " inputs, not " << inputs.size();

  FailureOr<SmallVector<Tensor>> results = call(entry, arguments);
  if (failed(results))
    return failure();
  NamedTensors outputs;
  for (auto [index, result] : llvm::enumerate(*results))
    if (auto name = func.getResultAttrOfType<StringAttr>(index, kNameAttr))
      outputs[name.str()] = std::move(result);
  return outputs;
}

template class mlir::moe::reference::InterpreterOf<double>;
template class mlir::moe::reference::InterpreterOf<Bounded>;

//===- Model.cpp - Models for tests -----------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/conformance/Model.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "passes/Layers/Passes.h"
#include "passes/Objective/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;

Model::Model() { context.loadDialect<MoEDialect, arith::ArithDialect, func::FuncDialect>(); }

/// A clone of `module` on which the passes have run; null if one failed.
static OwningOpRef<ModuleOp> runPasses(ModuleOp module, llvm::MutableArrayRef<std::unique_ptr<Pass>> passes) {
  OwningOpRef<ModuleOp> clone = module.clone();
  PassManager manager(module.getContext());
  for (std::unique_ptr<Pass> &pass : passes)
    manager.addPass(std::move(pass));
  return succeeded(manager.run(*clone)) ? std::move(clone) : nullptr;
}

std::unique_ptr<Model> Model::build(function_ref<OwningOpRef<ModuleOp>(MLIRContext &)> parse) {
  std::unique_ptr<Model> model(new Model);
  OwningOpRef<ModuleOp> description = parse(model->context);
  if (!description)
    return nullptr;
  std::unique_ptr<Pass> expand[] = {createExpandLayersPass()};
  std::unique_ptr<Pass> attach[] = {createAttachLossPass()};
  std::unique_ptr<Pass> train[] = {createDifferentiatePass(), createApplyOptimizerPass({/*keepGradients=*/true})};
  if ((model->forward = runPasses(*description, expand)) && (model->loss = runPasses(*model->forward, attach)) &&
      (model->training = runPasses(*model->loss, train)))
    return model;
  return nullptr;
}

std::unique_ptr<Model> Model::parse(StringRef description) {
  return build([&](MLIRContext &context) { return parseSourceString<ModuleOp>(description, &context); });
}

std::unique_ptr<Model> Model::parseFile(const Twine &path) {
  return build([&](MLIRContext &context) { return parseSourceFile<ModuleOp>(path.str(), &context); });
}

NamedTensors Model::drawVariables(Draw &draw) {
  NamedTensors variables;
  for (auto variable : forward->getOps<VariableOp>()) {
    ArrayRef<int64_t> shape = variable.getType().getShape();
    Tensor &value = variables[variable.getSymName().str()];
    if (variable.getRole() == VariableRole::buffer)
      value = draw.normal(shape, 0.05);
    else if (variable.getInitializer() == InitializerKind::ones)
      value = draw.normal(shape, 0.1, 1.0);
    else if (variable.getRole() == VariableRole::parameter)
      value = draw.normal(shape, 1.0 / std::sqrt(shape.back()));
    else
      value = Tensor(shape);
  }
  return variables;
}

/// The number of each token in its document; a document begins with every row and within it with one token in four.
static Tensor drawPositions(ArrayRef<int64_t> shape, Draw &draw) {
  Tensor positions = draw.integers(shape, 4);
  for (int64_t i = 0; i < positions.size(); ++i)
    positions[i] = i % shape.back() == 0 || positions[i] == 0 ? 0 : positions[i - 1] + 1;
  return positions;
}

NamedTensors Model::drawInputs(ModuleOp module, StringRef entry, Draw &draw) {
  auto func = module.lookupSymbol<func::FuncOp>(entry);
  auto vocabulary =
      cast<ShapedType>(forward->lookupSymbol<func::FuncOp>(entry).getResultTypes().front()).getShape().back();
  NamedTensors inputs;
  for (auto [index, type] : llvm::enumerate(func.getArgumentTypes())) {
    StringRef name = func.getArgAttrOfType<StringAttr>(index, "moe.name").getValue();
    ArrayRef<int64_t> shape = cast<ShapedType>(type).getShape();
    if (name == "positions") {
      inputs["positions"] = drawPositions(shape, draw);
      continue;
    }
    Tensor &value = inputs[name.str()] = draw.integers(shape, name == "weights" ? 3 : vocabulary);
    // 0, 0.5 or 1, and not all of them 0.
    if (name == "weights") {
      llvm::for_each(value.values, [](double &weight) { weight /= 2.0; });
      value[0] = 1.0;
    }
  }
  return inputs;
}

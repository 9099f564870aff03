//===- GradientTest.cpp - Gradient rules against finite differences -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Every function in Inputs/gradients is a case: all its arguments are differentiated, so what has no gradient
/// (indices, masks, plans) is a constant or computed inside. Arguments are drawn from a normal distribution. For the
/// loss Σ c_i · result_i with random c, the gradients that the rules build in the IR are compared with central
/// differences, both evaluated in float64 by the reference interpreter. A new op or shape is one more function there.
///
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "lib/Compiler/Reference/Interpreter.h"
#include "lib/Compiler/Reference/Rules.h"
#include "passes/Objective/Backward.h"
#include "test/conformance/Numerics.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::reference;
using namespace mlir::moe::conformance;

namespace {

struct Case {
  std::string file, function;
};

/// What a failure says.
void PrintTo(const Case &gradientCase, std::ostream *stream) {
  *stream << gradientCase.file << ", @" << gradientCase.function;
}

std::string filePath(StringRef name) {
  return (Twine(MOE_SOURCE_DIR "/test/conformance/Inputs/gradients/") + name).str();
}

/// The functions of all files.
std::vector<Case> findCases() {
  std::vector<Case> cases;
  for (StringRef file :
       {"attention.mlir", "dense.mlir", "elementwise.mlir", "experts.mlir", "losses.mlir", "routing.mlir"}) {
    auto buffer = llvm::MemoryBuffer::getFile(filePath(file));
    SmallVector<StringRef> lines;
    if (buffer)
      (*buffer)->getBuffer().split(lines, '\n');
    for (StringRef line : lines)
      if (line.consume_front("func.func @"))
        cases.push_back({file.str(), line.take_until([](char c) { return c == '('; }).str()});
  }
  return cases;
}

class GradientTest : public testing::TestWithParam<Case> {
protected:
  GradientTest() {
    context.loadDialect<MoEDialect, arith::ArithDialect, func::FuncDialect>();
    module = parseSourceFile<ModuleOp>(filePath(GetParam().file), &context);
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

/// Makes of @f(arguments) -> results the function @gradient(arguments, result gradients) -> argument gradients.
LogicalResult buildGradientFunction(func::FuncOp original) {
  func::FuncOp func = original.clone();
  func.setName("gradient");
  original->getParentOfType<ModuleOp>().push_back(func);
  Block &body = func.front();
  Operation *terminator = body.getTerminator();
  SmallVector<Value> arguments = llvm::to_vector_of<Value>(body.getArguments());
  Activity activity(func, arguments, terminator->getOperands());
  OpBuilder builder(terminator);
  BackwardBuilder backward(activity, builder);
  for (Value result : terminator->getOperands())
    backward.addGradient(result, body.addArgument(result.getType(), result.getLoc()));
  if (failed(backward.differentiate(body)))
    return failure();
  terminator->setOperands(llvm::map_to_vector(arguments, [&](Value value) { return backward.getGradient(value); }));
  func.setFunctionType(FunctionType::get(func.getContext(), body.getArgumentTypes(), terminator->getOperandTypes()));
  return verify(func);
}

TEST_P(GradientTest, AgreesWithFiniteDifferences) {
  ASSERT_TRUE(module);
  StringRef name = GetParam().function;
  auto func = module->lookupSymbol<func::FuncOp>(name);
  ASSERT_TRUE(succeeded(buildGradientFunction(func)));
  Interpreter interpreter(*module);

  Draw draw(name);
  auto drawTypes = [&](ArrayRef<Type> types) {
    return llvm::map_to_vector(types, [&](Type type) { return draw.normal(cast<ShapedType>(type).getShape()); });
  };
  SmallVector<Tensor> arguments = drawTypes(func.getArgumentTypes());
  SmallVector<Tensor> resultGradients = drawTypes(func.getResultTypes());

  double magnitude = 0.0;
  auto loss = [&] {
    FailureOr<SmallVector<Tensor>> results = interpreter.call(name, arguments);
    double sum = magnitude = 0.0;
    for (auto [result, gradient] : llvm::zip_equal(*results, resultGradients))
      for (auto [value, factor] : llvm::zip_equal(result.values, gradient.values)) {
        sum += factor * value;
        magnitude += std::abs(factor * value);
      }
    return sum;
  };
  loss();
  double tolerance = differenceTolerance(std::max(magnitude, 1.0));

  SmallVector<Tensor> operands = arguments;
  operands.append(resultGradients);
  FailureOr<SmallVector<Tensor>> gradients = interpreter.call("gradient", operands);
  ASSERT_TRUE(succeeded(gradients));
  for (auto [index, argument, gradient] : llvm::enumerate(arguments, *gradients))
    for (int64_t element : llvm::seq(argument.size())) {
      double center = argument[element];
      double difference = centralDifference([&](double step) {
        argument[element] = center + step;
        return loss();
      });
      argument[element] = center;
      EXPECT_NEAR(gradient[element], difference, tolerance) << "argument " << index << ", element " << element;
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, GradientTest, testing::ValuesIn(findCases()), [](const auto &info) {
  std::string name = info.param.function;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

/// All ops of the dialect that `filter` accepts.
SmallVector<StringRef> findOps(MLIRContext &context, function_ref<bool(RegisteredOperationName)> filter) {
  SmallVector<StringRef> names;
  for (RegisteredOperationName name : context.getRegisteredOperationsByDialect("moe"))
    if (filter(name))
      names.push_back(name.getStringRef());
  return names;
}

TEST(GradientCoverage, EveryDifferentiableOpHasACase) {
  MLIRContext context;
  context.loadDialect<MoEDialect, arith::ArithDialect, func::FuncDialect>();
  llvm::StringSet<> covered;
  for (const Case &gradientCase : findCases())
    covered.insert(("moe." + StringRef(gradientCase.function).split('.').first).str());
  for (StringRef name : findOps(context, [](auto op) { return op.template hasInterface<GradientOpInterface>(); }))
    EXPECT_TRUE(covered.contains(name)) << name.str() << " has a gradient but no case in Inputs/gradients";
}

// Tensor ops are pure; layer ops and variables have no effects to declare.
TEST(ReferenceCoverage, EveryTensorOpHasARule) {
  MLIRContext context;
  context.loadDialect<MoEDialect>();
  for (StringRef name : findOps(context, [](auto op) { return op.template hasInterface<MemoryEffectOpInterface>(); }))
    EXPECT_TRUE(Rules<double>::get().lookup(name)) << name.str() << " has no rule in the reference interpreter";
}

} // namespace

//===- GradientTest.cpp - Gradient rules against finite differences -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The cases of the conformance suite in float64: for the loss Σ c_i · result_i with random c, the gradients that the
/// rules build in the IR are compared with central differences, both evaluated by the reference interpreter. And every
/// op has a case.
///
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/Gradient.h"
#include "dialects/MoE/IR/MoEOps.h"
#include "lib/Compiler/Conformance/CaseList.h"
#include "lib/Compiler/Reference/Interpreter.h"
#include "lib/Compiler/Reference/Rules.h"
#include "test/conformance/Numerics.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::reference;
using namespace mlir::moe::conformance;

namespace mlir::moe::conformance {
/// What a failure says.
static void PrintTo(const Case &listed, std::ostream *stream) { *stream << listed.op << "." << listed.name; }
} // namespace mlir::moe::conformance

namespace {

/// Of a larger argument only so many elements are compared.
constexpr int64_t kSamples = 24;

std::vector<std::string> findFiles() {
  std::vector<std::string> files;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator file(MOE_SOURCE_DIR "/test/conformance/cases", error), end;
       !error && file != end; file.increment(error))
    files.push_back(file->path());
  llvm::sort(files);
  return files;
}

/// All cases in float64; empty after a diagnostic.
CaseList &getList() {
  static MLIRContext context;
  static CaseList list = [] {
    context.loadDialect<MoEDialect, arith::ArithDialect, func::FuncDialect>();
    FailureOr<CaseList> parsed = CaseList::parse(findFiles(), {"f64"}, context);
    return succeeded(parsed) ? std::move(*parsed) : CaseList();
  }();
  return list;
}

std::vector<Case> smoothCases() {
  std::vector<Case> cases;
  llvm::copy_if(getList().cases, std::back_inserter(cases),
                [](const Case &listed) { return listed.gradient && listed.smooth; });
  return cases;
}

/// Σ c · result over the results that the gradient starts from, whose values are c.
struct Loss {
  Interpreter &interpreter;
  func::FuncOp forward;
  ArrayRef<Tensor> resultGradients;
  double magnitude = 0.0; ///< Σ |c · result|.

  double operator()(ArrayRef<Tensor> arguments) {
    SmallVector<Tensor> results = *interpreter.call(forward.getName(), arguments);
    double sum = magnitude = 0.0;
    const Tensor *factors = resultGradients.begin();
    for (auto [index, result] : llvm::enumerate(results)) {
      if (!isDifferentiableResult(forward, index))
        continue;
      for (auto [value, factor] : llvm::zip_equal(result.values, (factors++)->values)) {
        sum += factor * value;
        magnitude += std::abs(factor * value);
      }
    }
    return sum;
  }
};

class GradientTest : public testing::TestWithParam<Case> {};

TEST_P(GradientTest, AgreesWithFiniteDifferences) {
  Case listed = GetParam();
  Interpreter interpreter(getList().getModule());
  FailureOr<SmallVector<Tensor>> inputs = drawInputs(listed.gradient);
  ASSERT_TRUE(succeeded(inputs));
  FailureOr<SmallVector<Tensor>> gradients = interpreter.call(listed.gradient.getName(), *inputs);
  ASSERT_TRUE(succeeded(gradients));

  unsigned count = listed.forward.getNumArguments();
  SmallVector<Tensor> arguments(ArrayRef(*inputs).take_front(count));
  Loss loss{interpreter, listed.forward, ArrayRef(*inputs).drop_front(count)};
  loss(arguments);
  double tolerance = differenceTolerance(std::max(loss.magnitude, 1.0));

  Draw draw(listed.name);
  const Tensor *gradient = gradients->begin();
  for (unsigned index : llvm::seq(count)) {
    if (!isDifferentiableArgument(listed.forward, index))
      continue;
    Tensor &argument = arguments[index];
    for (int64_t sample : llvm::seq(std::min(argument.size(), kSamples))) {
      int64_t element = argument.size() <= kSamples ? sample : draw.index(argument.size());
      double center = argument[element];
      double difference = centralDifference([&](double step) {
        argument[element] = center + step;
        return loss(arguments);
      });
      argument[element] = center;
      EXPECT_NEAR((*gradient)[element], difference, tolerance)
          << getInputName(listed.forward, index).str() << ", element " << element;
    }
    ++gradient;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GradientTest, testing::ValuesIn(smoothCases()),
                         [](const auto &info) { return info.param.op + "_" + info.param.name; });

/// All ops of the dialect that `filter` accepts.
SmallVector<StringRef> findOps(MLIRContext &context, function_ref<bool(RegisteredOperationName)> filter) {
  SmallVector<StringRef> names;
  for (RegisteredOperationName name : context.getRegisteredOperationsByDialect("moe"))
    if (filter(name))
      names.push_back(name.getStringRef());
  return names;
}

/// Tensor ops are pure; layer ops and variables have no effects to declare.
bool isTensorOp(RegisteredOperationName name) { return name.hasInterface<MemoryEffectOpInterface>(); }

TEST(Coverage, EveryTensorOpHasACase) {
  llvm::StringSet<> covered;
  getList().getModule()->walk([&](Operation *op) { covered.insert(op->getName().getStringRef()); });
  for (StringRef name : findOps(*getList().getModule().getContext(), isTensorOp))
    EXPECT_TRUE(covered.contains(name)) << name.str() << " is in no case of test/conformance/cases";
}

TEST(Coverage, EveryDifferentiableOpHasAGradientThatIsChecked) {
  llvm::StringSet<> covered;
  for (const Case &listed : smoothCases())
    func::FuncOp(listed.forward)->walk([&](Operation *op) { covered.insert(op->getName().getStringRef()); });
  for (StringRef name : findOps(*getList().getModule().getContext(),
                                [](auto op) { return op.template hasInterface<GradientOpInterface>(); }))
    EXPECT_TRUE(covered.contains(name)) << name.str() << " has a gradient but no case that checks it";
}

TEST(Coverage, EveryTensorOpHasARule) {
  MLIRContext context;
  context.loadDialect<MoEDialect>();
  for (StringRef name : findOps(context, isTensorOp))
    EXPECT_TRUE(Rules<double>::get().lookup(name)) << name.str() << " has no rule in the reference interpreter";
}

} // namespace

//===- InterpreterTest.cpp - The reference interpreter by hand --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Interpreter.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::reference;

namespace {

class InterpreterTest : public testing::Test {
protected:
  InterpreterTest() {
    context.loadDialect<MoEDialect, arith::ArithDialect, func::FuncDialect>();
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) { message = diagnostic.str(); });
  }

  Interpreter interpret(StringRef text, InterpreterOptions options = {}) {
    module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module) << message;
    return Interpreter(*module, options);
  }

  using Values = std::vector<double>;

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::string message;
};

// Ties go to the lower index; the weights are in descending order of what was compared, without the bias.
TEST_F(InterpreterTest, TiedScores) {
  Interpreter interpreter = interpret(R"(
    func.func @f(%scores: tensor<2x4xf32>, %bias: tensor<4xf32>) -> (tensor<2x2xf32>, tensor<2x2xi32>) {
      %w, %i = moe.topk_gate %scores, %bias {top_k = 2, norm_topk_prob = false, routed_scaling_factor = 2.0}
          : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<2x2xf32>, tensor<2x2xi32>)
      return %w, %i : tensor<2x2xf32>, tensor<2x2xi32>
    })");
  Tensor scores({2, 4}, {0.5, 0.5, 0.5, 0.5, 0.125, 0.25, 0.25, 0.0}), bias({4}, {0.0, 0.0, 0.0, 0.25});
  auto results = interpreter.call("f", {scores, bias});
  ASSERT_TRUE(succeeded(results));
  EXPECT_EQ((*results)[1].values, Values({3, 0, 1, 2}));
  EXPECT_EQ((*results)[0].values, Values({1.0, 1.0, 0.5, 0.5}));
}

// Mixtral's router: norm_topk_prob makes of a softmax over all experts one over the logits of the chosen.
TEST_F(InterpreterTest, NormalisedTopKIsASoftmaxOfTheChosen) {
  Interpreter interpreter = interpret(R"(
    func.func @f(%logits: tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>) {
      %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<1x4xf32>) -> tensor<1x4xf32>
      %w, %i = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
          : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
      return %w, %i : tensor<1x2xf32>, tensor<1x2xi32>
    })");
  auto results = interpreter.call("f", {Tensor({1, 4}, {0.5, -1.0, 2.0, 1.25})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_EQ((*results)[1].values, Values({2, 3}));
  EXPECT_NEAR((*results)[0][0], 1.0 / (1.0 + std::exp(1.25 - 2.0)), 1e-15);
  EXPECT_NEAR((*results)[0][1], 1.0 / (1.0 + std::exp(2.0 - 1.25)), 1e-15);
}

// The loss of a projection is that of its logits, and so are the gradients: computed in the same order, the same bits.
TEST_F(InterpreterTest, LinearCrossEntropy) {
  Interpreter interpreter = interpret(R"(
    func.func @f(%h: tensor<2x2xf64>, %w: tensor<3x2xf64>, %t: tensor<2xi32>, %u: tensor<2xf64>, %g: tensor<f64>)
        -> (tensor<f64>, tensor<2x2xf64>, tensor<3x2xf64>, tensor<f64>, tensor<f64>, tensor<2x2xf64>, tensor<3x2xf64>) {
      %logits = moe.linear %h, %w : (tensor<2x2xf64>, tensor<3x2xf64>) -> tensor<2x3xf64>
      %loss, %lse = moe.cross_entropy %logits, %t, %u
          : (tensor<2x3xf64>, tensor<2xi32>, tensor<2xf64>) -> (tensor<f64>, tensor<2xf64>)
      %d = moe.cross_entropy_backward %logits, %t, %u, %lse, %g
          : (tensor<2x3xf64>, tensor<2xi32>, tensor<2xf64>, tensor<2xf64>, tensor<f64>) -> tensor<2x3xf64>
      %dh = moe.matmul %d, %w : (tensor<2x3xf64>, tensor<3x2xf64>) -> tensor<2x2xf64>
      %dw = moe.matmul %d, %h {transpose_lhs} : (tensor<2x3xf64>, tensor<2x2xf64>) -> tensor<3x2xf64>
      %forward = moe.linear_cross_entropy %h, %w, %t, %u
          : (tensor<2x2xf64>, tensor<3x2xf64>, tensor<2xi32>, tensor<2xf64>) -> tensor<f64>
      %backward:3 = moe.linear_cross_entropy_backward %h, %w, %t, %u, %g
          : (tensor<2x2xf64>, tensor<3x2xf64>, tensor<2xi32>, tensor<2xf64>, tensor<f64>)
          -> (tensor<f64>, tensor<2x2xf64>, tensor<3x2xf64>)
      return %loss, %dh, %dw, %forward, %backward#0, %backward#1, %backward#2
          : tensor<f64>, tensor<2x2xf64>, tensor<3x2xf64>, tensor<f64>, tensor<f64>, tensor<2x2xf64>, tensor<3x2xf64>
    })");
  Tensor hidden({2, 2}, {0.5, -1.0, 2.0, 0.25}), weight({3, 2}, {1.0, 0.5, -0.5, 1.5, 0.25, -2.0});
  Tensor targets({2}, {2, 0}), weights({2}, {0.5, 2.0});
  auto results = interpreter.call("f", {hidden, weight, targets, weights, Tensor::scalar(0.125)});
  ASSERT_TRUE(succeeded(results));
  EXPECT_EQ((*results)[3].values, (*results)[0].values);
  EXPECT_EQ((*results)[4].values, (*results)[0].values);
  EXPECT_EQ((*results)[5].values, (*results)[1].values);
  EXPECT_EQ((*results)[6].values, (*results)[2].values);
}

// Rows of an expert keep the order of their tokens; an expert without rows has an empty range.
TEST_F(InterpreterTest, RoutingPlan) {
  Interpreter interpreter = interpret(R"(
    func.func @f(%indices: tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>, tensor<4xi32>) {
      %offsets, %permutation, %inverse = moe.plan_routing %indices
          : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
      %load = moe.expert_load %offsets : (tensor<5xi32>) -> tensor<4xi32>
      return %offsets, %permutation, %inverse, %load : tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>, tensor<4xi32>
    })");
  auto results = interpreter.call("f", {Tensor({3, 2}, {3, 0, 0, 1, 1, 3})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_EQ((*results)[0].values, Values({0, 2, 4, 4, 6}));
  EXPECT_EQ((*results)[1].values, Values({1, 2, 3, 4, 0, 5}));
  EXPECT_EQ((*results)[2].values, Values({4, 0, 1, 2, 3, 5}));
  EXPECT_EQ((*results)[3].values, Values({2, 2, 0, 2}));
}

// A mean load moves no bias.
TEST_F(InterpreterTest, SelectionBias) {
  Interpreter interpreter = interpret(R"(
    func.func @f(%bias: tensor<3xf32>, %load: tensor<3xi32>) -> tensor<3xf32> {
      %new = moe.update_selection_bias %bias, %load {rate = 0.5} : (tensor<3xf32>, tensor<3xi32>) -> tensor<3xf32>
      return %new : tensor<3xf32>
    })");
  auto results = interpreter.call("f", {Tensor({3}, {0, 0, 0}), Tensor({3}, {4, 2, 0})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_EQ((*results)[0].values, Values({-0.5, 0.0, 0.5}));
}

// A step that overflowed is not taken.
TEST_F(InterpreterTest, NoStepWithoutAFiniteNorm) {
  Interpreter interpreter = interpret(R"(
    func.func @f(%p: tensor<2xf32>, %g: tensor<2xf32>, %norm: tensor<f32>, %one: tensor<f32>, %load: tensor<2xi32>)
        -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
      %new, %m, %v = moe.adamw %p, %g, %p, %p, %norm, %one, %one, %one {beta1 = 0.9, beta2 = 0.99, epsilon = 1.0e-8,
          weight_decay = 0.1, max_grad_norm = 1.0}
          : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>, tensor<f32>, tensor<f32>,
             tensor<f32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>)
      %bias = moe.update_selection_bias %p, %load, %norm {rate = 0.5}
          : (tensor<2xf32>, tensor<2xi32>, tensor<f32>) -> tensor<2xf32>
      return %new, %m, %v, %bias : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
    })");
  Tensor p({2}, {1.0, 2.0}), g({2}, {NAN, 3.0}), one = Tensor::scalar(1.0), load({2}, {3, 1});
  for (double norm : {double(NAN), double(INFINITY)}) {
    auto results = interpreter.call("f", {p, g, Tensor::scalar(norm), one, load});
    ASSERT_TRUE(succeeded(results));
    for (const Tensor &result : *results)
      EXPECT_EQ(result.values, p.values);
  }
  auto results = interpreter.call("f", {p, Tensor({2}, {4.0, 3.0}), Tensor::scalar(5.0), one, load});
  ASSERT_TRUE(succeeded(results));
  for (const Tensor &result : *results)
    EXPECT_NE(result.values, p.values);
}

// Reads see the old value wherever they stand; the new one is there for the next call.
TEST_F(InterpreterTest, Variables) {
  Interpreter interpreter = interpret(R"(
    moe.variable @count buffer ones : tensor<f32>
    func.func @step() -> (tensor<f32> {moe.name = "before"}) {
      %old = moe.read @count : tensor<f32>
      %new = moe.add %old, %old : tensor<f32>
      moe.write %new, @count : tensor<f32>
      %again = moe.read @count : tensor<f32>
      return %again : tensor<f32>
    })");
  for (double expected : {1.0, 2.0, 4.0}) {
    auto outputs = interpreter.run("step", {});
    ASSERT_TRUE(succeeded(outputs));
    EXPECT_EQ(outputs->at("before")[0], expected);
  }
  EXPECT_EQ((*interpreter.getVariable("count"))[0], 8.0);
}

TEST_F(InterpreterTest, RoundsToFloat32WhereAsked) {
  const char *text = R"(
    func.func @f(%x: tensor<f32>) -> tensor<f32> {
      %y = moe.add %x, %x : tensor<f32>
      return %y : tensor<f32>
    })";
  Tensor x = Tensor::scalar(0.1);
  EXPECT_EQ((*interpret(text).call("f", {x}))[0][0], 0.2);
  EXPECT_EQ((*interpret(text, {/*roundToFloat32=*/true}).call("f", {x}))[0][0], static_cast<float>(0.2));
}

// To nearest even, once, whatever is stored: arguments, variables, results. 1 + 2⁻⁸ is a tie, and so is 1 + 3·2⁻⁸.
TEST_F(InterpreterTest, RoundsWhatBFloat16Stores) {
  Interpreter interpreter = interpret(R"(
    moe.variable @w parameter normal 0.02 : tensor<2xbf16>
    func.func @f(%x: tensor<2xbf16> {moe.name = "x"}) -> (tensor<2xbf16> {moe.name = "x"}, tensor<2xbf16> {moe.name = "w"},
        tensor<2xbf16> {moe.name = "sum"}, tensor<2xf32> {moe.name = "exact"}) {
      %w = moe.read @w : tensor<2xbf16>
      %sum = moe.add %x, %w : tensor<2xbf16>
      %wide = moe.cast %x : (tensor<2xbf16>) -> tensor<2xf32>
      %more = moe.cast %w : (tensor<2xbf16>) -> tensor<2xf32>
      %exact = moe.add %wide, %more : tensor<2xf32>
      return %x, %w, %sum, %exact : tensor<2xbf16>, tensor<2xbf16>, tensor<2xbf16>, tensor<2xf32>
    })");
  interpreter.setVariable("w", Tensor({2}, {0x1.01p0, 0x1.fp-9}));
  FailureOr<NamedTensors> outputs = interpreter.run("f", {{"x", Tensor({2}, {0x1.03p0, 1.0})}});
  ASSERT_TRUE(succeeded(outputs));
  EXPECT_EQ(outputs->at("x").values, Values({0x1.04p0, 1.0}));
  EXPECT_EQ(outputs->at("w").values, Values({1.0, 0x1.fp-9}));
  EXPECT_EQ(outputs->at("sum").values, Values({0x1.02p1, 1.0}));
  EXPECT_EQ(outputs->at("exact").values, Values({0x1.02p1, 1.0 + 0x1.fp-9}));
}

// Half a unit in the last place of a bf16 parameter of 1 is 2⁻⁸: the parameter alone would never see updates of 2⁻⁹.
TEST_F(InterpreterTest, MastersKeepSmallUpdates) {
  Interpreter interpreter = interpret(R"(
    moe.variable @w parameter ones : tensor<1xbf16>
    moe.variable @w.master_weight optimizer copy @w : tensor<1xf32>
    func.func @step(%g: tensor<1xbf16> {moe.name = "g"}, %rate: tensor<f32> {moe.name = "rate"}) {
      %w = moe.read @w : tensor<1xbf16>
      %master = moe.read @w.master_weight : tensor<1xf32>
      %zero = arith.constant dense<0.0> : tensor<1xf32>
      %norm = arith.constant dense<0.0> : tensor<f32>
      %one = arith.constant dense<1.0> : tensor<f32>
      %new:4 = moe.adamw %w, %g, %zero, %zero, %norm, %rate, %one, %one, %master
          {beta1 = 0.0, beta2 = 0.0, epsilon = 1.0e-30, weight_decay = 0.0, max_grad_norm = 1.0}
          : (tensor<1xbf16>, tensor<1xbf16>, tensor<1xf32>, tensor<1xf32>, tensor<f32>, tensor<f32>, tensor<f32>,
             tensor<f32>, tensor<1xf32>) -> (tensor<1xbf16>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>)
      moe.write %new#0, @w : tensor<1xbf16>
      moe.write %new#3, @w.master_weight : tensor<1xf32>
      return
    })");
  const double rounded[] = {1.0, 1.0, 0x1.02p0, 0x1.02p0}; // The second is a tie, which goes to even.
  for (int step = 1; step <= 4; ++step) {
    // m/√v of one gradient is its sign, so that each step adds the rate.
    ASSERT_TRUE(succeeded(interpreter.run("step", {{"g", Tensor({1}, {-1.0})}, {"rate", Tensor::scalar(0x1p-9)}})));
    EXPECT_EQ((*interpreter.getVariable("w.master_weight"))[0], 1.0 + step * 0x1p-9);
    EXPECT_EQ((*interpreter.getVariable("w"))[0], rounded[step - 1]);
  }
}

TEST_F(InterpreterTest, RefusesWrongInputs) {
  Interpreter interpreter = interpret(R"(
    moe.variable @w parameter normal 0.02 : tensor<2xf32>
    func.func @f(%x: tensor<2xf32> {moe.name = "x"}) -> (tensor<2xf32> {moe.name = "y"}) {
      %w = moe.read @w : tensor<2xf32>
      %y = moe.add %x, %w : tensor<2xf32>
      return %y : tensor<2xf32>
    })");
  Tensor x({2}, {1, 2});
  EXPECT_TRUE(failed(interpreter.run("g", {{"x", x}})));
  EXPECT_EQ(message, "has no function 'g'");
  EXPECT_TRUE(failed(interpreter.run("f", {{"z", x}})));
  EXPECT_EQ(message, "is missing the input \"x\"");
  EXPECT_TRUE(failed(interpreter.run("f", {{"x", x}, {"z", x}})));
  EXPECT_EQ(message, "takes 1 inputs, not 2");
  EXPECT_TRUE(failed(interpreter.run("f", {{"x", Tensor({3})}})));
  EXPECT_EQ(message, "argument #0 has shape [3] but the type is 'tensor<2xf32>'");
  EXPECT_TRUE(failed(interpreter.run("f", {{"x", x}})));
  EXPECT_EQ(message, "'moe.read' op reads 'w', which has no value yet");
}

TEST_F(InterpreterTest, NamesAnOpWithoutRule) {
  Interpreter interpreter = interpret(R"(
    func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
      %y = arith.addf %x, %x : tensor<2xf32>
      return %y : tensor<2xf32>
    })");
  EXPECT_TRUE(failed(interpreter.call("f", {Tensor({2})})));
  EXPECT_EQ(message, "'arith.addf' op has no rule in the reference interpreter");
}

} // namespace

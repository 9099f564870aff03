//===- MatmulTest.cpp - Matmul kernels against plain loops ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "KernelTest.h"

#include "llvm/Support/FormatVariadic.h"

using namespace moe::test;

namespace {

enum class Epilogue { Store, Extras, Pairs };

struct MatmulCase {
  const char *name;
  const char *kind = "dense";
  int64_t rows = 1, columns = 1, depth = 1;
  std::vector<int> rowsOfExperts = {}; ///< Ragged kinds: their sum is `rows` or, for a contraction, `depth`.
  bool transposeLhs = false, transposeRhs = false;
  Epilogue epilogue = Epilogue::Store;
  int64_t gatherDivisor = 0; ///< 0: no gather.
  bool gatherRhs = false;

  bool isContraction() const { return std::string(kind) == "ragged_contraction"; }
  bool isRagged() const { return !rowsOfExperts.empty(); }
  bool isPaired() const { return epilogue == Epilogue::Pairs; }
  int64_t experts() const { return isRagged() ? rowsOfExperts.size() : 1; }
  int64_t outputs() const { return isPaired() ? columns / 2 : columns; }
  int64_t gatheredRows() const { return isContraction() ? depth : rows; }
  /// Rows of the tokens' operand, where it is gathered.
  int64_t tokens() const { return (gatheredRows() + gatherDivisor - 1) / gatherDivisor; }
};

struct Arch {
  const char *target;
  const char *config; ///< Empty: what the target chooses.
  bool isNarrow = false; ///< Operands, some of the extras and the first result are of bf16.
};

std::ostream &operator<<(std::ostream &stream, const MatmulCase &c) { return stream << c.name; }
std::ostream &operator<<(std::ostream &stream, const Arch &a) { return stream << a.target; }

using Parameters = std::tuple<MatmulCase, Arch>;

std::string tensor(std::initializer_list<int64_t> shape, const char *element = "f32") {
  std::string text = "tensor<";
  for (int64_t size : shape)
    text += std::to_string(size) + "x";
  return text + element + ">";
}

struct MatmulTest : testing::TestWithParam<Parameters> {
  const MatmulCase &c = std::get<0>(GetParam());
  const Arch &arch = std::get<1>(GetParam());

  const char *element = arch.isNarrow ? kTypeName<BFloat16> : kTypeName<float>;

  std::string lhsType() const {
    if (c.isContraction())
      return tensor({c.gatherDivisor && !c.gatherRhs ? c.tokens() : c.depth, c.rows}, element);
    int64_t rows = c.gatherDivisor ? c.tokens() : c.rows;
    return c.transposeLhs ? tensor({c.depth, rows}, element) : tensor({rows, c.depth}, element);
  }
  std::string rhsType() const {
    if (c.isContraction())
      return tensor({c.gatherRhs ? c.tokens() : c.depth, c.columns}, element);
    int64_t first = c.transposeRhs ? c.columns : c.depth, second = c.transposeRhs ? c.depth : c.columns;
    return c.isRagged() ? tensor({c.experts(), first, second}, element) : tensor({first, second}, element);
  }
  std::string resultType(int64_t columns, const char *element) const {
    return c.isContraction() ? tensor({c.experts(), c.rows, columns}, element) : tensor({c.rows, columns}, element);
  }

  /// Epilogues compute in float32: where an extra of bf16 called `name` comes as `name`n, and a result goes as it.
  std::string extend(std::string name) const {
    return arch.isNarrow ? name + " = arith.extf " + name + "n : bf16 to f32\n" : "";
  }
  std::string round(std::string name) const {
    return arch.isNarrow ? name + "n = arith.truncf " + name + " : f32 to bf16\n" : "";
  }
  template <typename T> void agreesWithLoops();
  std::string source() const;
};

std::string MatmulTest::source() const {
  std::vector<std::string> types = {lhsType(), rhsType()};
  std::string operands = "(%a0, %a1)", attributes;
  auto addOperand = [&](std::string type) {
    types.push_back(type);
    return "%a" + std::to_string(types.size() - 1);
  };
  if (c.isRagged())
    operands += " offsets(" + addOperand(tensor({c.experts() + 1}, "i32")) + ")";
  if (c.gatherDivisor) {
    operands += " rows(" + addOperand(tensor({c.gatheredRows()}, "i32")) + ")";
    attributes += ", row_divisor = " + std::to_string(c.gatherDivisor) + " : i64";
  }
  if (c.transposeLhs)
    attributes += ", transpose_lhs";
  if (c.transposeRhs)
    attributes += ", transpose_rhs";
  if (c.gatherRhs)
    attributes += ", gather_rhs";

  std::string full = resultType(c.outputs(), element), results, extents, region;
  std::string narrow = arch.isNarrow ? "n" : "", type = element;
  switch (c.epilogue) {
  case Epilogue::Store:
    results = full;
    extents = "#moe_kernel.extent<full>";
    region = "^bb0(%x: f32):\n" + round("%x") + "moe_kernel.yield %x" + narrow + " : " + type;
    break;
  case Epilogue::Extras: {
    std::string list = addOperand("tensor<f32>");
    // A weight gradient has neither rows nor columns of tokens: scalars stand for them.
    bool isContraction = c.isContraction();
    list += ", " + addOperand(isContraction ? "tensor<f32>" : tensor({c.rows}));
    list += ", " + addOperand(isContraction ? "tensor<f32>" : tensor({c.outputs()}));
    list += ", " + addOperand(full);
    operands += " extras(" + list + ")";
    attributes += ", extra_extents = [#moe_kernel.extent<scalar>, ";
    attributes += isContraction ? "#moe_kernel.extent<scalar>, #moe_kernel.extent<scalar>, "
                                : "#moe_kernel.extent<row>, #moe_kernel.extent<column>, ";
    attributes += "#moe_kernel.extent<full>]";
    results = full + ", " + resultType(c.outputs(), "f32");
    extents = "#moe_kernel.extent<full>, #moe_kernel.extent<full>";
    region = "^bb0(%x: f32, %s: f32, %r: f32, %c: f32, %f" + narrow + ": " + type + "):\n" + extend("%f") + R"(
      %0 = arith.mulf %x, %s : f32
      %1 = arith.addf %0, %r : f32
      %2 = arith.addf %1, %c : f32
      %3 = arith.addf %2, %f : f32
      )" + round("%x") + "moe_kernel.yield %x" + narrow + ", %3 : " + type + ", f32";
    break;
  }
  case Epilogue::Pairs: {
    std::string pair = resultType(c.columns, element);
    operands += " extras(" + addOperand(pair) + ")";
    attributes += ", paired, extra_extents = [#moe_kernel.extent<pair>]";
    extents = "#moe_kernel.extent<full>, #moe_kernel.extent<pair>";
    results = full + ", " + resultType(c.columns, "f32");
    region = "^bb0(%x: f32, %y: f32, %p" + narrow + ": " + type + ", %q" + narrow + ": " + type + "):\n" +
             extend("%p") + extend("%q") + R"(
      %z = arith.mulf %x, %y : f32
      %1 = arith.addf %x, %p : f32
      %2 = arith.addf %y, %q : f32
      )" + round("%z") + "moe_kernel.yield %z" + narrow + ", %1, %2 : " + type + ", f32, f32";
    break;
  }
  }

  std::string arguments, operandTypes;
  for (size_t i = 0; i < types.size(); ++i) {
    arguments += llvm::formatv("{0}%a{1}: {2}", i ? ", " : "", i, types[i]);
    operandTypes += (i ? ", " : "") + types[i];
  }
  bool two = c.epilogue != Epilogue::Store;
  std::string config = *arch.config ? "attributes {config = " + std::string(arch.config) + "}" : "";
  return llvm::formatv(R"mlir(
    moe_kernel.kernel @matmul({0}) -> ({1}) {2} {{
      %r{3} = moe_kernel.matmul {4} {5} {{result_extents = [{6}]{7}} : ({8}) -> ({1}) {{
        {9}
      }
      moe_kernel.return {10} : {1}
    })mlir",
                       arguments, results, config, two ? ":2" : "", c.kind, operands, extents, attributes,
                       operandTypes, region, two ? "%r#0, %r#1" : "%r");
}

TEST_P(MatmulTest, AgreesWithLoops) {
  if (!CompiledKernel::canRun(arch.target))
    GTEST_SKIP() << "this machine cannot run " << arch.target;
  arch.isNarrow ? agreesWithLoops<BFloat16>() : agreesWithLoops<float>();
}

template <typename T> void MatmulTest::agreesWithLoops() {
  auto kernel = CompiledKernel::compile(source(), arch.target);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->flops, 2 * c.rows * c.columns * c.depth);

  int64_t lhsRows = c.gatherDivisor && !c.gatherRhs ? c.tokens() : c.gatheredRows();
  int64_t lhsCount = c.isContraction() ? lhsRows * c.rows : lhsRows * c.depth;
  int64_t rhsCount =
      c.isContraction() ? (c.gatherRhs ? c.tokens() : c.depth) * c.columns : c.experts() * c.depth * c.columns;
  auto lhs = randomBuffer<T>(lhsCount, 1), rhs = randomBuffer<T>(rhsCount, 2);
  Buffer<int32_t> offsets(c.experts() + 1), rowIndex(c.gatheredRows());
  for (int64_t e = 0; e < c.experts(); ++e)
    offsets[e + 1] = offsets[e] + (c.isRagged() ? c.rowsOfExperts[e] : int(c.rows));
  for (int64_t r = 0; r < c.gatheredRows(); ++r)
    rowIndex[r] = (r * 7919 + 3) % c.gatheredRows(); // A permutation unless 7919 divides the number of rows.
  int64_t resultRows = (c.isContraction() ? c.experts() : 1) * c.rows;
  auto scalar = randomBuffer(1, 3), row = randomBuffer(c.rows, 4), column = randomBuffer(c.outputs(), 5);
  auto full = randomBuffer<T>(resultRows * c.outputs(), 6), pair = randomBuffer<T>(resultRows * c.columns, 7);
  auto first = poisonedBuffer<T>(resultRows * c.outputs());
  auto second = poisonedBuffer(resultRows * (c.isPaired() ? c.columns : c.outputs()));

  KernelBuffers buffers = {lhs, rhs};
  if (c.isRagged())
    buffers.push_back(offsets);
  if (c.gatherDivisor)
    buffers.push_back(rowIndex);
  if (c.epilogue == Epilogue::Extras)
    buffers.insert(buffers.end(), {scalar, row, column, full});
  if (c.isPaired())
    buffers.push_back(pair);
  buffers.push_back(first);
  if (c.epilogue == Epilogue::Store) {
    runInAllWays(*kernel, buffers, first);
  } else {
    buffers.push_back(second);
    runInAllWays(*kernel, buffers, first, second);
  }

  // The accumulator in float64, and Σ|a·b|, by which rounding errors are bounded.
  std::vector<double> sum(resultRows * c.columns), magnitude(resultRows * c.columns);
  auto gathered = [&](int64_t r, bool gathers) { return gathers ? rowIndex[r] / c.gatherDivisor : r; };
  for (int64_t e = 0; e < c.experts(); ++e) {
    int64_t firstRow = c.isContraction() ? 0 : offsets[e], lastRow = c.isContraction() ? c.rows : offsets[e + 1];
    int64_t firstK = c.isContraction() ? offsets[e] : 0, lastK = c.isContraction() ? offsets[e + 1] : c.depth;
    for (int64_t m = firstRow; m < lastRow; ++m)
      for (int64_t n = 0; n < c.columns; ++n)
        for (int64_t k = firstK; k < lastK; ++k) {
          bool gathersLhs = c.gatherDivisor && !c.gatherRhs;
          float a = c.isContraction() ? lhs[gathered(k, gathersLhs) * c.rows + m]
                    : c.transposeLhs  ? lhs[k * c.rows + m]
                                      : lhs[gathered(m, gathersLhs) * c.depth + k];
          float b = c.isContraction() ? rhs[gathered(k, c.gatherRhs) * c.columns + n]
                    : c.transposeRhs  ? rhs[(e * c.columns + n) * c.depth + k]
                                      : rhs[(e * c.depth + k) * c.columns + n];
          int64_t at = ((c.isContraction() ? e * c.rows : 0) + m) * c.columns + n;
          sum[at] += double(a) * b;
          magnitude[at] += std::abs(double(a) * b);
        }
  }

  // depth roundings in the sum; a few more in the epilogue, of values of at most magnitude + 3.
  bool isMma = kernel->config.find("mma>") != std::string::npos || kernel->config.find("stream>") != std::string::npos;
  double perStep = isMma ? kTensorCoreEpsilon : kEpsilon;
  auto bound = [&](double magnitude) { return c.depth * magnitude * perStep + 8 * (magnitude + 3) * kEpsilon; };
  std::vector<double> expected1, expected2, bound1, bound2;
  for (int64_t r = 0; r < resultRows; ++r)
    for (int64_t n = 0; n < c.outputs(); ++n) {
      int64_t at = r * c.columns + n;
      if (c.isPaired()) {
        expected1.push_back(sum[at] * sum[at + c.outputs()]);
        bound1.push_back(bound(magnitude[at]) * (magnitude[at + c.outputs()] + 1) +
                         bound(magnitude[at + c.outputs()]) * magnitude[at]);
        continue;
      }
      expected1.push_back(sum[at]);
      bound1.push_back(bound(magnitude[at]));
      double offset = c.isContraction() ? row[0] + column[0] : row[r] + column[n];
      expected2.push_back(sum[at] * scalar[0] + offset + full[r * c.outputs() + n]);
      bound2.push_back(bound(magnitude[at]));
    }
  if (c.isPaired())
    for (int64_t at = 0; at < resultRows * c.columns; ++at) {
      expected2.push_back(sum[at] + pair[at]);
      bound2.push_back(bound(magnitude[at]));
    }
  expectWithin(first, expected1, bound1, "the first result");
  if (c.epilogue != Epilogue::Store)
    expectWithin(second, expected2, bound2, "the second result");
}

// A residual is added to in place: each of its elements is read before the result is written over it.
struct MatmulTiedTest : testing::TestWithParam<const char *> {};

TEST_P(MatmulTiedTest, AddsInPlace) {
  if (!CompiledKernel::canRun(GetParam()))
    GTEST_SKIP() << "this machine cannot run " << GetParam();
  auto kernel = CompiledKernel::compile(R"mlir(
    moe_kernel.kernel @residual(%a: tensor<37x20xf32>, %b: tensor<45x20xf32>,
                                %x: tensor<37x45xf32> {moe_kernel.tied = 0 : i64}) -> tensor<37x45xf32> {
      %r = moe_kernel.matmul dense (%a, %b) extras(%x)
          {transpose_rhs, extra_extents = [#moe_kernel.extent<full>], result_extents = [#moe_kernel.extent<full>]}
          : (tensor<37x20xf32>, tensor<45x20xf32>, tensor<37x45xf32>) -> tensor<37x45xf32> {
        ^bb0(%sum: f32, %old: f32):
          %new = arith.addf %sum, %old : f32
          moe_kernel.yield %new : f32
      }
      moe_kernel.return %r : tensor<37x45xf32>
    })mlir",
                                        GetParam());
  ASSERT_TRUE(kernel);
  auto a = randomBuffer(37 * 20, 1), b = randomBuffer(45 * 20, 2), x = randomBuffer(37 * 45, 3);
  std::vector<double> expected(x.begin(), x.end()), bound;
  for (int64_t m = 0; m < 37; ++m)
    for (int64_t n = 0; n < 45; ++n)
      for (int64_t k = 0; k < 20; ++k)
        expected[m * 45 + n] += double(a[m * 20 + k]) * b[n * 20 + k];
  kernel->run({a, b, x, x});
  expectWithin(x, expected, std::vector<double>(expected.size(), 21 * 21 * kEpsilon), "the residual");
}

INSTANTIATE_TEST_SUITE_P(Targets, MatmulTiedTest, testing::Values("cpu:host", "cuda:sm_80"));

// clang-format off
const MatmulCase kCases[] = {
    {.name = "OneByOne"},
    {.name = "SmallOdd", .rows = 5, .columns = 7, .depth = 3},
    {.name = "Odd", .rows = 67, .columns = 83, .depth = 31},
    {.name = "OddNT", .rows = 67, .columns = 83, .depth = 31, .transposeRhs = true},
    {.name = "OddTN", .rows = 67, .columns = 83, .depth = 31, .transposeLhs = true},
    {.name = "OddTT", .rows = 67, .columns = 83, .depth = 31, .transposeLhs = true, .transposeRhs = true},
    {.name = "Aligned", .rows = 128, .columns = 128, .depth = 64, .transposeRhs = true},
    {.name = "FewRows", .rows = 9, .columns = 100, .depth = 40},
    {.name = "OneRowNT", .rows = 1, .columns = 83, .depth = 37, .transposeRhs = true},
    {.name = "ThreeRowsNT", .rows = 3, .columns = 64, .depth = 128, .transposeRhs = true},
    {.name = "OneColumn", .rows = 40, .columns = 1, .depth = 20, .transposeRhs = true},
    {.name = "Deep", .rows = 33, .columns = 40, .depth = 1100},
    {.name = "DeepNT", .rows = 33, .columns = 40, .depth = 1037, .transposeRhs = true},
    {.name = "Extras", .rows = 30, .columns = 83, .depth = 31, .epilogue = Epilogue::Extras},
    {.name = "ExtrasTwoRowsNT", .rows = 2, .columns = 83, .depth = 31, .transposeRhs = true,
     .epilogue = Epilogue::Extras},
    {.name = "Paired", .rows = 30, .columns = 128, .depth = 32, .transposeRhs = true, .epilogue = Epilogue::Pairs},
    {.name = "PairedOdd", .rows = 30, .columns = 74, .depth = 19, .transposeRhs = true, .epilogue = Epilogue::Pairs},
    {.name = "PairedOddNN", .rows = 30, .columns = 74, .depth = 19, .epilogue = Epilogue::Pairs},
    {.name = "PairedOneRow", .rows = 1, .columns = 74, .depth = 19, .transposeRhs = true,
     .epilogue = Epilogue::Pairs},
    {.name = "Gathered", .rows = 50, .columns = 33, .depth = 20, .gatherDivisor = 2},
    {.name = "RaggedRows", .kind = "ragged_rows", .rows = 100, .columns = 48, .depth = 24,
     .rowsOfExperts = {13, 0, 50, 1, 36}, .transposeRhs = true},
    {.name = "RaggedRowsNN", .kind = "ragged_rows", .rows = 100, .columns = 45, .depth = 21,
     .rowsOfExperts = {0, 0, 99, 1}},
    {.name = "RaggedRowsOneExpert", .kind = "ragged_rows", .rows = 70, .columns = 32, .depth = 16,
     .rowsOfExperts = {0, 70, 0}, .transposeRhs = true},
    {.name = "RaggedRowsDeep", .kind = "ragged_rows", .rows = 20, .columns = 20, .depth = 600,
     .rowsOfExperts = {3, 0, 17}, .transposeRhs = true},
    {.name = "RaggedRowsFew", .kind = "ragged_rows", .rows = 2, .columns = 40, .depth = 24,
     .rowsOfExperts = {0, 1, 0, 1}, .transposeRhs = true, .gatherDivisor = 2},
    {.name = "RaggedRowsSmallNN", .kind = "ragged_rows", .rows = 3, .columns = 40, .depth = 24,
     .rowsOfExperts = {2, 1, 0}},
    {.name = "RaggedRowsPairedGather", .kind = "ragged_rows", .rows = 90, .columns = 96, .depth = 40,
     .rowsOfExperts = {30, 20, 0, 40}, .transposeRhs = true, .epilogue = Epilogue::Pairs, .gatherDivisor = 2},
    {.name = "RaggedRowsExtras", .kind = "ragged_rows", .rows = 90, .columns = 50, .depth = 40,
     .rowsOfExperts = {30, 20, 0, 40}, .epilogue = Epilogue::Extras},
    {.name = "Contraction", .kind = "ragged_contraction", .rows = 33, .columns = 47, .depth = 100,
     .rowsOfExperts = {13, 0, 50, 1, 36}},
    {.name = "GatheredAligned", .rows = 150, .columns = 136, .depth = 96, .transposeRhs = true, .gatherDivisor = 4},
    {.name = "AlignedTN", .rows = 72, .columns = 136, .depth = 104, .transposeLhs = true},
    {.name = "EvenTN", .rows = 70, .columns = 138, .depth = 102, .transposeLhs = true},
    {.name = "EvenNT", .rows = 70, .columns = 138, .depth = 102, .transposeRhs = true},
    {.name = "ByFoursNN", .rows = 68, .columns = 140, .depth = 100},
    {.name = "RaggedRowsAligned", .kind = "ragged_rows", .rows = 300, .columns = 256, .depth = 192,
     .rowsOfExperts = {0, 130, 0, 1, 16, 153}, .transposeRhs = true, .gatherDivisor = 2},
    {.name = "RaggedRowsPairedAligned", .kind = "ragged_rows", .rows = 200, .columns = 384, .depth = 64,
     .rowsOfExperts = {150, 0, 50}, .transposeRhs = true, .epilogue = Epilogue::Pairs, .gatherDivisor = 2},
    {.name = "ContractionAligned", .kind = "ragged_contraction", .rows = 136, .columns = 72, .depth = 200,
     .rowsOfExperts = {0, 77, 0, 122, 1, 0}, .gatherDivisor = 2, .gatherRhs = true},
    {.name = "ContractionOneExpert", .kind = "ragged_contraction", .rows = 16, .columns = 32, .depth = 700,
     .rowsOfExperts = {0, 0, 700}},
    {.name = "ContractionExtras", .kind = "ragged_contraction", .rows = 20, .columns = 35, .depth = 40,
     .rowsOfExperts = {5, 35, 0}, .epilogue = Epilogue::Extras},
    {.name = "ContractionGatherLhs", .kind = "ragged_contraction", .rows = 20, .columns = 35, .depth = 40,
     .rowsOfExperts = {5, 35, 0}, .gatherDivisor = 2},
    {.name = "ContractionGatherRhs", .kind = "ragged_contraction", .rows = 20, .columns = 35, .depth = 40,
     .rowsOfExperts = {5, 35, 0}, .gatherDivisor = 4, .gatherRhs = true},
};
// clang-format on

constexpr const char *kSmallMma =
    "#moe_kernel.cuda_config<threads = 128, tile_m = 64, tile_n = 64, tile_k = 32, stages = 3, unit = mma>";
constexpr const char *kLargeMma =
    "#moe_kernel.cuda_config<threads = 256, tile_m = 128, tile_n = 128, tile_k = 64, stages = 3, unit = mma>";
constexpr const char *kFlatMma =
    "#moe_kernel.cuda_config<threads = 64, tile_m = 16, tile_n = 64, tile_k = 64, stages = 2, unit = mma>";

const Arch kArchs[] = {
    {"cuda:sm_80", "#moe_kernel.cuda_config<threads = 256, tile_m = 64, tile_n = 64, tile_k = 16, stages = 2>"},
    {"cuda:sm_80", "#moe_kernel.cuda_config<threads = 256, tile_m = 128, tile_n = 128, tile_k = 8, stages = 2>"},
    {"cuda:sm_80", "#moe_kernel.cuda_config<threads = 64, tile_m = 32, tile_n = 32, tile_k = 16, stages = 2>"},
    {"cpu:host", "#moe_kernel.cpu_config<vector_width = 16, tile_m = 8, tile_n = 32, block_m = 64, block_n = 64>"},
    {"cpu:host", "#moe_kernel.cpu_config<vector_width = 16, tile_m = 6, tile_n = 64, block_m = 20, block_n = 64>"},
    {"cpu:x86-64-v3", "#moe_kernel.cpu_config<vector_width = 8, tile_m = 4, tile_n = 24, block_m = 32, block_n = 48>"},
    {"cuda:sm_80", "#moe_kernel.cuda_config<threads = 256, tile_m = 64, tile_n = 64, tile_k = 16, stages = 2>", true},
    {"cpu:host", "#moe_kernel.cpu_config<vector_width = 16, tile_m = 8, tile_n = 32, block_m = 64, block_n = 64>", true},
    {"cpu:x86-64-v3", "#moe_kernel.cpu_config<vector_width = 8, tile_m = 4, tile_n = 24, block_m = 32, block_n = 48>",
     true},
    {"cuda:sm_80", kSmallMma, true},
    {"cuda:sm_80", kLargeMma, true},
    {"cuda:sm_80", kFlatMma, true},
    {"cuda:sm_80", "", true},
};

std::string nameOf(const testing::TestParamInfo<Parameters> &info) {
  std::string config = std::get<1>(info.param).config;
  bool isCuda = std::string(std::get<1>(info.param).target).starts_with("cuda");
  std::string name = std::string(std::get<0>(info.param).name) + (isCuda ? "_cuda_" : "_");
  for (char character : config)
    if (std::isdigit(character) || character == ',')
      name += character == ',' ? '_' : character;
  return std::get<1>(info.param).isNarrow ? name + "_bf16" : name;
}

// Few rows and rows of whole 16 bytes; otherwise every size and edge: contractions of less than a stage, of more stages
// than are under way, and that end within one; more experts than lanes; experts of several tiles.
// clang-format off
const MatmulCase kStreamCases[] = {
    {.name = "StreamEight", .rows = 8, .columns = 8, .depth = 8, .transposeRhs = true},
    {.name = "StreamOneRow", .rows = 1, .columns = 64, .depth = 1024, .transposeRhs = true},
    {.name = "StreamOneRowOdd", .rows = 1, .columns = 75, .depth = 2056, .transposeRhs = true},
    {.name = "StreamThreeRows", .rows = 3, .columns = 40, .depth = 72, .transposeRhs = true},
    {.name = "StreamNineRows", .rows = 9, .columns = 33, .depth = 520, .transposeRhs = true},
    {.name = "StreamManyRows", .rows = 37, .columns = 96, .depth = 256, .transposeRhs = true},
    {.name = "StreamExtras", .rows = 9, .columns = 50, .depth = 1288, .transposeRhs = true,
     .epilogue = Epilogue::Extras},
    {.name = "StreamPaired", .rows = 5, .columns = 96, .depth = 264, .transposeRhs = true, .epilogue = Epilogue::Pairs},
    {.name = "StreamPairedOdd", .rows = 17, .columns = 74, .depth = 1032, .transposeRhs = true,
     .epilogue = Epilogue::Pairs},
    {.name = "StreamGathered", .rows = 13, .columns = 48, .depth = 72, .transposeRhs = true, .gatherDivisor = 2},
    {.name = "StreamExperts", .kind = "ragged_rows", .rows = 24, .columns = 48, .depth = 136,
     .rowsOfExperts = {3, 0, 17, 1, 0, 3}, .transposeRhs = true},
    {.name = "StreamManyExperts", .kind = "ragged_rows", .rows = 12, .columns = 40, .depth = 64,
     .rowsOfExperts = {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                       1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                       0, 0, 0, 1},
     .transposeRhs = true},
    {.name = "StreamOneExpert", .kind = "ragged_rows", .rows = 50, .columns = 32, .depth = 264,
     .rowsOfExperts = {0, 50, 0}, .transposeRhs = true, .gatherDivisor = 2},
    {.name = "StreamExpertsPaired", .kind = "ragged_rows", .rows = 20, .columns = 96, .depth = 520,
     .rowsOfExperts = {0, 9, 1, 0, 10}, .transposeRhs = true, .epilogue = Epilogue::Pairs, .gatherDivisor = 4},
};
// clang-format on

const Arch kStreamArchs[] = {
    {"cuda:sm_80",
     "#moe_kernel.cuda_config<threads = 256, tile_m = 8, tile_n = 32, tile_k = 256, stages = 4, unit = stream>", true},
    {"cuda:sm_80",
     "#moe_kernel.cuda_config<threads = 64, tile_m = 16, tile_n = 64, tile_k = 128, stages = 3, unit = stream>", true},
    {"cuda:sm_80",
     "#moe_kernel.cuda_config<threads = 32, tile_m = 32, tile_n = 32, tile_k = 96, stages = 2, unit = stream>", true},
    {"cuda:sm_80",
     "#moe_kernel.cuda_config<threads = 512, tile_m = 8, tile_n = 32, tile_k = 512, stages = 2, unit = stream>", true},
    {"cuda:sm_80", "", true},
};

INSTANTIATE_TEST_SUITE_P(Streams, MatmulTest,
                         testing::Combine(testing::ValuesIn(kStreamCases), testing::ValuesIn(kStreamArchs)), nameOf);

// Tensor maps need rows of whole 16 bytes; otherwise every size and edge that a tile of 128 x 256 x 64 may meet.
// clang-format off
const MatmulCase kWarpgroupCases[] = {
    {.name = "Eight", .rows = 8, .columns = 8, .depth = 8, .transposeRhs = true},
    {.name = "OneRowNT", .rows = 1, .columns = 72, .depth = 136, .transposeRhs = true},
    {.name = "WholeNT", .rows = 256, .columns = 256, .depth = 128, .transposeRhs = true},
    {.name = "OddNN", .rows = 203, .columns = 280, .depth = 72},
    {.name = "OddNT", .rows = 203, .columns = 280, .depth = 72, .transposeRhs = true},
    {.name = "OddTN", .rows = 200, .columns = 280, .depth = 77, .transposeLhs = true},
    {.name = "OddTT", .rows = 200, .columns = 280, .depth = 72, .transposeLhs = true, .transposeRhs = true},
    {.name = "WholeTN", .rows = 192, .columns = 320, .depth = 64, .transposeLhs = true},
    {.name = "DeepNT", .rows = 65, .columns = 40, .depth = 1096, .transposeRhs = true},
    {.name = "Extras", .rows = 130, .columns = 88, .depth = 64, .transposeRhs = true, .epilogue = Epilogue::Extras},
    {.name = "Paired", .rows = 130, .columns = 304, .depth = 64, .transposeRhs = true, .epilogue = Epilogue::Pairs},
    {.name = "PairedNN", .rows = 130, .columns = 304, .depth = 72, .epilogue = Epilogue::Pairs},
    {.name = "PairedWholeNN", .rows = 130, .columns = 256, .depth = 72, .epilogue = Epilogue::Pairs},
    {.name = "Gathered", .rows = 150, .columns = 48, .depth = 72, .transposeRhs = true, .gatherDivisor = 2},
    {.name = "RaggedRows", .kind = "ragged_rows", .rows = 330, .columns = 280, .depth = 72,
     .rowsOfExperts = {13, 0, 150, 1, 166}, .transposeRhs = true},
    {.name = "RaggedRowsNN", .kind = "ragged_rows", .rows = 330, .columns = 280, .depth = 72,
     .rowsOfExperts = {0, 0, 329, 1}},
    {.name = "RaggedRowsWholeNN", .kind = "ragged_rows", .rows = 330, .columns = 128, .depth = 64,
     .rowsOfExperts = {64, 0, 128, 138}},
    {.name = "RaggedRowsOneExpert", .kind = "ragged_rows", .rows = 300, .columns = 32, .depth = 16,
     .rowsOfExperts = {0, 300, 0}, .transposeRhs = true},
    {.name = "RaggedRowsOneToken", .kind = "ragged_rows", .rows = 1, .columns = 32, .depth = 16,
     .rowsOfExperts = {0, 0, 1}, .transposeRhs = true},
    {.name = "RaggedRowsMostlyEmpty", .kind = "ragged_rows", .rows = 8, .columns = 32, .depth = 16,
     .rowsOfExperts = {0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, .transposeRhs = true},
    {.name = "RaggedRowsPairedGathered", .kind = "ragged_rows", .rows = 330, .columns = 304, .depth = 136,
     .rowsOfExperts = {130, 0, 50, 1, 149}, .transposeRhs = true, .epilogue = Epilogue::Pairs, .gatherDivisor = 2},
    {.name = "RaggedRowsExtras", .kind = "ragged_rows", .rows = 290, .columns = 72, .depth = 40,
     .rowsOfExperts = {30, 120, 0, 140}, .epilogue = Epilogue::Extras},
    {.name = "Contraction", .kind = "ragged_contraction", .rows = 136, .columns = 264, .depth = 400,
     .rowsOfExperts = {13, 0, 250, 1, 64, 72}},
    {.name = "ContractionWhole", .kind = "ragged_contraction", .rows = 128, .columns = 256, .depth = 400,
     .rowsOfExperts = {13, 0, 250, 1, 64, 72}},
    {.name = "ContractionOneExpert", .kind = "ragged_contraction", .rows = 16, .columns = 32, .depth = 700,
     .rowsOfExperts = {0, 0, 700}},
    {.name = "ContractionExtras", .kind = "ragged_contraction", .rows = 24, .columns = 40, .depth = 140,
     .rowsOfExperts = {105, 35, 0}, .epilogue = Epilogue::Extras},
    {.name = "ContractionGatherLhs", .kind = "ragged_contraction", .rows = 136, .columns = 72, .depth = 400,
     .rowsOfExperts = {13, 0, 250, 1, 64, 72}, .gatherDivisor = 2},
    {.name = "ContractionGatherRhs", .kind = "ragged_contraction", .rows = 136, .columns = 264, .depth = 400,
     .rowsOfExperts = {13, 0, 250, 1, 64, 72}, .gatherDivisor = 4, .gatherRhs = true},
    {.name = "ContractionGatherRhsExtras", .kind = "ragged_contraction", .rows = 136, .columns = 264, .depth = 400,
     .rowsOfExperts = {13, 0, 250, 1, 64, 72}, .epilogue = Epilogue::Extras, .gatherDivisor = 4, .gatherRhs = true},
};
// clang-format on

const Arch kWarpgroupArchs[] = {
    {"cuda:sm_90a",
     "#moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 3, unit = wgmma>", true},
    {"cuda:sm_90a",
     "#moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128, tile_k = 64, stages = 4, unit = wgmma>", true},
};

INSTANTIATE_TEST_SUITE_P(Warpgroups, MatmulTest,
                         testing::Combine(testing::ValuesIn(kWarpgroupCases), testing::ValuesIn(kWarpgroupArchs)),
                         nameOf);

// A stage of a contraction reads beyond the rows of an expert: what lies there must not count, not even times zero.
TEST(MatmulWarpgroups, ContractionsKeepExpertsApart) {
  if (!CompiledKernel::canRun("cuda:sm_90a"))
    GTEST_SKIP() << "this machine has no GPU";
  auto kernel = CompiledKernel::compile(R"mlir(
    moe_kernel.kernel @apart(%a: tensor<220x136xbf16>, %b: tensor<220x72xbf16>, %o: tensor<7xi32>)
        -> tensor<6x136x72xf32> attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128,
                                                                       tile_k = 64, stages = 4, unit = wgmma>} {
      %r = moe_kernel.matmul ragged_contraction (%a, %b) offsets(%o) {result_extents = [#moe_kernel.extent<full>]}
          : (tensor<220x136xbf16>, tensor<220x72xbf16>, tensor<7xi32>) -> tensor<6x136x72xf32> {
        ^bb0(%x: f32):
          moe_kernel.yield %x : f32
      }
      moe_kernel.return %r : tensor<6x136x72xf32>
    })mlir",
                                        "cuda:sm_90a");
  ASSERT_TRUE(kernel);
  const int32_t ends[] = {0, 13, 63, 70, 70, 199, 220};
  auto a = randomBuffer<BFloat16>(220 * 136, 1), b = randomBuffer<BFloat16>(220 * 72, 2);
  std::fill(a.begin() + 13 * 136, a.begin() + 63 * 136, std::numeric_limits<float>::quiet_NaN());
  std::fill(b.begin() + 13 * 72, b.begin() + 63 * 72, std::numeric_limits<float>::quiet_NaN());
  Buffer<int32_t> offsets(std::vector<int32_t>(std::begin(ends), std::end(ends)));
  auto result = poisonedBuffer(6 * 136 * 72);
  kernel->run({a, b, offsets, result});
  for (int64_t i = 0; i < 6 * 136 * 72; ++i)
    ASSERT_EQ(std::isnan(result[i]), i / (136 * 72) == 1) << i;
}

INSTANTIATE_TEST_SUITE_P(Kinds, MatmulTest, testing::Combine(testing::ValuesIn(kCases), testing::ValuesIn(kArchs)),
                         nameOf);

} // namespace

//===- Distribution.cpp - How the inputs of a case are drawn ------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/Distribution.h"

#include "lib/Compiler/Reference/Rounding.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;
using llvm::seq;

using Arguments = ArrayRef<double>;

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

static Tensor normal(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  return draw.normal(shape, arguments.empty() ? 1.0 : arguments[0], arguments.size() < 2 ? 0.0 : arguments[1]);
}
static Tensor uniform(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  return draw.uniform(shape, arguments[0], arguments[1]);
}
static Tensor constant(Draw &, ArrayRef<int64_t> shape, Arguments arguments) {
  Tensor tensor(shape);
  llvm::fill(tensor.values, arguments[0]);
  return tensor;
}
static Tensor steps(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  Tensor tensor = draw.integers(shape, arguments[0]);
  llvm::for_each(tensor.values, [](double &value) { value /= 2.0; });
  return tensor;
}
static Tensor extreme(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  Tensor tensor = draw.normal(shape);
  for (double &value : tensor.values)
    if (draw.index(3) == 0)
      value = std::copysign(arguments[0], value);
  return tensor;
}
static Tensor weights(Draw &draw, ArrayRef<int64_t> shape, Arguments) {
  Tensor tensor = steps(draw, shape, {3.0});
  tensor[0] = 1.0;
  return tensor;
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

static Tensor index(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  return draw.integers(shape, arguments[0]);
}

/// Different experts in each row, drawn in proportion to `weights`.
static Tensor drawExperts(Draw &draw, ArrayRef<int64_t> shape, std::vector<double> weights) {
  Tensor tensor(shape);
  for (int64_t row : seq(tensor.rows())) {
    std::vector<double> left = weights;
    for (double &expert : tensor.row(row)) {
      expert = draw.weighted(left);
      left[expert] = 0.0;
    }
  }
  return tensor;
}
static Tensor experts(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  return drawExperts(draw, shape, std::vector<double>(arguments[0], 1.0));
}
static Tensor without(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  std::vector<double> weights(arguments[0], 1.0);
  weights[arguments[1]] = 0.0;
  return drawExperts(draw, shape, weights);
}
static Tensor skewed(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  std::vector<double> weights;
  for (int64_t expert : seq<int64_t>(1, arguments[0] + 1))
    weights.push_back(1.0 / (expert * expert));
  return drawExperts(draw, shape, weights);
}
static Tensor together(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  Tensor first = experts(draw, {1, shape.back()}, arguments), tensor(shape);
  for (int64_t row : seq(tensor.rows()))
    llvm::copy(first.values, tensor.row(row).begin());
  return tensor;
}

/// `rows` divided in proportion to random numbers and `weights`.
static std::vector<double> divide(Draw &draw, int64_t rows, std::vector<double> weights) {
  for (double &weight : weights)
    weight *= 0.1 + draw.uniform({}, 0.0, 1.0)[0];
  std::vector<double> counts(weights.size());
  for ([[maybe_unused]] int64_t row : seq(rows))
    ++counts[draw.weighted(weights)];
  return counts;
}
static Tensor toOffsets(ArrayRef<int64_t> shape, ArrayRef<double> counts) {
  Tensor tensor(shape);
  for (auto [expert, count] : llvm::enumerate(counts))
    tensor[expert + 1] = tensor[expert] + count;
  return tensor;
}
static Tensor offsets(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  return toOffsets(shape, divide(draw, arguments[0], std::vector<double>(shape[0] - 1, 1.0)));
}
static Tensor offsetsWithout(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  std::vector<double> weights(shape[0] - 1, 1.0);
  weights[arguments[1]] = 0.0;
  return toOffsets(shape, divide(draw, arguments[0], weights));
}
static Tensor offsetsOne(Draw &, ArrayRef<int64_t> shape, Arguments arguments) {
  std::vector<double> counts(shape[0] - 1);
  counts[arguments[1]] = arguments[0];
  return toOffsets(shape, counts);
}
static Tensor load(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  return Tensor(shape, divide(draw, arguments[0], std::vector<double>(shape[0], 1.0)));
}

static Tensor positions(Draw &, ArrayRef<int64_t> shape, Arguments arguments) {
  Tensor tensor(shape);
  for (int64_t token : seq(tensor.size()))
    tensor[token] = token % static_cast<int64_t>(arguments[0]);
  return tensor;
}
static Tensor documents(Draw &draw, ArrayRef<int64_t> shape, Arguments arguments) {
  Tensor tensor(shape);
  for (int64_t token : seq(tensor.size())) {
    bool begins = token % static_cast<int64_t>(arguments[0]) == 0 || draw.index(5) == 0;
    tensor[token] = begins ? 0.0 : tensor[token - 1] + 1.0;
  }
  return tensor;
}
static Tensor at(Draw &, ArrayRef<int64_t> shape, Arguments arguments) {
  Tensor tensor(shape);
  for (int64_t token : seq(tensor.size()))
    tensor[token] = arguments[0] + token % tensor.columns();
  return tensor;
}

//===----------------------------------------------------------------------===//
// All
//===----------------------------------------------------------------------===//

namespace {
struct Entry {
  StringLiteral name;
  unsigned least, most; ///< Arguments.
  Tensor (*draw)(Draw &, ArrayRef<int64_t>, Arguments);
};
} // namespace

static constexpr Entry kDistributions[] = {
    {"normal", 0, 2, normal},
    {"uniform", 2, 2, uniform},
    {"constant", 1, 1, constant},
    {"steps", 1, 1, steps},
    {"extreme", 1, 1, extreme},
    {"weights", 0, 0, weights},
    {"index", 1, 1, index},
    {"experts", 1, 1, experts},
    {"skewed", 1, 1, skewed},
    {"together", 1, 1, together},
    {"without", 2, 2, without},
    {"offsets", 1, 1, offsets},
    {"offsets_without", 2, 2, offsetsWithout},
    {"offsets_one", 2, 2, offsetsOne},
    {"load", 1, 1, load},
    {"positions", 1, 1, positions},
    {"documents", 1, 1, documents},
    {"at", 1, 1, at},
};

FailureOr<Tensor> conformance::drawTensor(StringRef distribution, RankedTensorType type, Draw &draw,
                                          function_ref<InFlightDiagnostic()> emitError) {
  auto [name, list] = distribution.split('(');
  list.consume_back(")");
  SmallVector<StringRef> words;
  list.split(words, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  SmallVector<double> arguments(words.size());
  bool parsed = true;
  for (auto [word, argument] : llvm::zip_equal(words, arguments))
    parsed &= !word.trim().getAsDouble(argument);

  const Entry *entry = llvm::find_if(kDistributions, [&](const Entry &entry) {
    return entry.name == (name.empty() ? "normal" : name) && entry.least <= words.size() && words.size() <= entry.most;
  });
  if (entry == std::end(kDistributions) || !parsed) {
    InFlightDiagnostic error = emitError() << "'" << distribution << "' is no way to draw a tensor; there are: ";
    llvm::interleaveComma(kDistributions, error, [&](const Entry &entry) { error << entry.name; });
    return error;
  }
  Tensor tensor = entry->draw(draw, type.getShape(), arguments);
  if (type.getElementType().isBF16())
    llvm::for_each(tensor.values, [](double &value) { value = reference::roundToBF16(value); });
  else if (type.getElementType().isF32())
    llvm::for_each(tensor.values, [](double &value) { value = reference::roundToFloat32(value); });
  return tensor;
}

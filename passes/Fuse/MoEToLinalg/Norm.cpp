//===- Norm.cpp - RMS norm and its gradients --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/Rows.h"
#include "passes/Fuse/MoEToLinalg/Lowerings.h"

namespace mlir::moe {

namespace {
/// The input of an RMS norm as [T, n], or [T, G, n] if several groups of columns are normalised by themselves.
struct NormRows {
  SmallVector<int64_t> extents;
  SmallVector<unsigned> all, groups; ///< Loops over elements; over rows (and groups).
  unsigned column;                   ///< The loop over the columns of a group.
  Type type;     ///< Of elements.
  Type computed; ///< Of sums and what is formed of them.

  NormRows(Value input, Value weight, RowsBuilder &b)
      : type(getElementTypeOrSelf(input)), computed(b.computeType(type)) {
    int64_t columns = shapeOf(weight)[0], numGroups = shapeOf(input)[1] / columns;
    extents.push_back(shapeOf(input)[0]);
    if (numGroups > 1)
      extents.push_back(numGroups);
    extents.push_back(columns);
    column = extents.size() - 1;
    all = llvm::to_vector(llvm::seq<unsigned>(0, extents.size()));
    groups = llvm::to_vector(ArrayRef(all).drop_back());
  }

  ArrayRef<int64_t> groupExtents() const { return ArrayRef(extents).drop_back(); }
  int64_t columns() const { return extents.back(); }
};
} // namespace

/// 1 / √(mean(x²) + eps), one per row and group.
static Value buildReciprocalRoot(const NormRows &rows, Value input, const APFloat &eps, RowsBuilder &b) {
  Value sum = b.compute(rows.extents, {{input, rows.all}}, {rows.computed, rows.groups},
                        [&](ValueRange v) { return b.add(v[1], b.mul(v[0], v[0])); });
  return b.compute(rows.groupExtents(), {{sum, rows.groups}}, {rows.computed, rows.groups}, [&](ValueRange v) {
    Value mean = b.mul(v[0], b.constant(rows.computed, 1.0 / rows.columns()));
    Value root = b.sqrt(b.add(mean, b.constant(rows.computed, eps.convertToDouble())));
    return b.div(b.constant(rows.computed, 1.0), root);
  });
}

static SmallVector<Value> lowerRMSNorm(RMSNormOp op, RowsBuilder &b) {
  NormRows rows(op.getInput(), op.getWeight(), b);
  Value input = b.reshape(op.getInput(), rows.extents);
  Value reciprocal = buildReciprocalRoot(rows, input, op.getEps(), b);
  Value result =
      b.compute(rows.extents, {{input, rows.all}, {reciprocal, rows.groups}, {op.getWeight(), {rows.column}}},
                {rows.type, rows.all}, [&](ValueRange v) { return b.mul(b.mul(v[0], v[1]), v[2]); });
  return {b.toModelShape(result, shapeOf(op.getInput()))};
}

/// Rows whose sums are added up in one chunk: the largest divisor of `rows` up to 32, or as many as leave 256 chunks,
/// which is enough work items for a GPU and little to add up.
static int64_t rowsPerChunk(int64_t rows) {
  int64_t chunk = 1, most = std::max<int64_t>(32, rows / 256);
  for (int64_t divisor = 2; divisor <= most; ++divisor)
    if (rows % divisor == 0)
      chunk = divisor;
  return chunk;
}

/// Σ over rows (and groups) of gradient · input · reciprocal: chunks of rows in parallel, by the kernel that has their
/// operands at hand, then the chunks in order.
static Value buildWeightGradient(const NormRows &rows, Value input, Value gradient, Value reciprocal, RowsBuilder &b) {
  int64_t tokens = rows.extents[0], chunk = rowsPerChunk(tokens), columns = rows.columns();
  auto splitTokens = [&](Value value) {
    SmallVector<int64_t> shape{tokens / chunk, chunk};
    llvm::append_range(shape, shapeOf(value).drop_front());
    return b.reshape(value, shape);
  };
  SmallVector<int64_t> extents{tokens / chunk, chunk};
  llvm::append_range(extents, ArrayRef(rows.extents).drop_front());
  SmallVector<unsigned> all = llvm::to_vector(llvm::seq<unsigned>(0, extents.size()));
  SmallVector<unsigned> groups = llvm::to_vector(ArrayRef(all).drop_back());

  Value partial = b.compute(
      extents, {{splitTokens(gradient), all}, {splitTokens(input), all}, {splitTokens(reciprocal), groups}},
      {rows.computed, {0, all.back()}}, [&](ValueRange v) { return b.add(v[3], b.mul(v[0], b.mul(v[1], v[2]))); });
  partial.getDefiningOp()->setAttr(moe_kernel::kAccumulatesAttrName, b.getUnitAttr());
  b.setLabel("sum_chunks");
  Value sum = b.compute({1, tokens / chunk, columns}, {{b.reshape(partial, {1, tokens / chunk, columns}), {0, 1, 2}}},
                        {rows.type, {0, 2}}, [&](ValueRange v) { return b.add(v[1], v[0]); });
  return b.toModelShape(sum, {columns});
}

/// With r = 1/√(mean(x²) + eps): dx = r·w·d − x · r³/n · Σ w·d·x.
static SmallVector<Value> lowerRMSNormBackward(RMSNormBackwardOp op, RowsBuilder &b) {
  NormRows rows(op.getInput(), op.getWeight(), b);
  Value input = b.reshape(op.getInput(), rows.extents), gradient = b.reshape(op.getResultGradient(), rows.extents);
  RowsBuilder::Input weight{op.getWeight(), {rows.column}};
  Value reciprocal = buildReciprocalRoot(rows, input, op.getEps(), b);

  Value dot = b.compute(rows.extents, {{gradient, rows.all}, weight, {input, rows.all}}, {rows.computed, rows.groups},
                        [&](ValueRange v) { return b.add(v[3], b.mul(b.mul(v[0], v[1]), v[2])); });
  Value slope = b.compute(rows.groupExtents(), {{reciprocal, rows.groups}, {dot, rows.groups}},
                          {rows.computed, rows.groups}, [&](ValueRange v) {
                            Value cube = b.mul(v[0], b.mul(v[0], v[0]));
                            return b.mul(b.mul(cube, v[1]), b.constant(rows.computed, 1.0 / rows.columns()));
                          });
  Value inputGradient = b.compute(
      rows.extents, {{gradient, rows.all}, weight, {input, rows.all}, {reciprocal, rows.groups}, {slope, rows.groups}},
      {rows.type, rows.all}, [&](ValueRange v) { return b.sub(b.mul(v[3], b.mul(v[0], v[1])), b.mul(v[2], v[4])); });

  Value weightGradient = buildWeightGradient(rows, input, gradient, reciprocal, b);
  return {b.toModelShape(inputGradient, shapeOf(op.getInput())), weightGradient};
}

void populateNormLowerings(RewritePatternSet &patterns) {
  addLowering(patterns, lowerRMSNorm);
  addLowering(patterns, lowerRMSNormBackward);
}

} // namespace mlir::moe

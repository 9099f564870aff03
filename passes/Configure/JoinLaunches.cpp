//===- JoinLaunches.cpp - Several launches as one ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Configure/JoinLaunches.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::moe {

using moe_kernel::KernelOp;
using moe_kernel::LaunchOp;

namespace {

/// A launch in the new kernel. Values are numbered: the arguments, and -1 - n for the n-th result of all launches.
struct Part {
  KernelOp kernel;
  SmallVector<int64_t> operands;
  int64_t firstResult = 0;
  bool operator==(const Part &other) const { return kernel == other.kernel && operands == other.operands; }
};

/// What the new kernel is made of.
class Composition {
public:
  explicit Composition(LaunchJoiner &joiner) : joiner(joiner) {}

  void add(LaunchOp launch);
  /// Returns the `value` of the function.
  void addReturned(Value value) { returned.push_back(numbers.at(value)); }
  std::string getKey() const;
  std::string getName() const;
  KernelOp create(OpBuilder &builder, Location location) const;
  ArrayRef<Value> getArguments() const { return arguments.getArrayRef(); }

private:
  int64_t addArgument(Value value);
  int64_t addPart(KernelOp kernel, ArrayRef<int64_t> operands);
  bool isReadInside(const Part &part) const;

  LaunchJoiner &joiner;
  llvm::SetVector<Value> arguments;
  SmallVector<Part> parts;
  SmallVector<int64_t> returned;
  DenseMap<Value, int64_t> numbers; ///< Of values of the function.
  int64_t numResults = 0;
};

} // namespace

int64_t Composition::addArgument(Value value) {
  auto [known, isNew] = numbers.try_emplace(value, arguments.size());
  if (isNew)
    arguments.insert(value);
  return known->second;
}

/// The number of the first result. What is launched on the same values twice has to be launched once.
int64_t Composition::addPart(KernelOp kernel, ArrayRef<int64_t> operands) {
  Part part{kernel, SmallVector<int64_t>(operands), -1 - numResults};
  if (auto known = llvm::find(parts, part); known != parts.end())
    return known->firstResult;
  parts.push_back(part);
  numResults += kernel.getNumResults();
  return part.firstResult;
}

void Composition::add(LaunchOp launch) {
  KernelOp kernel = joiner.lookup(launch);
  SmallVector<int64_t> operands =
      llvm::map_to_vector(launch.getInputs(), [&](Value input) { return addArgument(input); });
  SmallVector<int64_t> results;
  if (!kernel.holdsLaunches()) {
    int64_t first = addPart(kernel, operands);
    for (unsigned i = 0; i < launch.getNumResults(); ++i)
      results.push_back(first - i);
  } else {
    DenseMap<Value, int64_t> inner;
    for (auto [argument, number] : llvm::zip_equal(kernel.getArguments(), operands))
      inner[argument] = number;
    for (auto part : kernel.getBody().getOps<LaunchOp>()) {
      int64_t first =
          addPart(joiner.lookup(part), llvm::map_to_vector(part.getInputs(), [&](Value v) { return inner.at(v); }));
      for (auto [i, result] : llvm::enumerate(part.getResults()))
        inner[result] = first - i;
    }
    for (Value value : kernel.getBody().front().getTerminator()->getOperands())
      results.push_back(inner.at(value));
  }
  for (auto [result, number] : llvm::zip_equal(launch.getResults(), results))
    numbers[result] = number;
}

bool Composition::isReadInside(const Part &part) const {
  auto isResult = [&](int64_t number) {
    return number <= part.firstResult && number > part.firstResult - int64_t(KernelOp(part.kernel).getNumResults());
  };
  return llvm::any_of(parts, [&](const Part &other) { return llvm::any_of(other.operands, isResult); });
}

std::string Composition::getKey() const {
  std::string key;
  llvm::raw_string_ostream out(key);
  for (const Part &part : parts) {
    out << KernelOp(part.kernel).getSymName() << "(";
    llvm::interleaveComma(part.operands, out);
    out << ")";
  }
  llvm::interleaveComma(returned, out);
  return key;
}

std::string Composition::getName() const {
  std::string name;
  for (const Part &part : parts)
    name += KernelOp(part.kernel).getSymName().str() + (&part == &parts.back() ? ""
                                                        : isReadInside(part)   ? "_to_"
                                                                               : "_and_");
  return name;
}

KernelOp Composition::create(OpBuilder &builder, Location location) const {
  TypeRange types = ValueRange(getArguments()).getTypes();
  auto kernel = KernelOp::create(builder, location, getName(), builder.getFunctionType(types, {}),
                                 /*arg_attrs=*/ArrayAttr(), /*res_attrs=*/ArrayAttr(), /*config=*/Attribute());
  Block &body = kernel.getBody().emplaceBlock();
  body.addArguments(types, SmallVector<Location>(types.size(), location));
  builder.setInsertionPointToStart(&body);
  SmallVector<Value> results;
  SmallVector<std::pair<int64_t, Value>> tied;
  auto getValue = [&](int64_t number) -> Value {
    return number >= 0 ? body.getArgument(number) : results[-1 - number];
  };
  for (const Part &part : parts) {
    auto launched = KernelOp(part.kernel);
    auto inner = LaunchOp::create(builder, location, launched.getResultTypes(), launched.getSymName(),
                                  llvm::map_to_vector(part.operands, getValue), /*label=*/StringAttr());
    for (auto [operand, number] : llvm::enumerate(part.operands))
      if (std::optional<unsigned> result = launched.getTiedResult(operand))
        tied.emplace_back(number, inner.getResult(*result));
    llvm::append_range(results, inner.getResults());
  }
  SmallVector<Value> values = llvm::map_to_vector(returned, getValue);
  moe_kernel::ReturnOp::create(builder, location, values);
  kernel.setFunctionType(builder.getFunctionType(types, ValueRange(values).getTypes()));
  for (auto [argument, result] : tied)
    kernel.setArgAttr(argument, moe_kernel::kTiedAttrName,
                      builder.getI64IntegerAttr(llvm::find(values, result) - values.begin()));
  return kernel;
}

SmallVector<Value> LaunchJoiner::getWorkedOnInPlace(LaunchOp launch) {
  KernelOp kernel = lookup(launch);
  SmallVector<Value> values;
  for (auto [operand, input] : llvm::enumerate(launch.getInputs()))
    if (kernel.getTiedResult(operand))
      values.push_back(input);
  return values;
}

LaunchOp LaunchJoiner::join(ArrayRef<LaunchOp> launches, function_ref<bool(Value)> isReturned,
                            DenseMap<Value, Value> &replacements) {
  Composition composition(*this);
  for (LaunchOp launch : launches)
    composition.add(launch);
  SmallVector<Value> returned;
  for (LaunchOp launch : launches)
    for (Value result : launch->getResults())
      if (isReturned(result)) {
        composition.addReturned(result);
        returned.push_back(result);
      }
  LaunchOp first = launches.front(), last = launches.back();
  KernelOp &kernel = kernels[composition.getKey()];
  if (!kernel) {
    OpBuilder builder(module.getContext());
    kernel = composition.create(builder, first.getLoc());
    symbols.insert(kernel);
  }
  // Labels name a place in the model: the first one's, if they differ.
  OpBuilder builder(last);
  auto joined = LaunchOp::create(builder, first.getLoc(), kernel.getResultTypes(), kernel.getSymName(),
                                 composition.getArguments(), first.getLabelAttr());
  for (auto [value, result] : llvm::zip_equal(returned, joined.getResults()))
    replacements[value] = result;
  return joined;
}

DenseMap<Operation *, unsigned> findLaunchDepths(Block &block) {
  DenseMap<Operation *, unsigned> depths;
  for (Operation &op : block) {
    unsigned depth = 0;
    for (Value operand : op.getOperands())
      if (Operation *producer = operand.getDefiningOp())
        depth = std::max(depth, depths.lookup(producer) + isa<LaunchOp, func::CallOp>(producer));
    depths[&op] = depth;
  }
  return depths;
}

} // namespace mlir::moe

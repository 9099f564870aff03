//===- Flatten.cpp - Inline an entry point into one list of launches -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "passes/Schedule/Program.h"

namespace mlir::moe {

/// Bytes of a tensor without padding.
static uint64_t sizeInBytes(Type type) {
  auto tensor = cast<ShapedType>(type);
  return tensor.getNumElements() * ((tensor.getElementTypeBitWidth() + 7) / 8);
}

namespace {
/// Walks an entry function and, at each call, the callee, with the caller's values bound to its arguments.
class Flattener {
public:
  explicit Flattener(func::FuncOp entry) { program.entry = entry; }

  FailureOr<Program> run() {
    DenseMap<Value, int> values;
    for (BlockArgument argument : program.entry.getArguments()) {
      program.storages.push_back(
          {moe_exec::Space::input, {}, argument.getArgNumber(), sizeInBytes(argument.getType())});
      values[argument] = addValue(argument.getType(), /*definition=*/-1, program.storages.size() - 1);
    }
    FailureOr<SmallVector<int>> outputs = visit(program.entry, values, "");
    if (failed(outputs))
      return failure();
    program.outputs = *outputs;
    return std::move(program);
  }

private:
  int addValue(Type type, int64_t definition, int storage) {
    program.values.push_back({sizeInBytes(type), definition, /*lastUse=*/-1, storage});
    return program.values.size() - 1;
  }

  /// Appends the body of `function`; returns the values it returns.
  FailureOr<SmallVector<int>> visit(func::FuncOp function, DenseMap<Value, int> &values, StringRef label) {
    auto lookup = [&](ValueRange range) {
      return llvm::map_to_vector(range, [&](Value value) { return values.at(value); });
    };
    for (Operation &op : function.getBody().front()) {
      if (auto launch = dyn_cast<moe_kernel::LaunchOp>(op)) {
        if (failed(addLaunch(launch, lookup(launch.getInputs()), values, label)))
          return failure();
      } else if (auto call = dyn_cast<func::CallOp>(op)) {
        auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
        std::string inner = label.str();
        if (auto layer = call->getAttrOfType<IntegerAttr>("moe.layer"))
          inner = "layers." + std::to_string(layer.getInt());
        DenseMap<Value, int> bound;
        for (auto [argument, operand] : llvm::zip_equal(callee.getArguments(), call.getOperands()))
          bound[argument] = values.at(operand);
        FailureOr<SmallVector<int>> results = visit(callee, bound, inner);
        if (failed(results))
          return failure();
        for (auto [result, value] : llvm::zip_equal(call.getResults(), *results))
          values[result] = value;
      } else if (auto read = dyn_cast<ReadOp>(op)) {
        values[read.getValue()] = variableValue(read.getVariableAttr(), read.getValue().getType());
      } else if (auto write = dyn_cast<WriteOp>(op)) {
        variableValue(write.getVariableAttr(), write.getValue().getType());
        program.writes.emplace_back(values.at(write.getValue()), write.getVariableAttr());
      } else if (auto slice = dyn_cast<moe_kernel::SliceOp>(op)) {
        values[slice.getResult()] = addSlice(slice, values.at(slice.getSource()));
      } else if (auto concat = dyn_cast<moe_kernel::ConcatOp>(op)) {
        if (failed(addConcat(concat, lookup(concat.getInputs()), values)))
          return failure();
      } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
        if (failed(addConstant(constant, values)))
          return failure();
      } else if (isa<func::ReturnOp>(op)) {
        return lookup(op.getOperands());
      } else {
        return op.emitOpError("cannot be scheduled: only launches, calls and variables are left after the stage fuse");
      }
    }
    return function.emitOpError("has no return");
  }

  LogicalResult addLaunch(moe_kernel::LaunchOp launch, ArrayRef<int> inputs, DenseMap<Value, int> &values,
                          StringRef label) {
    auto kernel = symbols.lookupNearestSymbolFrom<moe_kernel::KernelOp>(launch, launch.getKernelAttr());
    if (!kernel)
      return launch.emitOpError() << "launches " << launch.getKernelAttr() << ", which is not a moe_kernel.kernel";
    std::string place = label.str();
    if (std::optional<StringRef> own = launch.getLabel())
      place = place.empty() ? own->str() : place + "/" + own->str();
    int64_t index = program.launches.size();
    ProgramLaunch flat{kernel, launch.getLoc(), place, SmallVector<int>(inputs), {}};
    for (int input : inputs)
      program.addUse(input, index);
    for (Value result : launch.getResults()) {
      flat.outputs.push_back(addValue(result.getType(), index, /*storage=*/-1));
      values[result] = flat.outputs.back();
    }
    program.launches.push_back(std::move(flat));
    return success();
  }

  int addSlice(moe_kernel::SliceOp slice, int whole) {
    int part = addValue(slice.getType(), program.values[whole].definition, /*storage=*/-1);
    Type elementType = slice.getType().getElementType();
    program.values[part].whole = whole;
    program.values[part].offset = slice.getOffset() * elementType.getIntOrFloatBitWidth() / 8;
    return part;
  }

  /// Makes what has been computed for the operands parts of the result.
  LogicalResult addConcat(moe_kernel::ConcatOp concat, ArrayRef<int> parts, DenseMap<Value, int> &values) {
    int whole = addValue(concat.getType(), /*definition=*/program.launches.size(), /*storage=*/-1);
    uint64_t offset = 0;
    for (auto [index, number] : llvm::enumerate(parts)) {
      ProgramValue &part = program.values[number];
      if (part.definition < 0 || part.whole >= 0)
        return concat.emitOpError() << "operand " << index
                                    << " is not the result of a launch, or is part of another tensor already: it "
                                       "cannot be computed in its place";
      part.whole = whole;
      part.offset = offset;
      offset += part.size;
      program.values[whole].definition = std::min(program.values[whole].definition, part.definition);
      program.addUse(whole, part.lastUse);
    }
    values[concat.getResult()] = whole;
    return success();
  }

  int variableValue(FlatSymbolRefAttr variable, Type type) {
    auto [entry, inserted] = program.variables.try_emplace(variable.getValue(), -1);
    if (inserted) {
      program.storages.push_back({moe_exec::Space::variable, variable, 0, sizeInBytes(type)});
      entry->second = addValue(type, /*definition=*/-1, program.storages.size() - 1);
    }
    return entry->second;
  }

  LogicalResult addConstant(arith::ConstantOp constant, DenseMap<Value, int> &values) {
    auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
    std::optional<uint8_t> byte;
    if (elements && elements.isSplat()) {
      ArrayRef<char> raw = elements.getRawData();
      if (llvm::all_equal(raw))
        byte = raw.front();
    }
    if (!byte)
      return constant.emitOpError("outside a kernel must be one byte repeated, such as zeros");
    program.storages.push_back({moe_exec::Space::workspace, {}, 0, sizeInBytes(constant.getType())});
    program.fills.push_back({int(program.storages.size() - 1), *byte});
    values[constant.getResult()] = addValue(constant.getType(), -1, program.storages.size() - 1);
    return success();
  }

  Program program;
  SymbolTableCollection symbols;
};
} // namespace

FailureOr<Program> flatten(func::FuncOp entry) { return Flattener(entry).run(); }

} // namespace mlir::moe

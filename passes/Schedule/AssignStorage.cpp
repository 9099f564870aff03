//===- AssignStorage.cpp - Where the values of a program live ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Schedule/Program.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {

namespace {
/// A value may be wanted in a variable (it is written there) or in an output. It is computed there directly if nobody
/// needs what was there before; else it is computed in the workspace and copied at the end.
class StorageAssigner {
public:
  explicit StorageAssigner(Program &program) : program(program) {}

  LogicalResult run() {
    for (auto [value, variable] : program.writes)
      if (!wanted.try_emplace(value, program.values[program.variables.lookup(variable.getValue())].storage).second)
        atEnd.push_back({value, storageOf(variable)});
    for (auto [index, value] : llvm::enumerate(program.outputs)) {
      program.storages.push_back({moe_exec::Space::output, {}, uint32_t(index), program.values[value].size});
      int storage = program.storages.size() - 1;
      if (!wanted.try_emplace(value, storage).second)
        atEnd.push_back({value, storage});
    }
    for (auto [value, storage] : wanted)
      passedOn.insert(program.getWhole(value));
    for (size_t index = 0; index < program.launches.size(); ++index)
      assign(index);
    // What was not computed where it is wanted (inputs and variables that are passed on, parts, hazards).
    for (auto [value, storage] : wanted)
      if (program.getPlace(value) != program.getPlaceOf(storage))
        atEnd.push_back({value, storage});
    return copyAtEnd();
  }

private:
  int storageOf(FlatSymbolRefAttr variable) {
    return program.values[program.variables.lookup(variable.getValue())].storage;
  }

  /// The operand whose memory result `result` of the launch shares, if any.
  static std::optional<unsigned> tiedOperand(ProgramLaunch &launch, unsigned result) {
    for (unsigned operand = 0; operand < launch.inputs.size(); ++operand)
      if (launch.kernel.getTiedResult(operand) == result)
        return operand;
    return std::nullopt;
  }

  /// Whether launch `index` may write its result into `storage`, which still holds `before` (−1: nothing).
  /// `inPlace`: the launch reads it as the operand tied to the result.
  bool isFree(int storage, size_t index, bool inPlace) {
    if (program.storages[storage].space != moe_exec::Space::variable)
      return true;
    int before = program.variables.lookup(program.storages[storage].variable.getValue());
    if (passedOn.contains(before))
      return false;
    int64_t last = program.values[before].lastUse;
    if (last != int64_t(index))
      return last < int64_t(index);
    return inPlace && countReads(index, before) == 1;
  }

  /// How many operands of launch `index` are `value` or parts of it.
  int64_t countReads(size_t index, int value) {
    return llvm::count_if(program.launches[index].inputs, [&](int input) { return program.getWhole(input) == value; });
  }

  void assign(size_t index) {
    ProgramLaunch &launch = program.launches[index];
    for (auto [result, value] : llvm::enumerate(launch.outputs)) {
      std::optional<unsigned> tied = tiedOperand(launch, result);
      int operand = tied ? launch.inputs[*tied] : -1;
      int &storage = program.values[program.getWhole(value)].storage;
      if (storage == -1) // The first part of a concatenation finds a place for all of it.
        storage = chooseStorage(program.getWhole(value), index, program.getWhole(value) == value ? operand : -1);
      // An operand that lives on, or lives elsewhere, is copied to where the kernel works in place.
      if (tied && program.getPlace(value) != program.getPlace(operand)) {
        program.copies.push_back({index, program.getPlace(operand), program.getPlace(value)});
        launch.inputs[*tied] = value;
      }
    }
  }

  /// A storage for `value`, to which launch `index` is the first to write, in place of `operand` if it is not −1.
  int chooseStorage(int value, size_t index, int operand) {
    int operandStorage = operand == -1 ? -1 : program.getPlace(operand).storage;
    auto want = wanted.find(value);
    if (want != wanted.end() && isFree(want->second, index, operandStorage == want->second))
      return want->second;
    if (operand != -1 && isDeadAfter(operand, index))
      return operandStorage;
    program.storages.push_back({moe_exec::Space::workspace, {}, 0, program.values[value].size});
    return program.storages.size() - 1;
  }

  /// Whether the memory of a value of the workspace can be taken over by launch `index`.
  bool isDeadAfter(int value, size_t index) {
    return program.values[value].whole == -1 &&
           program.storages[program.values[value].storage].space == moe_exec::Space::workspace &&
           program.values[value].lastUse <= int64_t(index) && !passedOn.contains(value) &&
           countReads(index, value) == 1;
  }

  /// Copies at the end must not overwrite a variable that a later one still reads.
  LogicalResult copyAtEnd() {
    for (auto [value, destination] : atEnd) {
      ProgramPlace source = program.getPlace(value);
      for (auto [other, written] : atEnd)
        if (other != value && source.storage == written)
          return program.entry.emitOpError("exchanges the values of variables, which is not supported");
      program.copies.push_back({program.launches.size(), source, program.getPlaceOf(destination)});
      program.addUse(value, program.launches.size());
    }
    return success();
  }

  Program &program;
  llvm::MapVector<int, int> wanted; ///< Value → storage where it is to end up.
  llvm::DenseSet<int> passedOn;     ///< Values that are wanted, or whose parts are: they are needed at the end.
  SmallVector<std::pair<int, int>> atEnd; ///< (value, storage) to copy after the last launch.
};
} // namespace

LogicalResult assignStorage(Program &program) { return StorageAssigner(program).run(); }

} // namespace mlir::moe

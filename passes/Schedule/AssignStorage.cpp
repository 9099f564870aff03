//===- AssignStorage.cpp - Where the values of a program live ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Schedule/Program.h"

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
    for (size_t index = 0; index < program.launches.size(); ++index)
      assign(index);
    // What was not computed where it is wanted (inputs and variables that are passed on, hazards).
    for (auto [value, storage] : wanted)
      if (program.values[value].storage != storage)
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
    if (isPassedOn(before))
      return false;
    int64_t last = program.values[before].lastUse;
    if (last != int64_t(index))
      return last < int64_t(index);
    const ProgramLaunch &launch = program.launches[index];
    return inPlace && llvm::count(launch.inputs, before) == 1;
  }

  /// Whether the old value of a variable is an output or is written to another variable: it is needed at the end.
  bool isPassedOn(int value) { return wanted.contains(value); }

  void assign(size_t index) {
    ProgramLaunch &launch = program.launches[index];
    for (auto [result, value] : llvm::enumerate(launch.outputs)) {
      std::optional<unsigned> tied = tiedOperand(launch, result);
      int operand = tied ? launch.inputs[*tied] : -1;
      int operandStorage = tied ? program.values[operand].storage : -1;
      auto want = wanted.find(value);
      bool direct = want != wanted.end() && isFree(want->second, index, tied && operandStorage == want->second);
      int storage = direct ? want->second : -1;
      if (tied && storage == -1 && isDeadAfter(operand, index))
        storage = operandStorage;
      if (storage == -1) {
        program.storages.push_back({moe_exec::Space::workspace, {}, 0, program.values[value].size});
        storage = program.storages.size() - 1;
      }
      program.values[value].storage = storage;
      // An operand that lives on, or lives elsewhere, is copied to where the kernel works in place.
      if (tied && storage != operandStorage) {
        program.copies.push_back({index, operandStorage, storage});
        launch.inputs[*tied] = value;
      }
    }
  }

  /// Whether the memory of a value of the workspace can be taken over by launch `index`.
  bool isDeadAfter(int value, size_t index) {
    return program.storages[program.values[value].storage].space == moe_exec::Space::workspace &&
           program.values[value].lastUse <= int64_t(index) && !wanted.contains(value) &&
           llvm::count(program.launches[index].inputs, value) == 1;
  }

  /// Copies at the end must not overwrite a variable that a later one still reads.
  LogicalResult copyAtEnd() {
    for (auto [value, destination] : atEnd) {
      for (auto [other, written] : atEnd)
        if (other != value && program.values[value].storage == written)
          return program.entry.emitOpError("exchanges the values of variables, which is not supported");
      program.copies.push_back({program.launches.size(), program.values[value].storage, destination});
      program.values[value].lastUse = program.launches.size();
    }
    return success();
  }

  Program &program;
  llvm::MapVector<int, int> wanted; ///< Value → storage where it is to end up.
  SmallVector<std::pair<int, int>> atEnd; ///< (value, storage) to copy after the last launch.
};
} // namespace

LogicalResult assignStorage(Program &program) { return StorageAssigner(program).run(); }

} // namespace mlir::moe

//===- Program.h - An entry point as a flat list, before memory is planned -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Data flow of the stage `schedule`:
///
///   func.func with calls ──flatten──▶ Program: launches on values
///                        ──assignStorage──▶ each value has a storage: a variable, a port or a part of the workspace
///                        ──planMemory──▶ workspace offsets ──▶ moe_exec.program
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_SCHEDULE_PROGRAM_H
#define PASSES_SCHEDULE_PROGRAM_H

#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::moe {

/// A tensor value of the flat program. It may be a part of another one (a slice, or what a concatenation is made of):
/// then it has no storage of its own, and what is done with it is done with the whole.
struct ProgramValue {
  uint64_t size = 0;       ///< Bytes.
  int64_t definition = -1; ///< The first launch that writes to it; −1 for variables, inputs and constants.
  int64_t lastUse = -1;    ///< The last launch that reads it or a part of it.
  int storage = -1;        ///< Index into Program::storages; −1 for a part.
  int whole = -1;          ///< The value that it is a part of.
  uint64_t offset = 0;     ///< Bytes from the start of the whole.
};

/// Memory that holds one or several values in turn.
struct ProgramStorage {
  moe_exec::Space space = moe_exec::Space::workspace;
  FlatSymbolRefAttr variable; ///< For Space::variable.
  uint32_t index = 0;         ///< For inputs and outputs.
  uint64_t size = 0;
};

struct ProgramLaunch {
  moe_kernel::KernelOp kernel;
  Location location;
  std::string label;
  SmallVector<int> inputs, outputs; ///< Values.
};

/// Bytes of a storage.
struct ProgramPlace {
  int storage;
  uint64_t offset, size;
  friend bool operator==(const ProgramPlace &, const ProgramPlace &) = default;
};

/// Copies before launch `before` (launches.size(): at the end).
struct ProgramCopy {
  size_t before;
  ProgramPlace source, destination;
};

struct ProgramFill {
  int storage;
  uint8_t value;
};

struct Program {
  func::FuncOp entry;
  std::vector<ProgramValue> values;
  std::vector<ProgramStorage> storages;
  std::vector<ProgramLaunch> launches;
  std::vector<ProgramFill> fills; ///< At the start.
  std::vector<ProgramCopy> copies; ///< In the order of `before`.
  SmallVector<std::pair<int, FlatSymbolRefAttr>> writes; ///< Values that variables get.
  SmallVector<int> outputs;                              ///< One value per output.
  llvm::StringMap<int> variables; ///< The value of a variable at the start, by name.

  /// The value that `value` is part of, parts of parts included; `value` itself if it is none.
  int getWhole(int value) const {
    while (values[value].whole >= 0)
      value = values[value].whole;
    return value;
  }
  /// Where `value` lies; its whole has a storage.
  ProgramPlace getPlace(int value) const {
    ProgramPlace place{-1, 0, values[value].size};
    for (; value >= 0; value = values[value].whole) {
      place.storage = values[value].storage;
      place.offset += values[value].offset;
    }
    return place;
  }
  /// All of `storage`.
  ProgramPlace getPlaceOf(int storage) const { return {storage, 0, storages[storage].size}; }
  /// Records that instruction `index` reads `value`.
  void addUse(int value, int64_t index) {
    for (; value >= 0; value = values[value].whole)
      values[value].lastUse = std::max(values[value].lastUse, index);
  }
};

/// Inlines the calls of `entry` into one list of launches.
FailureOr<Program> flatten(func::FuncOp entry);

/// Gives every value a storage, in place where kernels and variables allow it, and adds the copies that are left.
LogicalResult assignStorage(Program &program);

} // namespace mlir::moe

#endif // PASSES_SCHEDULE_PROGRAM_H

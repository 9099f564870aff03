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

/// A tensor value of the flat program.
struct ProgramValue {
  uint64_t size = 0;      ///< Bytes.
  int64_t definition = -1; ///< The launch that computes it; −1 for variables, inputs and constants.
  int64_t lastUse = -1;    ///< The last launch that reads it.
  int storage = -1;        ///< Index into Program::storages.
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

/// Copies between storages around launch `before` (launches.size(): at the end).
struct ProgramCopy {
  size_t before;
  int source, destination; ///< Storages.
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
};

/// Inlines the calls of `entry` into one list of launches.
FailureOr<Program> flatten(func::FuncOp entry);

/// Gives every value a storage, in place where kernels and variables allow it, and adds the copies that are left.
LogicalResult assignStorage(Program &program);

} // namespace mlir::moe

#endif // PASSES_SCHEDULE_PROGRAM_H

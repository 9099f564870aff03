//===- Schedule.cpp - Order launches, plan memory, write programs -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Schedule/MemoryPlan.h"
#include "passes/Schedule/Passes.h"
#include "passes/Schedule/Program.h"

namespace mlir::moe {
#define GEN_PASS_DEF_SCHEDULEPASS
#include "passes/Schedule/Passes.h.inc"

namespace {

/// The offset of each workspace storage of `program` (0 for the others), and the size of the workspace.
struct Workspace {
  std::vector<uint64_t> offsets;
  uint64_t bytes = 0;
};

Workspace planWorkspace(const Program &program) {
  std::vector<BufferLifetime> lifetimes(program.storages.size());
  std::vector<bool> used(program.storages.size());
  for (const ProgramValue &value : program.values) {
    if (value.whole >= 0) // Its whole lives as long.
      continue;
    BufferLifetime &lifetime = lifetimes[value.storage];
    int64_t last = std::max(value.definition, value.lastUse);
    lifetime.first = used[value.storage] ? std::min(lifetime.first, value.definition) : value.definition;
    lifetime.last = used[value.storage] ? std::max(lifetime.last, last) : last;
    lifetime.size = program.storages[value.storage].size;
    used[value.storage] = true;
  }

  std::vector<BufferLifetime> planned;
  std::vector<size_t> storageOf;
  for (size_t storage = 0; storage < program.storages.size(); ++storage)
    if (used[storage] && program.storages[storage].space == moe_exec::Space::workspace) {
      planned.push_back(lifetimes[storage]);
      storageOf.push_back(storage);
    }
  Workspace workspace{std::vector<uint64_t>(program.storages.size()), planMemory(planned)};
  for (auto [lifetime, storage] : llvm::zip_equal(planned, storageOf))
    workspace.offsets[storage] = lifetime.offset;
  return workspace;
}

/// Writes `program` as a moe_exec.program in front of its entry function.
class ProgramWriter {
public:
  ProgramWriter(const Program &program, OpBuilder &builder)
      : program(program), builder(builder), workspace(planWorkspace(program)) {}

  LogicalResult write() {
    SmallVector<Attribute> names[2], types[2];
    func::FuncOp entry = program.entry;
    for (unsigned i = 0; i < entry.getNumArguments(); ++i)
      if (failed(addPort(entry.getArgAttrOfType<StringAttr>(i, "moe.name"), "argument", i, entry.getArgumentTypes()[i],
                         names[0], types[0])))
        return failure();
    for (unsigned i = 0; i < entry.getNumResults(); ++i)
      if (failed(addPort(entry.getResultAttrOfType<StringAttr>(i, "moe.name"), "result", i, entry.getResultTypes()[i],
                         names[1], types[1])))
        return failure();

    auto op = moe_exec::ProgramOp::create(builder, entry.getLoc(), entry.getSymName(), workspace.bytes,
                                          builder.getArrayAttr(names[0]), builder.getArrayAttr(types[0]),
                                          builder.getArrayAttr(names[1]), builder.getArrayAttr(types[1]));
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&op.getBody());
    for (const ProgramFill &fill : program.fills)
      moe_exec::FillOp::create(builder, entry.getLoc(), builder.getI8IntegerAttr(fill.value),
                               buffer(program.getPlaceOf(fill.storage)), /*label=*/nullptr);
    auto copy = program.copies.begin();
    for (size_t index = 0; index <= program.launches.size(); ++index) {
      for (; copy != program.copies.end() && copy->before == index; ++copy)
        moe_exec::CopyOp::create(builder, entry.getLoc(), buffer(copy->source), buffer(copy->destination),
                                 /*label=*/nullptr);
      if (index < program.launches.size())
        writeLaunch(program.launches[index]);
    }
    return success();
  }

private:
  LogicalResult addPort(StringAttr name, StringRef what, unsigned index, Type type, SmallVectorImpl<Attribute> &names,
                        SmallVectorImpl<Attribute> &types) {
    if (!name)
      return program.entry->emitOpError() << "needs 'moe.name' on " << what << " " << index << " of an entry point";
    names.push_back(name);
    types.push_back(TypeAttr::get(type));
    return success();
  }

  moe_exec::BufferAttr buffer(ProgramPlace place) {
    const ProgramStorage &memory = program.storages[place.storage];
    return moe_exec::BufferAttr::get(builder.getContext(), memory.space, memory.variable, memory.index,
                                     workspace.offsets[place.storage] + place.offset, place.size);
  }

  ArrayAttr buffers(ArrayRef<int> values) {
    return builder.getArrayAttr(
        llvm::map_to_vector(values, [&](int value) -> Attribute { return buffer(program.getPlace(value)); }));
  }

  void writeLaunch(const ProgramLaunch &launch) {
    moe_kernel::KernelOp kernel = launch.kernel;
    moe_exec::LaunchOp::create(builder, launch.location, FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
                               buffers(launch.inputs), buffers(launch.outputs),
                               launch.label.empty() ? StringAttr() : builder.getStringAttr(launch.label));
  }

  const Program &program;
  OpBuilder &builder;
  Workspace workspace;
};

struct SchedulePass : impl::SchedulePassBase<SchedulePass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    OpBuilder builder(module.getContext());
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
      if (!function->hasAttr("moe.entry"))
        continue;
      FailureOr<Program> program = flatten(function);
      builder.setInsertionPoint(function);
      if (failed(program) || failed(assignStorage(*program)) || failed(ProgramWriter(*program, builder).write()))
        return signalPassFailure();
      function.erase();
    }
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      function.erase();
    eraseUnusedKernels(module);
  }

  void eraseUnusedKernels(ModuleOp module) {
    llvm::DenseSet<StringAttr> used;
    module.walk([&](moe_exec::LaunchOp launch) { used.insert(launch.getKernelAttr().getAttr()); });
    for (auto kernel : module.getOps<moe_kernel::KernelOp>())
      if (used.contains(kernel.getSymNameAttr()))
        for (auto launch : kernel.getBody().getOps<moe_kernel::LaunchOp>())
          used.insert(launch.getKernelAttr().getAttr());
    for (auto kernel : llvm::make_early_inc_range(module.getOps<moe_kernel::KernelOp>()))
      if (!used.contains(kernel.getSymNameAttr()))
        kernel.erase();
  }
};

} // namespace
} // namespace mlir::moe

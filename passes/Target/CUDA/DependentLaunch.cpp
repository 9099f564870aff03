//===- DependentLaunch.cpp - Kernels launched before the last ended --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/DependentLaunch.h"

#include "dialects/MoEExec/IR/MoEExecOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::moe::cuda {

/// Whether all memory that `op` itself touches is shared memory, of its block alone.
static bool touchesSharedMemoryOnly(Operation *op) {
  auto isShared = [](Value value) {
    if (auto type = dyn_cast<MemRefType>(value.getType()))
      return gpu::GPUDialect::hasWorkgroupMemoryAddressSpace(type);
    auto type = dyn_cast<LLVM::LLVMPointerType>(value.getType());
    return type && type.getAddressSpace() == static_cast<unsigned>(NVVM::NVVMMemorySpace::Shared);
  };
  auto effects = dyn_cast<MemoryEffectOpInterface>(op);
  if (!effects)
    return false;
  SmallVector<MemoryEffects::EffectInstance> instances;
  effects.getEffects(instances);
  return llvm::all_of(instances,
                      [&](const auto &effect) { return effect.getValue() && isShared(effect.getValue()); });
}

/// Whether `op`, with all that is nested in it, leaves global memory alone. What is not known does not.
static bool leavesGlobalMemoryAlone(Operation *op) {
  return !op->walk([](Operation *nested) {
              bool isKnown = isMemoryEffectFree(nested) || nested->hasTrait<OpTrait::HasRecursiveMemoryEffects>() ||
                             isa<gpu::BarrierOp, NVVM::VoteSyncOp, NVVM::MBarrierInitOp, NVVM::FenceMbarrierInitOp,
                                 NVVM::FenceProxyOp, NVVM::ClusterArriveRelaxedOp, NVVM::PrefetchOp>(nested) ||
                             touchesSharedMemoryOnly(nested);
              return isKnown ? WalkResult::advance() : WalkResult::interrupt();
            }).wasInterrupted();
}

/// As text rather than by NVVM::GriddepcontrolOp: LLVM believes that its intrinsics touch no memory, and would be free to
/// move loads across them.
static void emitInstruction(ImplicitLocOpBuilder &builder, StringRef text) {
  LLVM::InlineAsmOp::create(builder, TypeRange(), ValueRange(), text, "~{memory}", /*has_side_effects=*/true,
                            /*is_align_stack=*/false, LLVM::TailCallKind::None,
                            LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT),
                            /*operand_attrs=*/ArrayAttr());
}

static constexpr llvm::StringLiteral kWait = "griddepcontrol.wait;";

static void emitInstructions(ImplicitLocOpBuilder &builder) {
  emitInstruction(builder, kWait);
  emitInstruction(builder, "griddepcontrol.launch_dependents;");
}

void waitForPreviousKernel(EmitterContext &context, ArrayRef<Value> early) {
  assert(!context.waits && "a kernel waits once");
  context.waits = true;
  for (Value operand : early) {
    assert(context.isSettled(operand) && "only what is settled can be read early");
    context.earlyInputs.push_back(cast<BlockArgument>(operand).getArgNumber());
  }
  llvm::sort(context.earlyInputs);
  emitInstructions(context.builder);
  if (context.prologue)
    std::exchange(context.prologue, {})();
}

/// Each line by a thread, at the start of `body`.
void prefetch(Block *body, ArrayRef<Value> buffers) {
  constexpr int64_t kLine = 128, kMostLines = 64;
  if (buffers.empty())
    return;
  auto b = ImplicitLocOpBuilder::atBlockBegin(buffers.front().getLoc(), body);
  auto index = [&](int64_t value) -> Value { return arith::ConstantIndexOp::create(b, value); };
  Value thread = gpu::ThreadIdOp::create(b, gpu::Dimension::x);
  for (Value buffer : buffers) {
    auto type = cast<MemRefType>(buffer.getType());
    int64_t lines = llvm::divideCeil(type.getNumElements() * type.getElementTypeBitWidth() / 8, kLine);
    if (lines > kMostLines)
      continue;
    Value has = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, thread, index(lines));
    auto branch = scf::IfOp::create(b, has, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    Value start = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
    Value offset = arith::MulIOp::create(b, thread, index(kLine));
    Value address = arith::IndexCastOp::create(b, b.getI64Type(), arith::AddIOp::create(b, start, offset));
    address = LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext(), /*addressSpace=*/1), address);
    auto level = NVVM::PrefetchCacheLevelAttr::get(b.getContext(), NVVM::PrefetchCacheLevel::L2);
    NVVM::PrefetchOp::create(b, level, NVVM::CacheEvictionPriorityAttr(), address, /*predicate=*/Value(),
                             /*tensormap=*/UnitAttr());
  }
}

//===----------------------------------------------------------------------===//
// What comes before
//===----------------------------------------------------------------------===//

/// The parameters of `function` that operands of `op` are computed from.
static SmallVector<BlockArgument> findParameters(Operation *op, gpu::GPUFuncOp function) {
  SmallVector<BlockArgument> parameters;
  SmallVector<Value> pending(op->getOperands());
  llvm::DenseSet<Value> seen;
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getOwner()->getParentOp() == function)
      parameters.push_back(argument);
    else // Of a region: what its op gets.
      llvm::append_range(pending, (argument ? argument.getOwner()->getParentOp() : value.getDefiningOp())->getOperands());
  }
  return parameters;
}

static bool readsGlobalMemory(Operation *op) {
  if (isa<LLVM::LoadOp>(op)) // What it says of atomic loads is that they might write.
    return true;
  auto effects = dyn_cast<MemoryEffectOpInterface>(op);
  return effects && !effects.hasEffect<MemoryEffects::Write>();
}

/// Whether `op` only begins a copy to shared memory.
static bool copiesToSharedMemory(Operation *op) {
  return isa<nvgpu::DeviceAsyncCopyOp, NVVM::CpAsyncCommitGroupOp>(op);
}

static LogicalResult checkEarlyOps(Block *body, const EmitterContext &context) {
  auto function = body->getParent()->getParentOfType<gpu::GPUFuncOp>();
  SmallVector<Value> early =
      llvm::map_to_vector(context.earlyInputs, [&](int64_t number) { return context.arguments[number]; });
  for (Operation &first : *body) {
    if (auto assembly = dyn_cast<LLVM::InlineAsmOp>(first); assembly && assembly.getAsmString() == kWait)
      return success();
    WalkResult checked = first.walk([&](Operation *op) {
      if (op->hasTrait<OpTrait::HasRecursiveMemoryEffects>() || leavesGlobalMemoryAlone(op))
        return WalkResult::advance();
      bool isEarly = llvm::all_of(findParameters(op, function), [&](BlockArgument parameter) {
        return llvm::is_contained(early, Value(parameter));
      });
      if (isEarly && (readsGlobalMemory(op) || copiesToSharedMemory(op)))
        return WalkResult::advance();
      op->emitOpError("is executed before the kernel waits for the one before it, but may touch memory of that");
      return WalkResult::interrupt();
    });
    if (checked.wasInterrupted())
      return failure();
  }
  return function.emitOpError("waits for the kernel before it in some of its threads only");
}

LogicalResult waitForPreviousKernel(Block *body, const EmitterContext &context) {
  if (context.waits)
    return checkEarlyOps(body, context);
  Operation *first = &*llvm::find_if(*body, [](Operation &op) {
    return op.hasTrait<OpTrait::IsTerminator>() || !leavesGlobalMemoryAlone(&op);
  });
  ImplicitLocOpBuilder builder(first->getLoc(), first);
  emitInstructions(builder);
  return success();
}

llvm::SmallBitVector findSettledOperands(moe_kernel::KernelOp kernel) {
  llvm::SmallBitVector settled(kernel.getNumArguments(), true);
  bool isLaunched = false;
  for (auto program : kernel->getParentOfType<ModuleOp>().getOps<moe_exec::ProgramOp>())
    for (auto launch : program.getOps<moe_exec::LaunchOp>()) {
      if (launch.getKernel() != kernel.getSymName())
        continue;
      isLaunched = true;
      for (unsigned input : settled.set_bits())
        if (!launch.isSettled(input))
          settled.reset(input);
    }
  return isLaunched ? settled : llvm::SmallBitVector();
}

} // namespace mlir::moe::cuda

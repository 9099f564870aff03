//===- DependentLaunch.cpp - Kernels launched before the last ended --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/DependentLaunch.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
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
                             isa<gpu::BarrierOp, NVVM::MBarrierInitOp, NVVM::FenceMbarrierInitOp, NVVM::FenceProxyOp>(
                                 nested) ||
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

void waitForPreviousKernel(Block *body) {
  Operation *first = &*llvm::find_if(*body, [](Operation &op) {
    return op.hasTrait<OpTrait::IsTerminator>() || !leavesGlobalMemoryAlone(&op);
  });
  ImplicitLocOpBuilder builder(first->getLoc(), first);
  emitInstruction(builder, "griddepcontrol.wait;");
  emitInstruction(builder, "griddepcontrol.launch_dependents;");
}

} // namespace mlir::moe::cuda

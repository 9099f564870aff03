//===- MoEVerifiers.cpp - Verifiers of tensor ops ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult SumOp::verify() { return success(); }
LogicalResult BroadcastOp::verify() { return success(); }
LogicalResult EmbeddingOp::verify() { return success(); }
LogicalResult EmbeddingBackwardOp::verify() { return success(); }
LogicalResult LinearOp::verify() { return success(); }
LogicalResult MatmulOp::verify() { return success(); }
LogicalResult RMSNormOp::verify() { return success(); }
LogicalResult RMSNormBackwardOp::verify() { return success(); }
LogicalResult GatedActivationOp::verify() { return success(); }
LogicalResult GatedActivationBackwardOp::verify() { return success(); }
LogicalResult SequencePositionsOp::verify() { return success(); }
LogicalResult RopeTableOp::verify() { return success(); }
LogicalResult RopeOp::verify() { return success(); }
LogicalResult AttentionOp::verify() { return success(); }
LogicalResult AttentionBackwardOp::verify() { return success(); }
LogicalResult CacheAppendOp::verify() { return success(); }
LogicalResult CachedAttentionOp::verify() { return success(); }
LogicalResult RouterScoresOp::verify() { return success(); }
LogicalResult RouterScoresBackwardOp::verify() { return success(); }
LogicalResult TopKGateOp::verify() { return success(); }
LogicalResult TopKGateBackwardOp::verify() { return success(); }
LogicalResult PlanRoutingOp::verify() { return success(); }
LogicalResult DispatchOp::verify() { return success(); }
LogicalResult CombineOp::verify() { return success(); }
LogicalResult RoutedDotOp::verify() { return success(); }
LogicalResult GroupedMatmulOp::verify() { return success(); }
LogicalResult ExpertLoadOp::verify() { return success(); }
LogicalResult BalanceLossOp::verify() { return success(); }
LogicalResult BalanceLossBackwardOp::verify() { return success(); }
LogicalResult UpdateSelectionBiasOp::verify() { return success(); }
LogicalResult CrossEntropyOp::verify() { return success(); }
LogicalResult CrossEntropyBackwardOp::verify() { return success(); }
LogicalResult GlobalNormOp::verify() { return success(); }
LogicalResult AdamWOp::verify() { return success(); }
LogicalResult VariableOp::verify() { return success(); }
LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) { return success(); }
LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &symbols) { return success(); }

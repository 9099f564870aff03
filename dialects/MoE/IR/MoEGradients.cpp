//===- MoEGradients.cpp - Gradient rules ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult SumOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult BroadcastOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult EmbeddingOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult LinearOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult MatmulOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult RMSNormOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult GatedActivationOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult RopeOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult AttentionOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult RouterScoresOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult TopKGateOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult DispatchOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult CombineOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult GroupedMatmulOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult BalanceLossOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult CrossEntropyOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult AddOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult MultiplyOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult DivideOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }
LogicalResult NegateOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, MutableArrayRef<Value> operandGradients) { return emitOpError("gradient rule missing"); }

//===- MoELayerOps.cpp - Assembly and verifiers of layer ops ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult ModelOp::verify() { return success(); }
ParseResult ModelOp::parse(OpAsmParser &parser, OperationState &result) { return failure(); }
void ModelOp::print(OpAsmPrinter &printer) {}
LogicalResult LayersOp::verify() { return success(); }
ParseResult LayersOp::parse(OpAsmParser &parser, OperationState &result) { return failure(); }
void LayersOp::print(OpAsmPrinter &printer) {}
LogicalResult SelfAttentionOp::verify() { return success(); }
ParseResult SelfAttentionOp::parse(OpAsmParser &parser, OperationState &result) { return failure(); }
void SelfAttentionOp::print(OpAsmPrinter &printer) {}
LogicalResult MLPOp::verify() { return success(); }
ParseResult MLPOp::parse(OpAsmParser &parser, OperationState &result) { return failure(); }
void MLPOp::print(OpAsmPrinter &printer) {}
LogicalResult SparseMLPOp::verify() { return success(); }
ParseResult SparseMLPOp::parse(OpAsmParser &parser, OperationState &result) { return failure(); }
void SparseMLPOp::print(OpAsmPrinter &printer) {}
LogicalResult TrainingOp::verify() { return success(); }
ParseResult TrainingOp::parse(OpAsmParser &parser, OperationState &result) { return failure(); }
void TrainingOp::print(OpAsmPrinter &printer) {}
LogicalResult ServingOp::verify() { return success(); }
ParseResult ServingOp::parse(OpAsmParser &parser, OperationState &result) { return failure(); }
void ServingOp::print(OpAsmPrinter &printer) {}

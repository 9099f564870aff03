//===- MoEOps.td - The ops of the moe dialect -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOE_IR_MOEOPS_TD
#define DIALECTS_MOE_IR_MOEOPS_TD

include "dialects/MoE/IR/MoELayerOps.td"
include "dialects/MoE/IR/MoETensorOps.td"

#endif // DIALECTS_MOE_IR_MOEOPS_TD

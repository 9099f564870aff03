//===- LowerBFloat16.h - bf16 as 16 bits of memory --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// LLVM rounds to bf16 by a call of __truncsfbf2 where the processor has no instruction for it, and by one that flushes
/// subnormal numbers to zero where it has. Kernels link without libraries and give the same bits everywhere, so both
/// conversions become integer operations, and what is left of the type is 16 bits that are loaded and stored:
///
/// ```mlir
/// %x = vector.load %m[%i] : memref<64xbf16>, vector<16xbf16>     %bits = llvm.load … : vector<16xi16>
/// %y = arith.extf %x : vector<16xbf16> to vector<16xf32>    ──▶   %wide = llvm.zext %bits; %y = llvm.shl %wide, 16
/// ```
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_LOWERBFLOAT16_H
#define PASSES_TARGET_CPU_LOWERBFLOAT16_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"

namespace mlir::moe::cpu {

/// Expands the conversions from and to bf16 inside `root`: extension is exact, rounding to nearest even.
void expandBFloat16Conversions(Operation *root);

/// Makes `converter` turn bf16 into i16, constants included.
void populateBFloat16AsBits(LLVMTypeConverter &converter, RewritePatternSet &patterns);

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_LOWERBFLOAT16_H

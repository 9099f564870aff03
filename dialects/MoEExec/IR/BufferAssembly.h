//===- BufferAssembly.h - How instructions print buffers --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOEEXEC_IR_BUFFERASSEMBLY_H
#define DIALECTS_MOEEXEC_IR_BUFFERASSEMBLY_H

#include "dialects/MoEExec/IR/MoEExecOps.h"

namespace mlir::moe_exec {

/// `workspace[256 : 4096]`, `@x[0 : 512]`, `input 0[0 : 4]`, `output 1[0 : 4]`: [offset : size] in bytes.
ParseResult parseBuffer(AsmParser &parser, BufferAttr &buffer);
void printBuffer(AsmPrinter &printer, BufferAttr buffer);

/// A comma-separated list of buffers, possibly empty.
ParseResult parseBuffers(AsmParser &parser, ArrayAttr &buffers);
void printBuffers(AsmPrinter &printer, ArrayAttr buffers);

inline void printBuffer(AsmPrinter &printer, Operation *, BufferAttr buffer) { printBuffer(printer, buffer); }
inline void printBuffers(AsmPrinter &printer, Operation *, ArrayAttr buffers) { printBuffers(printer, buffers); }

} // namespace mlir::moe_exec

#endif // DIALECTS_MOEEXEC_IR_BUFFERASSEMBLY_H

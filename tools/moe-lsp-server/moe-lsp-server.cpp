//===- moe-lsp-server.cpp - Completion and diagnostics in editors -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// MLIR's language server with our dialects: what is wrong with a description is underlined while it is written. An
/// editor starts it for .mlir files and speaks the language server protocol with it on standard input and output.
///
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Pipeline/Registration.h"

#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::moe::registerAllDialects(registry);
  return failed(mlir::MlirLspServerMain(argc, argv, registry));
}

//===- LayerModule.h - One mixture-of-experts layer as a module ---- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The layer of moe.sparse_mlp alone, for several numbers of tokens at once, over one set of weights:
///
///   moe.variable @mlp.gate.weight, @mlp.experts.gate_up_proj, @mlp.experts.down_proj
///   func.func private @layer.T(x [T, d], weights…) -> (y [T, d], offsets i32 [E + 1])
///   func.func @forward.T(x) -> (y, offsets)
///   func.func @forward_backward.T(x, gradient.y)
///       -> (y, offsets, gradient.x, gradient.mlp.gate.weight, gradient.mlp.experts.gate_up_proj, …)
///
/// The second keeps between its halves what a training step keeps (passes/Objective/Residuals.h).
///
/// Where T is 1, also layers one after the other, as a decode step has them: x.i = x + layer(x.(i-1)),
///
///   func.func @chain.1(x = x.0) -> (x.1, …, x.16)
///
/// in turns over several sets of weights, copies of the first (set1.mlp.gate.weight, …): as many as a token reads
/// 256 MiB of, which no cache holds. What is added is always x, so that nothing grows from layer to layer.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_BENCH_LAYERMODULE_H
#define LIB_COMPILER_BENCH_LAYERMODULE_H

#include "lib/Compiler/Bench/LayerShape.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::moe::bench {

/// What `moe.model_info` says about such a module is in these members, under "layer".
struct LayerOptions {
  LayerShape shape;
  std::string dtype;                     ///< "f32" or "bf16"
  SmallVector<int64_t> tokens;           ///< Each has an entry point `forward`,
  SmallVector<int64_t> tokensOfBackward; ///< and each of these `forward_backward`.
};

FailureOr<OwningOpRef<ModuleOp>> buildLayerModule(const LayerOptions &options, MLIRContext &context);

/// An entry point `matmul`: the product of two variables of `size` × `size`. "ceilings" in `moe.model_info`.
OwningOpRef<ModuleOp> buildCeilingModule(int64_t size, StringRef dtype, MLIRContext &context);

} // namespace mlir::moe::bench

#endif // LIB_COMPILER_BENCH_LAYERMODULE_H

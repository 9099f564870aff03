//===- LayerChain.h - Layers one after the other -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The entry point `chain.1` of a compiled layer: x.i = x + layer(x.(i-1)) for each of its outputs, from x.0 = x of one
/// token (lib/Compiler/Bench/LayerModule.h). All sets of weights have the same values.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_LAYERCHAIN_H
#define LIB_ENGINE_BENCH_LAYERCHAIN_H

#include "lib/Engine/Bench/LayerRun.h"

namespace moe::engine {

/// Gives `chain` a token that its layers neither blow up nor lose, runs it in memory that was full of NaNs before, and
/// compares what each layer added with what `forward` gives for the same token. ErrorCode::numerics if they differ by
/// more than the roundings of a sum.
Status prepareChain(const LayerRun &run, EntryPoint &chain, EntryPoint &forward);

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_LAYERCHAIN_H

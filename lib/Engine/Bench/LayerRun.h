//===- LayerRun.h - A compiled layer on a device -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Weights are drawn once for all numbers of tokens, and for all sets of them. Inputs are normal, but for the first
/// feature of each token, which is 1: the router's weights of that feature are a bias of each expert, and with it the
/// routing is made skewed without anything outside of the layer.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_LAYERRUN_H
#define LIB_ENGINE_BENCH_LAYERRUN_H

#include "lib/Engine/Bench/LayerFolder.h"

#include <string>
#include <string_view>
#include <vector>

namespace moe::engine {

/// `uniform`: as the random router has it. `skewed`: one expert has four times the mean load, or all tokens if that is
/// less.
enum class Routing { uniform, skewed };
inline constexpr double kSkew = 4;
/// The variable that decides on it. Its copies for the layers of a chain end so, too.
inline constexpr std::string_view kRouterName = "mlp.gate.weight";
std::string toString(Routing routing);

/// Tokens per expert of one run.
struct LayerLoad {
  std::int64_t maximum = 0;
  double mean = 0;
};

class LayerRun {
public:
  static Result<LayerRun> create(const CompiledLayer &layer, const DriverOptions &options);

  Session &getSession() { return *session; }
  const CompiledLayer &getLayer() const { return layer; }

  /// "forward", "forward_backward" or "chain" for that many tokens; null if there is none.
  EntryPoint *find(const std::string &kind, std::int64_t tokens);

  /// Writes the router's weights.
  Status setRouting(Routing routing);
  /// Writes `x`, and `gradient.y` if there is one.
  Status setInputs(EntryPoint &entry, std::int64_t tokens);
  /// What `setInputs` writes to that input, as much as fits.
  Status readInput(std::string_view name, std::span<std::byte> bytes) const;
  /// Runs in memory that was full of NaNs before, and reads the load. ErrorCode::numerics if it does not add up.
  Result<LayerLoad> runPoisoned(EntryPoint &entry, std::int64_t tokens);
  /// Runs like that `times` times. ErrorCode::numerics if the outputs do not have the same bits every time.
  Status repeatPoisoned(EntryPoint &entry, std::int64_t tokens, int times);

private:
  LayerRun(CompiledLayer layer, std::unique_ptr<Session> session)
      : layer(std::move(layer)), session(std::move(session)) {}

  Status findSkewedBias();
  Status writeRouter(double bias);
  Status writeRouters(std::span<const std::byte> bytes);
  Result<std::vector<std::int32_t>> readLoad(EntryPoint &entry);

  CompiledLayer layer;
  std::unique_ptr<Session> session;
  std::size_t elementBytes = 0;
  std::vector<std::byte> router;           ///< As drawn.
  std::vector<std::byte> inputs, gradients; ///< For the largest number of tokens; smaller ones take the first rows.
  double skewedBias = -1;                  ///< Of the hot expert; found when it is needed.
};

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_LAYERRUN_H

//===- LayerBench.h - How near a layer comes to its floor --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_LAYERBENCH_H
#define LIB_ENGINE_BENCH_LAYERBENCH_H

#include "lib/Engine/Bench/CeilingMeter.h"
#include "lib/Engine/Bench/DeviceTimer.h"
#include "lib/Engine/Bench/KernelTimes.h"
#include "lib/Engine/Bench/LayerRun.h"
#include "lib/Engine/Support/Json.h"

#include <optional>

namespace moe::engine {

struct LayerBenchOptions {
  std::vector<Routing> routings = {Routing::uniform, Routing::skewed};
  RepeatPolicy repeat = {.rests = true};
  bool kernels = false; ///< The time of each kernel, too.
  std::string save;     ///< A folder for inputs, weights and outputs; none if empty.
};

/// `forward`, `forward_backward` or, for one layer of it, `chain` of a point.
struct LayerTime {
  double seconds = 0, floorSeconds = 0, flops = 0;
  int runs = 0;
  Ceilings ceilings;               ///< Reached for as long as this takes.
  std::vector<KernelTime> kernels; ///< If they were asked for.

  double share() const { return seconds > 0 ? floorSeconds / seconds : 0; }
};

/// One layer, number of tokens and routing.
struct LayerPoint {
  std::string shape, dtype;
  LayerSizes sizes;
  std::int64_t tokens = 0;
  Routing routing = Routing::uniform;
  LayerLoad load;
  LayerTime forward;
  std::optional<LayerTime> forwardBackward, chain;
};

/// What layers and kernels of one type are compared with that do not take long, and how it was found.
struct MeasuredCeilings {
  std::string dtype;
  std::int64_t size = 0;
  Ceilings ceilings;
};

struct LayerBenchResult {
  std::string device, target;
  std::vector<MeasuredCeilings> ceilings;
  std::vector<LayerPoint> points;
};

/// Runs every layer of `folder`. `onPoint` hears of each point when it has been measured.
Result<LayerBenchResult> benchLayers(const LayerFolder &folder, const LayerBenchOptions &options,
                                     const DriverOptions &driver,
                                     const std::function<void(const LayerPoint &)> &onPoint = {});

/// "qwen3-30b-a3b bf16, 8192 tokens, uniform: forward 1100.0 µs, 79.6 % of its floor"
std::string pointText(const LayerPoint &point);
std::string layerBenchText(const LayerBenchResult &result);
Json layerBenchJson(const LayerBenchResult &result);

/// Writes the experts' weights.
Status saveWeights(LayerRun &run, const std::string &path);
/// Writes what an entry point took and gave: `x`, `gradient.y`, the router's weights, and the outputs. `weights` is the
/// name of the file with the others.
Status saveRun(LayerRun &run, EntryPoint &entry, const std::string &path, const std::string &weights);

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_LAYERBENCH_H

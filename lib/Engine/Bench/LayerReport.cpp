//===- LayerReport.cpp - What the layers reached -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/LayerBench.h"

#include "lib/Engine/Report/Table.h"
#include "lib/Engine/Support/Strings.h"

namespace moe::engine {

constexpr int kSchemaVersion = 1; ///< Of layerBenchJson.

static std::string microseconds(double seconds) { return format("%.1f", seconds * 1e6); }
static std::string percent(double share) { return format("%.1f %%", 100 * share); }
static double teraflops(const LayerTime &time) { return time.flops / time.seconds * 1e-12; }

static const Ceilings *findCeilings(const LayerBenchResult &result, const std::string &dtype) {
  for (const MeasuredCeilings &entry : result.ceilings)
    if (entry.dtype == dtype)
      return &entry.ceilings;
  return nullptr;
}

std::string pointText(const LayerPoint &point) {
  std::string text = format("%s %s, %lld tokens, %s: forward %.1f µs, %.1f %% of its floor", point.shape.c_str(),
                            point.dtype.c_str(), static_cast<long long>(point.tokens), toString(point.routing).c_str(),
                            point.forward.seconds * 1e6, 100 * point.forward.share());
  if (point.chain)
    text += format("; in a chain %.1f µs, %.1f %%", point.chain->seconds * 1e6, 100 * point.chain->share());
  if (point.forwardBackward)
    text += format("; forward and backward %.1f µs, %.1f %%", point.forwardBackward->seconds * 1e6,
                   100 * point.forwardBackward->share());
  return text;
}

static std::string kernelTable(const LayerTime &time, const Ceilings &ceilings) {
  Table table({"kernel", "launches", "µs", "GFLOP", "MB", "TFLOP/s", "GB/s", "of its floor"}, "lrrrrrrr", /*indent=*/4);
  for (const KernelTime &kernel : time.kernels) {
    const double flops = static_cast<double>(kernel.flops), bytes = static_cast<double>(kernel.bytes);
    table.add({kernel.name, std::to_string(kernel.launches), microseconds(kernel.seconds), format("%.2f", flops * 1e-9),
               format("%.1f", bytes * 1e-6), format("%.1f", flops / kernel.seconds * 1e-12),
               format("%.0f", bytes / kernel.seconds * 1e-9),
               percent(ceilings.secondsOf(flops, bytes) / kernel.seconds)});
  }
  return table.text();
}

static std::string kernelText(const LayerPoint &point, const Ceilings &ceilings) {
  const std::string name = point.shape + " " + point.dtype + ", " + std::to_string(point.tokens) + " tokens, " +
                           toString(point.routing);
  std::string text;
  if (!point.forward.kernels.empty())
    text += "\n  " + name + ", forward\n" + kernelTable(point.forward, ceilings);
  if (point.forwardBackward && !point.forwardBackward->kernels.empty())
    text += "\n  " + name + ", forward and backward\n" + kernelTable(*point.forwardBackward, ceilings);
  return text;
}

/// The least that any point of a type was compared with.
static double lowestCeiling(const LayerBenchResult &result, const MeasuredCeilings &entry) {
  double lowest = entry.ceilings.flopsPerSecond;
  for (const LayerPoint &point : result.points) {
    if (point.dtype != entry.dtype)
      continue;
    lowest = std::min(lowest, point.forward.ceilings.flopsPerSecond);
    if (point.forwardBackward)
      lowest = std::min(lowest, point.forwardBackward->ceilings.flopsPerSecond);
  }
  return lowest;
}

std::string layerBenchText(const LayerBenchResult &result) {
  std::string text = result.target + " on " + result.device + "\n";
  for (const MeasuredCeilings &entry : result.ceilings)
    text += format("  ceilings: %.1f TFLOP/s of %s (a product of %lld³; at least %.1f for as long as a point takes), "
                   "%.0f GB/s (a copy, bytes read and written)\n",
                   entry.ceilings.flopsPerSecond * 1e-12, entry.dtype.c_str(), static_cast<long long>(entry.size),
                   lowestCeiling(result, entry) * 1e-12, entry.ceilings.bytesPerSecond * 1e-9);
  Table table({"layer", "type", "tokens", "routing", "max/mean", "forward µs", "floor µs", "reached", "TFLOP/s",
               "with backward µs", "floor µs", "reached", "TFLOP/s", "in a chain µs", "reached"},
              "llrlrrrrrrrrrrr");
  for (const LayerPoint &point : result.points) {
    const LayerTime &forward = point.forward;
    std::vector<std::string> row = {point.shape,
                                    point.dtype,
                                    std::to_string(point.tokens),
                                    toString(point.routing),
                                    format("%.2f", static_cast<double>(point.load.maximum) / point.load.mean),
                                    microseconds(forward.seconds),
                                    microseconds(forward.floorSeconds),
                                    percent(forward.share()),
                                    format("%.1f", teraflops(forward))};
    if (point.forwardBackward)
      for (const std::string &cell :
           {microseconds(point.forwardBackward->seconds), microseconds(point.forwardBackward->floorSeconds),
            percent(point.forwardBackward->share()), format("%.1f", teraflops(*point.forwardBackward))})
        row.push_back(cell);
    row.resize(13);
    if (point.chain)
      row.insert(row.end(), {microseconds(point.chain->seconds), percent(point.chain->share())});
    row.resize(15);
    table.add(row);
  }
  text += table.text();
  for (const LayerPoint &point : result.points)
    if (const Ceilings *ceilings = findCeilings(result, point.dtype))
      text += kernelText(point, *ceilings);
  return text;
}

static Json timeJson(const LayerTime &time, const Ceilings &ceilings) {
  Json json = {{"seconds", time.seconds},
               {"floor_seconds", time.floorSeconds},
               {"share_of_floor", time.share()},
               {"ceiling_flops_per_second", time.ceilings.flopsPerSecond},
               {"flops", time.flops},
               {"runs", time.runs}};
  for (const KernelTime &kernel : time.kernels)
    json["kernels"].push_back({{"name", kernel.name},
                               {"launches", kernel.launches},
                               {"seconds", kernel.seconds},
                               {"flops", kernel.flops},
                               {"bytes", kernel.bytes},
                               {"floor_seconds", ceilings.secondsOf(static_cast<double>(kernel.flops),
                                                                    static_cast<double>(kernel.bytes))}});
  return json;
}

Json layerBenchJson(const LayerBenchResult &result) {
  Json ceilings = Json::array(), points = Json::array();
  for (const MeasuredCeilings &entry : result.ceilings)
    ceilings.push_back({{"dtype", entry.dtype},
                        {"matmul_size", entry.size},
                        {"flops_per_second", entry.ceilings.flopsPerSecond},
                        {"copy_bytes_per_second", entry.ceilings.bytesPerSecond}});
  for (const LayerPoint &point : result.points) {
    const Ceilings *found = findCeilings(result, point.dtype);
    const Ceilings compared = found ? *found : Ceilings();
    Json json = {{"shape", point.shape},
                 {"dtype", point.dtype},
                 {"sizes",
                  {{"hidden_size", point.sizes.hiddenSize},
                   {"moe_intermediate_size", point.sizes.intermediateSize},
                   {"num_experts", point.sizes.numExperts},
                   {"top_k", point.sizes.topK}}},
                 {"tokens", point.tokens},
                 {"routing", toString(point.routing)},
                 {"load", {{"max", point.load.maximum}, {"mean", point.load.mean}}},
                 {"forward", timeJson(point.forward, compared)}};
    if (point.forwardBackward)
      json["forward_backward"] = timeJson(*point.forwardBackward, compared);
    if (point.chain)
      json["chain"] = timeJson(*point.chain, compared);
    points.push_back(std::move(json));
  }
  return {{"schema_version", kSchemaVersion},
          {"device", result.device},
          {"target", result.target},
          {"ceilings", ceilings},
          {"points", points}};
}

} // namespace moe::engine

//===- LayerBench.cpp - How near a layer comes to its floor ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/LayerBench.h"

#include "lib/Engine/Bench/LayerChain.h"
#include "lib/Engine/Conformance/Conformance.h"
#include "lib/Engine/Support/Files.h"
#include "runtime/format/DType.h"
#include "runtime/format/artifact_generated.h"

#include <algorithm>

namespace moe::engine {
namespace {

constexpr int kKernelRuns = 5;
constexpr int kComparedRuns = 10;
constexpr std::size_t kMostCompared = std::size_t{64} << 20; ///< Bytes of outputs: more take long to read.

std::size_t outputBytes(const EntryPoint &entry) {
  std::size_t bytes = 0;
  for (const format::Port *port : *entry.table().outputs())
    bytes += format::byteSize(*port);
  return bytes;
}

/// Runs one layer, everything that was asked for.
class LayerMeasurement {
public:
  LayerMeasurement(LayerRun &run, DeviceTimer &timer, CeilingMeter &meter, const LayerBenchOptions &options)
      : run(run), timer(timer), meter(meter), options(options) {}

  Result<LayerPoint> measure(std::int64_t tokens, Routing routing);

private:
  Result<LayerTime> measureEntry(EntryPoint &entry, const std::string &kind, LayerPoint &point);
  Result<LayerTime> measureChain(EntryPoint &chain, EntryPoint &forward);
  /// For one of `layers` that do `work` each, in that time together.
  Result<LayerTime> compare(const MeasuredTime &measured, const std::vector<KernelWork> &work, int layers);
  double elementBytes() const { return run.getLayer().dtype == "bf16" ? 2 : 4; }

  LayerRun &run;
  DeviceTimer &timer;
  CeilingMeter &meter;
  const LayerBenchOptions &options;
};

Result<LayerTime> LayerMeasurement::measureEntry(EntryPoint &entry, const std::string &kind, LayerPoint &point) {
  if (Status status = run.setInputs(entry, point.tokens); !status)
    return status;
  Result<LayerLoad> load = run.runPoisoned(entry, point.tokens);
  if (!load)
    return load.status();
  point.load = *load;
  Result<MeasuredTime> measured = timer.time([&] { return entry.run(); }, options.repeat);
  if (!measured)
    return measured.status();
  if (!options.save.empty()) {
    // Runs like those that were timed, but what a kernel reads too early is a NaN and not what the run before left.
    Status status = outputBytes(entry) <= kMostCompared ? run.repeatPoisoned(entry, point.tokens, kComparedRuns)
                                                        : run.runPoisoned(entry, point.tokens).status();
    if (!status)
      return status;
    const std::string name = point.shape + "-" + point.dtype, weights = name + "-weights.safetensors";
    const std::string path = options.save + "/" + name + "-" + std::to_string(point.tokens) + "-" +
                             toString(point.routing) + "-" + kind + ".safetensors";
    if (status = saveRun(run, entry, path, weights); !status)
      return status;
  }
  const auto &workOf = kind == "forward" ? forwardWork : forwardBackwardWork;
  Result<LayerTime> time = compare(*measured, workOf(point.sizes, point.tokens, elementBytes()), /*layers=*/1);
  if (time && options.kernels) {
    Result<std::vector<KernelTime>> kernels = timeKernels(run.getSession(), entry, timer, kKernelRuns);
    if (!kernels)
      return kernels.status();
    time->kernels = std::move(*kernels);
  }
  return time;
}

Result<LayerTime> LayerMeasurement::measureChain(EntryPoint &chain, EntryPoint &forward) {
  if (Status status = prepareChain(run, chain, forward); !status)
    return status;
  Result<MeasuredTime> measured = timer.time([&] { return chain.run(); }, options.repeat);
  if (!measured)
    return measured.status();
  return compare(*measured, forwardWork(run.getLayer().sizes, /*tokens=*/1, elementBytes()),
                 static_cast<int>(chain.table().outputs()->size()));
}

Result<LayerTime> LayerMeasurement::compare(const MeasuredTime &measured, const std::vector<KernelWork> &work,
                                            int layers) {
  Result<Ceilings> ceilings = meter.lasting(measured.seconds);
  if (!ceilings)
    return ceilings.status();
  return LayerTime{
      measured.seconds / layers, floorSeconds(work, *ceilings), totalFlops(work), measured.runs, *ceilings, {}};
}

Result<LayerPoint> LayerMeasurement::measure(std::int64_t tokens, Routing routing) {
  LayerPoint point;
  point.shape = run.getLayer().shape;
  point.dtype = run.getLayer().dtype;
  point.sizes = run.getLayer().sizes;
  point.tokens = tokens;
  point.routing = routing;
  for (const char *kind : {"forward", "forward_backward"}) {
    EntryPoint *entry = run.find(kind, tokens);
    if (!entry)
      continue;
    Result<LayerTime> time = measureEntry(*entry, kind, point);
    if (!time)
      return time.status().withContext(point.shape);
    if (std::string_view(kind) == "forward")
      point.forward = std::move(*time);
    else
      point.forwardBackward = std::move(*time);
  }
  if (EntryPoint *chain = run.find("chain", tokens), *forward = run.find("forward", tokens); chain && forward) {
    Result<LayerTime> time = measureChain(*chain, *forward);
    if (!time)
      return time.status().withContext(point.shape);
    point.chain = std::move(*time);
  }
  return point;
}

} // namespace

Result<LayerBenchResult> benchLayers(const LayerFolder &folder, const LayerBenchOptions &options,
                                     const DriverOptions &driverOptions,
                                     const std::function<void(const LayerPoint &)> &onPoint) {
  const format::Target &target = *folder.layers.front().artifact->table().target();
  // Open until the end: what a driver costs to start, it costs once.
  Result<std::unique_ptr<Driver>> driver = openDriver(target.name()->string_view(), driverOptions);
  if (!driver)
    return driver.status();
  LayerBenchResult result{(*driver)->description(), targetOf(*folder.layers.front().artifact), {}, {}};
  if (!options.save.empty())
    if (Status status = createDirectories(options.save); !status)
      return status;
  std::map<std::string, CeilingMeter> meters;
  for (const CompiledLayer &layer : folder.layers) {
    auto meter = meters.find(layer.dtype);
    if (meter == meters.end()) {
      Result<CeilingMeter> created = CeilingMeter::create(folder, layer.dtype, driverOptions);
      if (!created)
        return created.status();
      meter = meters.emplace(layer.dtype, std::move(*created)).first;
      result.ceilings.push_back({layer.dtype, meter->second.getSize(), meter->second.getCeilings()});
    }
    Result<LayerRun> run = LayerRun::create(layer, driverOptions);
    if (!run)
      return run.status();
    Result<DeviceTimer> timer = DeviceTimer::create(run->getSession().driver());
    if (!timer)
      return timer.status();
    if (!options.save.empty())
      if (Status status = saveWeights(
              *run, options.save + "/" + layer.shape + "-" + layer.dtype + "-weights.safetensors");
          !status)
        return status;
    LayerMeasurement measurement(*run, *timer, meter->second, options);
    for (Routing routing : options.routings) {
      if (Status status = run->setRouting(routing); !status)
        return status;
      for (std::int64_t tokens : layer.tokens) {
        Result<LayerPoint> point = measurement.measure(tokens, routing);
        if (!point)
          return point.status();
        if (onPoint)
          onPoint(*point);
        result.points.push_back(std::move(*point));
      }
    }
  }
  return result;
}

} // namespace moe::engine

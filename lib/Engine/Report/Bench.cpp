//===- Bench.cpp - How long an entry point takes, and each of its kernels --===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Bench.h"

#include "lib/Engine/Bench/NormalTensor.h"
#include "lib/Engine/Model/ModelInfo.h"
#include "lib/Engine/Report/Table.h"
#include "lib/Engine/Support/Strings.h"
#include "runtime/format/DType.h"
#include "runtime/format/artifact_generated.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>

namespace moe::engine {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kWarmUpRuns = 3;
constexpr int kSchemaVersion = 2; ///< Of benchJson.
/// Below this, a kernel is bound by memory everywhere: a CPU core does about ten operations in the time of a byte, an
/// H100's CUDA cores about twenty. Norms do one or two, AdamW one half.
constexpr std::uint64_t kMemoryBoundFlopsPerByte = 4;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Random token ids, unit weights and corrections; positions count up in each row, and those of single tokens are in
/// the middle of the context. Zero for the rest (the learning rate, the row whose logits are wanted).
Status setInputs(EntryPoint &entry, std::int64_t vocabulary, std::int64_t contextLength) {
  std::minstd_rand random(1);
  for (const format::Port *port : *entry.table().inputs()) {
    const std::string name = port->name()->str();
    std::vector<std::byte> bytes(format::byteSize(*port));
    if (name == "tokens" || name == "targets") {
      std::span values(reinterpret_cast<std::int32_t *>(bytes.data()), bytes.size() / sizeof(std::int32_t));
      for (std::int32_t &value : values)
        value = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(vocabulary));
    } else if (name == "positions") {
      std::span values(reinterpret_cast<std::int32_t *>(bytes.data()), bytes.size() / sizeof(std::int32_t));
      const std::int64_t length = port->shape()->size() == 0 ? 1 : port->shape()->Get(port->shape()->size() - 1);
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<std::int32_t>(length == 1 ? contextLength / 2 : static_cast<std::int64_t>(i) % length);
    } else if (port->dtype() == format::DType::f32 && name != "learning_rate") {
      std::fill_n(reinterpret_cast<float *>(bytes.data()), bytes.size() / sizeof(float), 1.0f);
    }
    if (Status status = entry.setInput(name, std::span<const std::byte>(bytes)); !status)
      return status;
  }
  return {};
}

std::string rate(std::uint64_t amount, double time) {
  return amount && time > 0 ? format("%.1f", static_cast<double>(amount) / time * 1e-9) : "";
}

/// A copy for each kernel that is bound by memory.
Status timeCopies(Session &session, DeviceTimer &timer, BenchResult &result) {
  std::map<std::uint64_t, double> known; // By bytes.
  for (const KernelTime &kernel : result.kernels) {
    const std::uint64_t bytes = kernel.bytes / kernel.launches;
    if (bytes == 0 || kernel.flops > kMemoryBoundFlopsPerByte * kernel.bytes)
      continue;
    auto [copy, isNew] = known.try_emplace(bytes, 0.0);
    if (isNew) {
      Result<MeasuredTime> time = timeCopy(session.driver(), timer, bytes, {5, 20, 0.01});
      if (!time)
        return time.status();
      copy->second = time->seconds;
    }
    result.copySeconds[kernel.name] = copy->second * static_cast<double>(kernel.launches);
  }
  return {};
}

} // namespace

Result<BenchResult> bench(Session &session, const std::string &entryPoint, int repeats, const Observer &observer) {
  Result<ModelInfo> model = readModelInfo(session.artifact());
  if (!model)
    return model.status();
  Result<EntryPoint *> entry = requireEntryPoint(session, entryPoint, "to time it");
  if (!entry)
    return entry.status();
  if (Status status = drawVariables(session); !status)
    return status;
  if (Status status = setInputs(**entry, model->vocabSize, model->serving ? model->serving->contextLength : 0); !status)
    return status;

  BenchResult result{entryPoint, session.driver().description(), repeats, 0, 0, {}, {}};
  Result<DeviceTimer> timer = DeviceTimer::create(session.driver());
  if (!timer)
    return timer.status();
  for (int run = 1; run < kWarmUpRuns; ++run)
    if (Status status = (*entry)->run(); !status)
      return status;
  Result<MeasuredTime> whole = timer->time([&] { return (*entry)->run(); }, {repeats, repeats, 0});
  if (!whole)
    return whole.status();
  result.seconds = whole->seconds;

  std::vector<double> observed;
  Observer total = [&](const InstructionTiming &timing) {
    if (timing.instruction == 0)
      observed.push_back(0);
    observed.back() += seconds(timing.end - timing.begin);
    if (observer)
      observer(timing);
  };
  Result<std::vector<KernelTime>> kernels = timeKernels(session, **entry, *timer, repeats, total);
  if (!kernels)
    return kernels.status();
  result.kernels = std::move(*kernels);
  if (Status status = timeCopies(session, *timer, result); !status)
    return status;
  result.observedSeconds = median(observed);
  return result;
}

/// How near a kernel that is bound by memory comes to a copy.
static std::string shareOfCopy(const BenchResult &result, const KernelTime &kernel) {
  const auto copy = result.copySeconds.find(kernel.name);
  return copy == result.copySeconds.end() ? "" : format("%.1f %%", 100 * copy->second / kernel.seconds);
}

std::string benchText(const BenchResult &result) {
  Table table({"kernel", "launches", "µs", "share", "GFLOP/s", "GB/s", "of a copy"}, "lrrrrrr");
  double total = 0;
  for (const KernelTime &kernel : result.kernels)
    total += kernel.seconds;
  for (const KernelTime &kernel : result.kernels)
    table.add({kernel.name, std::to_string(kernel.launches), format("%.1f", kernel.seconds * 1e6),
               format("%.1f %%", 100 * kernel.seconds / total), rate(kernel.flops, kernel.seconds),
               rate(kernel.bytes, kernel.seconds), shareOfCopy(result, kernel)});
  return format("%s on %s: %.3f ms a run, %.3f ms timed kernel by kernel (medians of %d)\n", result.entryPoint.c_str(),
                result.device.c_str(), result.seconds * 1e3, result.observedSeconds * 1e3, result.repeats) +
         table.text();
}

Json benchJson(const BenchResult &result) {
  Json kernels = Json::array();
  for (const KernelTime &kernel : result.kernels) {
    kernels.push_back({{"name", kernel.name},
                       {"launches", kernel.launches},
                       {"seconds", kernel.seconds},
                       {"flops", kernel.flops},
                       {"bytes", kernel.bytes}});
    if (const auto copy = result.copySeconds.find(kernel.name); copy != result.copySeconds.end())
      kernels.back()["copy_seconds"] = copy->second;
  }
  return {{"schema_version", kSchemaVersion}, {"entry_point", result.entryPoint},
          {"device", result.device},          {"repeats", result.repeats},
          {"seconds", result.seconds},        {"observed_seconds", result.observedSeconds},
          {"kernels", kernels}};
}

} // namespace moe::engine

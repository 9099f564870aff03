//===- Bench.cpp - How long an entry point takes, and each of its kernels --===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Bench.h"

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
constexpr int kSchemaVersion = 1; ///< Of benchJson.

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

/// Runs and waits for the end.
Result<double> timedRun(Session &session, EntryPoint &entry) {
  const Clock::time_point begin = Clock::now();
  if (Status status = entry.run(); !status)
    return status;
  if (Status status = session.driver().synchronize(); !status)
    return status;
  return seconds(Clock::now() - begin);
}

std::string rate(std::uint64_t amount, double time) {
  return amount && time > 0 ? format("%.1f", static_cast<double>(amount) / time * 1e-9) : "";
}

} // namespace

Result<BenchResult> bench(Session &session, const std::string &entryPoint, int repeats, const Observer &observer) {
  Result<ModelInfo> model = readModelInfo(session.artifact());
  if (!model)
    return model.status();
  Result<EntryPoint *> entry = requireEntryPoint(session, entryPoint, "to time it");
  if (!entry)
    return entry.status();
  if (Status status = session.initialize(/*seed=*/1); !status)
    return status;
  if (Status status = setInputs(**entry, model->vocabSize, model->serving ? model->serving->contextLength : 0); !status)
    return status;

  BenchResult result{entryPoint, session.driver().description(), repeats, 0, 0, {}};
  std::vector<double> whole, observed;
  for (int run = -kWarmUpRuns; run < repeats; ++run) {
    Result<double> time = timedRun(session, **entry);
    if (!time)
      return time.status();
    if (run >= 0)
      whole.push_back(*time);
  }
  KernelTimes kernels(session.artifact().table());
  session.setObserver([&](const InstructionTiming &timing) {
    kernels.add(timing);
    if (observer)
      observer(timing);
  });
  for (int run = 0; run < repeats; ++run) {
    Result<double> time = timedRun(session, **entry);
    if (!time)
      return time.status();
    observed.push_back(*time);
    kernels.endRun();
  }
  session.setObserver({});
  result.seconds = median(whole);
  result.observedSeconds = median(observed);
  result.kernels = kernels.medians();
  return result;
}

std::string benchText(const BenchResult &result) {
  Table table({"kernel", "launches", "µs", "share", "GFLOP/s", "GB/s"}, "lrrrrr");
  double total = 0;
  for (const KernelTime &kernel : result.kernels)
    total += kernel.seconds;
  for (const KernelTime &kernel : result.kernels)
    table.add({kernel.name, std::to_string(kernel.launches), format("%.1f", kernel.seconds * 1e6),
               format("%.1f %%", 100 * kernel.seconds / total), rate(kernel.flops, kernel.seconds),
               rate(kernel.bytes, kernel.seconds)});
  return format("%s on %s: %.3f ms a run, %.3f ms timed kernel by kernel (medians of %d)\n", result.entryPoint.c_str(),
                result.device.c_str(), result.seconds * 1e3, result.observedSeconds * 1e3, result.repeats) +
         table.text();
}

Json benchJson(const BenchResult &result) {
  Json kernels = Json::array();
  for (const KernelTime &kernel : result.kernels)
    kernels.push_back({{"name", kernel.name},
                       {"launches", kernel.launches},
                       {"seconds", kernel.seconds},
                       {"flops", kernel.flops},
                       {"bytes", kernel.bytes}});
  return {{"schema_version", kSchemaVersion}, {"entry_point", result.entryPoint},
          {"device", result.device},          {"repeats", result.repeats},
          {"seconds", result.seconds},        {"observed_seconds", result.observedSeconds},
          {"kernels", kernels}};
}

} // namespace moe::engine

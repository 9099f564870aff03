//===- SelfTest.cpp - Does the processor compute? -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cpu/SelfTest.h"

#include "runtime/drivers/cpu/CpuFeatures.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

namespace moe::drivers::cpu {
namespace {

using Clock = std::chrono::steady_clock;

/// Runs `work` for a quarter of a second at least; returns seconds per run.
template <typename Work> double secondsPerRun(Work work) {
  int runs = 0;
  const Clock::time_point begin = Clock::now();
  std::chrono::duration<double> elapsed{0};
  do {
    work();
    ++runs;
    elapsed = Clock::now() - begin;
  } while (elapsed.count() < 0.25);
  return elapsed.count() / runs;
}

constexpr int kRounds = 100'000; // Below 2^24, so that float counts exactly.
constexpr int kChains = 12;      // Covers the latency of 4 cycles on ports for 2 to 3 vectors.

/// Each lane of each chain counts to kRounds by x = x * 1 + 1. Returns how many went wrong.
template <typename Vector> [[gnu::always_inline]] inline int countWrongLanes(float one) {
  Vector chains[kChains] = {};
  Vector ones = Vector{} + one;
  for (int round = 0; round < kRounds; ++round)
    for (Vector &chain : chains)
      chain = chain * ones + ones;
  int wrong = 0;
  for (const Vector &chain : chains)
    for (std::size_t lane = 0; lane < sizeof(Vector) / sizeof(float); ++lane)
      wrong += chain[lane] != static_cast<float>(kRounds);
  return wrong;
}

using Vector4 = float __attribute__((vector_size(16)));
int countBaseline(float one) { return countWrongLanes<Vector4>(one); }
#if defined(__x86_64__)
using Vector8 = float __attribute__((vector_size(32)));
using Vector16 = float __attribute__((vector_size(64)));
[[gnu::target("avx2,fma")]] int countAvx2(float one) { return countWrongLanes<Vector8>(one); }
[[gnu::target("avx512f,fma")]] int countAvx512(float one) { return countWrongLanes<Vector16>(one); }
#endif

struct FmaTest {
  const char *instructions;
  std::size_t lanes;
  int (*countWrong)(float one);
};

FmaTest widestFmaTest() {
#if defined(__x86_64__)
  auto has = [](std::string_view feature) { return featureSupport(feature) == FeatureSupport::supported; };
  if (has("avx512f"))
    return {"avx512f", 16, countAvx512};
  if (has("avx2") && has("fma"))
    return {"avx2", 8, countAvx2};
#endif
  return {"baseline", 4, countBaseline};
}

Status testFma(ThreadPool &pool, std::vector<DeviceFact> &facts) {
  const FmaTest test = widestFmaTest();
  const std::int64_t items = 4 * static_cast<std::int64_t>(pool.numThreads());
  volatile float one = 1; // Not known to the compiler.
  std::atomic<int> wrong = 0;
  const double seconds = secondsPerRun([&] {
    pool.run(items, [&](std::int64_t begin, std::int64_t end, unsigned) {
      for (std::int64_t i = begin; i < end; ++i)
        wrong += test.countWrong(one);
    });
  });
  if (wrong != 0)
    return Status(ErrorCode::failed, "multiplying and adding with " + std::string(test.instructions) +
                                         " went wrong in " + std::to_string(wrong) + " lanes");
  const double operations = 2.0 * kRounds * kChains * static_cast<double>(test.lanes) * static_cast<double>(items);
  facts.push_back({"fma_instructions", std::string(test.instructions)});
  facts.push_back({"fma_gflop_per_s", operations / seconds / 1e9});
  return {};
}

Status testMemory(ThreadPool &pool, std::vector<DeviceFact> &facts) {
  constexpr std::size_t chunk = std::size_t{1} << 20, chunks = 128; // Beyond most caches.
  std::vector<unsigned> source(chunk * chunks / sizeof(unsigned)), target(source.size());
  for (std::size_t i = 0; i < source.size(); ++i)
    source[i] = static_cast<unsigned>(i * 2654435761u);
  const double seconds = secondsPerRun([&] {
    pool.run(chunks, [&](std::int64_t begin, std::int64_t end, unsigned) {
      const std::size_t offset = static_cast<std::size_t>(begin) * chunk / sizeof(unsigned);
      std::memcpy(target.data() + offset, source.data() + offset, static_cast<std::size_t>(end - begin) * chunk);
    });
  });
  if (source != target)
    return Status(ErrorCode::failed, "a copy of " + std::to_string(chunk * chunks) + " bytes in memory differs");
  facts.push_back({"copy_gb_per_s", 2.0 * chunk * chunks / seconds / 1e9});
  return {};
}

} // namespace

Result<std::vector<DeviceFact>> testProcessor(ThreadPool &pool) {
  std::vector<DeviceFact> facts;
  if (Status status = testMemory(pool, facts); !status)
    return status;
  if (Status status = testFma(pool, facts); !status)
    return status;
  return facts;
}

} // namespace moe::drivers::cpu

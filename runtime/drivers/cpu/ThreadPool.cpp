//===- ThreadPool.cpp - Splits work items over threads --------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The gate is one word: | job number : 16 | open : 1 | workers inside : 15 |. A worker enters an open gate, once for
/// each job, by adding one; the caller closes the gate when no items are left, and the job is over when nobody is
/// inside. So `job` never changes under a worker, and a worker that never came costs nothing.
///
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cpu/ThreadPool.h"

#include <algorithm>
#include <csignal>
#include <string>
#include <system_error>

namespace moe::drivers::cpu {
namespace {

constexpr std::uint32_t kInsideMask = (1u << 15) - 1;
constexpr std::uint32_t kOpen = 1u << 15;
constexpr std::uint32_t jobNumber(std::uint32_t gate) { return gate >> 16; }

/// About 50 microseconds on current x86 cores (a pause takes 40 to 140 cycles): longer than the pauses between the
/// launches of a program, shorter than a time slice.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Signals go to the program's own threads: these inherit a mask with everything blocked.
class BlockSignals {
public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &previous, nullptr); }

private:
  sigset_t previous;
};

} // namespace

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(unsigned numThreads) {
  std::unique_ptr<ThreadPool> pool(new ThreadPool);
  BlockSignals blocked;
  pool->workers.reserve(numThreads - 1);
  for (unsigned thread = 1; thread < numThreads; ++thread) {
    try {
      pool->workers.emplace_back(&ThreadPool::serve, pool.get(), thread);
    } catch (const std::system_error &error) {
      return Status(ErrorCode::failed, "cannot start thread " + std::to_string(thread) + " of " +
                                           std::to_string(numThreads) + ": " + error.what());
    }
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stopping.store(true, std::memory_order_release);
  gate.fetch_add(1u << 16, std::memory_order_release); // Changes the value that sleepers compare with.
  gate.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::dispatch(std::int64_t items, Function function, void *context) {
  // A few chunks for each thread even out items of unequal cost, such as experts of unequal load.
  const std::int64_t chunks = 4 * static_cast<std::int64_t>(numThreads());
  job = {function, context, items, items / chunks + (items % chunks != 0)};
  nextItem.store(0, std::memory_order_relaxed);
  const std::uint32_t number = jobNumber(gate.load(std::memory_order_relaxed)) + 1;
  gate.store(number << 16 | kOpen, std::memory_order_release);
  gate.notify_all();

  takeItems(0);

  gate.fetch_and(~kOpen, std::memory_order_relaxed);
  for (int spins = 0; gate.load(std::memory_order_acquire) & kInsideMask; ++spins) {
    if (spins < kSpins)
      pause();
    else
      std::this_thread::yield();
  }
}

void ThreadPool::takeItems(unsigned thread) {
  const auto [function, context, items, chunk] = job;
  for (;;) {
    const std::int64_t begin = nextItem.fetch_add(chunk, std::memory_order_relaxed);
    if (begin >= items)
      return;
    function(context, begin, std::min(begin + chunk, items), thread);
  }
}

void ThreadPool::serve(unsigned thread) {
  std::uint32_t lastJob = 0;
  int spins = 0;
  for (;;) {
    // In this order: whoever sees the gate that the destructor left also sees `stopping`, and does not sleep on it.
    std::uint32_t seen = gate.load(std::memory_order_acquire);
    if (stopping.load(std::memory_order_acquire))
      return;
    if ((seen & kOpen) && jobNumber(seen) != lastJob) {
      if (!gate.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire))
        continue;
      lastJob = jobNumber(seen);
      takeItems(thread);
      gate.fetch_sub(1, std::memory_order_release);
      spins = 0;
    } else if (++spins < kSpins) {
      pause();
    } else {
      gate.wait(seen, std::memory_order_acquire);
      spins = 0;
    }
  }
}

} // namespace moe::drivers::cpu

//===- ThreadPool.h - Splits work items over threads ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CPU_THREADPOOL_H
#define MOE_RUNTIME_DRIVERS_CPU_THREADPOOL_H

#include "moe/Status.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace moe::drivers::cpu {

/// Persistent threads that share the items of one job after another. The calling thread works too, as thread 0.
///
/// Idle threads watch for the next job for some tens of microseconds, then sleep. A thread that is late for a job
/// (asleep, or without a core) is not waited for: the others take its share.
class ThreadPool {
public:
  /// A pool of `numThreads` >= 1 threads, the caller of `run` included.
  static Result<std::unique_ptr<ThreadPool>> create(unsigned numThreads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  unsigned numThreads() const { return static_cast<unsigned>(workers.size()) + 1; }

  /// Calls `body(begin, end, thread)` for disjoint ranges that cover [0, items), with thread < numThreads() and no two
  /// calls with the same `thread` at once; returns when all are done. One item runs on the caller without the others
  /// hearing of it. Called by one thread at a time, not from within `body`; `body` does not throw.
  template <typename Body> void run(std::int64_t items, Body &&body) {
    if (items <= 0)
      return;
    if (items == 1 || workers.empty())
      return body(std::int64_t{0}, items, 0u);
    auto call = [](void *context, std::int64_t begin, std::int64_t end, unsigned thread) {
      (*static_cast<std::remove_reference_t<Body> *>(context))(begin, end, thread);
    };
    dispatch(items, call, const_cast<void *>(static_cast<const void *>(&body)));
  }

private:
  using Function = void (*)(void *context, std::int64_t begin, std::int64_t end, unsigned thread);

  ThreadPool() = default;
  void dispatch(std::int64_t items, Function function, void *context);
  void serve(unsigned thread);
  void takeItems(unsigned thread);

  static constexpr std::size_t kCacheLine = 64;

  /// Changed only while the gate is closed and nobody is inside.
  struct Job {
    Function function = nullptr;
    void *context = nullptr;
    std::int64_t items = 0;
    std::int64_t chunk = 0;
  };

  alignas(kCacheLine) Job job;
  /// Guards `job`: how many workers are inside, whether more may enter, and the number of the job (see ThreadPool.cpp).
  alignas(kCacheLine) std::atomic<std::uint32_t> gate = 0;
  alignas(kCacheLine) std::atomic<std::int64_t> nextItem = 0;
  alignas(kCacheLine) std::atomic<bool> stopping = false;
  std::vector<std::thread> workers;
};

} // namespace moe::drivers::cpu

#endif // MOE_RUNTIME_DRIVERS_CPU_THREADPOOL_H

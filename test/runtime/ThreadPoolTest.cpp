//===- ThreadPoolTest.cpp - Every item exactly once --------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cpu/ThreadPool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>

using namespace moe::drivers::cpu;

namespace {

std::unique_ptr<ThreadPool> makePool(unsigned threads) {
  auto pool = ThreadPool::create(threads);
  EXPECT_TRUE(pool.ok());
  return std::move(*pool);
}

// Plain integers on purpose: the thread sanitizer sees two threads on one item, and a result read too early.
TEST(ThreadPool, EveryItemOnce) {
  for (unsigned threads = 1; threads <= 5; ++threads) {
    auto pool = makePool(threads);
    EXPECT_EQ(pool->numThreads(), threads);
    for (std::int64_t items : {0, 1, 2, 3, 7, 8, 64, 1001}) {
      std::vector<int> counts(static_cast<std::size_t>(items));
      for (int repetition = 1; repetition <= 20; ++repetition) {
        pool->run(items, [&](std::int64_t begin, std::int64_t end, unsigned thread) {
          EXPECT_LT(thread, threads);
          EXPECT_LT(begin, end);
          for (std::int64_t i = begin; i < end; ++i)
            ++counts[static_cast<std::size_t>(i)];
        });
        ASSERT_EQ(counts, std::vector<int>(counts.size(), repetition)) << threads << " threads";
      }
    }
  }
}

// Back to back, many launches: the gate's job number wraps around, and workers come late or not at all.
TEST(ThreadPool, ManyLaunches) {
  auto pool = makePool(3);
  std::vector<std::int64_t> sums(6);
  constexpr std::int64_t launches = 150000;
  for (std::int64_t launch = 0; launch < launches; ++launch)
    pool->run(6, [&](std::int64_t begin, std::int64_t end, unsigned) {
      for (std::int64_t i = begin; i < end; ++i)
        sums[static_cast<std::size_t>(i)] += launch;
    });
  EXPECT_EQ(sums, std::vector<std::int64_t>(6, launches * (launches - 1) / 2));
}

TEST(ThreadPool, SleepingWorkersWakeUp) {
  auto pool = makePool(2);
  for (int repetition = 0; repetition < 5; ++repetition) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // Item 0 waits for item 1, which only the worker can run.
    std::atomic<int> arrived = 0;
    pool->run(2, [&](std::int64_t, std::int64_t, unsigned) {
      arrived.fetch_add(1);
      while (arrived.load() < 2)
        std::this_thread::yield();
    });
    EXPECT_EQ(arrived.load(), 2);
  }
}

TEST(ThreadPool, WaitsForWhatWorkersHaveTaken) {
  auto pool = makePool(2);
  std::atomic<int> arrived = 0, finished = 0;
  pool->run(2, [&](std::int64_t, std::int64_t, unsigned thread) {
    arrived.fetch_add(1);
    while (arrived.load() < 2)
      std::this_thread::yield();
    if (thread != 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    finished.fetch_add(1);
  });
  EXPECT_EQ(finished.load(), 2);
}

TEST(ThreadPool, OneItemRunsOnTheCaller) {
  auto pool = makePool(4);
  for (int repetition = 0; repetition < 100; ++repetition)
    pool->run(1, [&, caller = std::this_thread::get_id()](std::int64_t begin, std::int64_t end, unsigned thread) {
      EXPECT_EQ(begin, 0);
      EXPECT_EQ(end, 1);
      EXPECT_EQ(thread, 0u);
      EXPECT_EQ(std::this_thread::get_id(), caller);
    });
}

TEST(ThreadPool, CreateAndDestroy) {
  for (int repetition = 0; repetition < 300; ++repetition) {
    auto pool = makePool(4);
    if (repetition % 3 == 0)
      pool->run(8, [](std::int64_t, std::int64_t, unsigned) {});
    if (repetition % 50 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(ThreadPool, WorkersLeaveSignalsToTheProgram) {
  auto pool = makePool(2);
  std::atomic<int> arrived = 0, blocked = 0;
  pool->run(2, [&](std::int64_t, std::int64_t, unsigned thread) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    if (thread != 0)
      blocked = sigismember(&mask, SIGINT);
    else
      EXPECT_EQ(sigismember(&mask, SIGINT), 0);
    arrived.fetch_add(1);
    while (arrived.load() < 2)
      std::this_thread::yield();
  });
  EXPECT_EQ(blocked.load(), 1);
}

} // namespace

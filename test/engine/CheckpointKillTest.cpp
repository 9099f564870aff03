//===- CheckpointKillTest.cpp - kill -9 in the middle of a save -----------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Checkpoint.h"
#include "lib/Engine/Checkpoint/StepDirectory.h"
#include "runtime/executor/Random.h"
#include "test/engine/EngineTest.h"
#include "test/engine/FakeModel.h"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

namespace moe::engine {
namespace {

constexpr int kKills = 40;
constexpr std::int64_t kKeep = 2;

/// Does what a run resumed after step `step` does to its checkpoints: prunes, then saves step after step, each one
/// twice. Every weight is the number of the step. Never returns.
[[noreturn]] void saveForever(const std::string &directory, std::int64_t step) {
  test::FakeSession session;
  const CheckpointStore store(directory);
  store.prune(step, kKeep);
  for (;;) {
    ++step;
    std::ranges::fill(session.variable("bigram.weight"), static_cast<float>(step));
    for (int twice = 0; twice < 2; ++twice)
      if (!store.save(session, {.step = step, .model = "{}"}, kKeep))
        ::_exit(1);
  }
}

// A process that does nothing but save is killed at a random moment, again and again. Each time the newest valid
// checkpoint is at least the one before, holds what was saved, and no complete one was lost or is invalid.
TEST(CheckpointKill, NewestValidCheckpointAlwaysLoads) {
  test::TemporaryDirectory directory;
  const CheckpointStore store(directory.path());
  test::FakeSession session;
  std::int64_t newestStep = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0)
      saveForever(directory.path(), newestStep);
    // Long enough for a few saves, and uniform over them.
    ::usleep(static_cast<useconds_t>(1e5 * random::uniform(1, 2, static_cast<std::uint64_t>(kill))));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child could not save";

    Result<CheckpointStore::Newest> newest = store.newest();
    ASSERT_OK(newest);
    ASSERT_TRUE(newest->skipped.empty()) << newest->skipped.front();
    if (!newest->checkpoint) {
      ASSERT_EQ(newestStep, 0);
      continue;
    }
    ASSERT_GE(newest->checkpoint->manifest.step, newestStep);
    newestStep = newest->checkpoint->manifest.step;
    ASSERT_OK(restore(session, *newest->checkpoint, Restore::modelAndOptimizer));
    ASSERT_EQ(session.variable("bigram.weight").front(), static_cast<float>(newestStep));
    ASSERT_EQ(session.variable("bigram.weight").back(), static_cast<float>(newestStep));
    // One more than is kept may be there if the process died before removing it.
    ASSERT_LE(listSteps(directory.path()).size(), static_cast<std::size_t>(kKeep) + 1);
  }
  EXPECT_GT(newestStep, 0);
}

} // namespace
} // namespace moe::engine

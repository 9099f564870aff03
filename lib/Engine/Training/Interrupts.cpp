//===- Interrupts.cpp - Signals of a training run -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/Interrupts.h"

#include <array>
#include <atomic>
#include <csignal>
#include <initializer_list>

namespace moe::engine {
namespace {

std::atomic<bool> stopRequested, checkpointRequested;
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers need lock-free atomics");

constexpr std::array kStopSignals = {SIGINT, SIGTERM};

void onStop(int) {
  stopRequested = true;
  for (int signal : kStopSignals)
    std::signal(signal, SIG_DFL);
}

void onCheckpoint(int) { checkpointRequested = true; }

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

} // namespace

Interrupts::Interrupts() {
  stopRequested = checkpointRequested = false;
  for (int signal : kStopSignals)
    handle(signal, onStop);
  handle(SIGUSR1, onCheckpoint);
}

Interrupts::~Interrupts() {
  for (int signal : {SIGINT, SIGTERM, SIGUSR1})
    std::signal(signal, SIG_DFL);
}

bool Interrupts::stop() { return stopRequested; }

bool Interrupts::takeCheckpoint() { return checkpointRequested.exchange(false); }

} // namespace moe::engine

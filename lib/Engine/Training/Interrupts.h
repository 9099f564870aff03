//===- Interrupts.h - Signals of a training run -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_INTERRUPTS_H
#define LIB_ENGINE_TRAINING_INTERRUPTS_H

namespace moe::engine {

/// What somebody outside asks of a run; looked at between steps.
class Requests {
public:
  virtual ~Requests() = default;
  /// Finish the step, save and end.
  virtual bool stop() { return false; }
  /// Save now and go on. Asking takes the request back.
  virtual bool takeCheckpoint() { return false; }
};

/// Requests by signal, while it lives: SIGINT and SIGTERM stop, a second one of either ends the process at once;
/// SIGUSR1 asks for a checkpoint. At most one at a time.
class Interrupts : public Requests {
public:
  Interrupts();
  ~Interrupts() override;
  Interrupts(const Interrupts &) = delete;
  Interrupts &operator=(const Interrupts &) = delete;

  bool stop() override;
  bool takeCheckpoint() override;
};

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_INTERRUPTS_H

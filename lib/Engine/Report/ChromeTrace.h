//===- ChromeTrace.h - When each instruction ran, for a viewer --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_CHROMETRACE_H
#define LIB_ENGINE_REPORT_CHROMETRACE_H

#include "lib/Engine/Support/Json.h"
#include "moe/Session.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

namespace moe::engine {

/// A file for chrome://tracing and https://ui.perfetto.dev, in the JSON array form of the trace event format
/// (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU): two rows, runs of entry points
/// above, their instructions below, one event a line and times in microseconds since the trace began:
///
///   {"name": "matmul_1024x128x128", "cat": "train_step", "ph": "X", "ts": 81.5, "dur": 12.25, "pid": 1, "tid": 2,
///    "args": {"label": "layers.1/mlp", "flops": 33554432, "bytes": 1114112}},
///
/// Events reach the file run by run. A process that is killed leaves the array without its closing bracket, which the
/// format allows.
class ChromeTrace {
public:
  /// Creates `path`, in place of what was there; with an empty path nothing is traced. `session` outlives the trace.
  /// Errors: ErrorCode::failed (cannot be written).
  static Result<std::unique_ptr<ChromeTrace>> create(Session &session, const std::string &path);
  ~ChromeTrace();

  /// For Session::setObserver, which then waits after each instruction; empty if nothing is traced. Not to be called
  /// after the end of the trace.
  Observer observer();

  /// Closes the array and the file. The error is the first one of all writes since `create`.
  Status finish();

private:
  using Clock = std::chrono::steady_clock;
  struct Close {
    void operator()(std::FILE *file) const { std::fclose(file); }
  };

  ChromeTrace(Session &session, const std::string &path);

  void record(const InstructionTiming &timing);
  void append(const Json &event);
  /// Puts what was appended into the file. Nothing more is written after a failure.
  void flush();

  const Artifact &artifact;
  const std::string path;
  const Clock::time_point start = Clock::now();
  Clock::time_point runBegin = start;
  std::string pending = "[\n";
  std::unique_ptr<std::FILE, Close> file; ///< Closed at the end of the trace.
  Status status; ///< The first failure to write.
};

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_CHROMETRACE_H

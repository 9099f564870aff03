//===- Status.h - Errors of the public API ----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// No exception crosses a public function: what can fail returns a `Status` or a `Result<T>`.
///
///   moe::Result<int> parsed = parse(text);
///   if (!parsed)
///     return parsed.status();
///   use(*parsed);
///
/// The code is also the exit code of `moe-run`; the message says what failed, where, and what to do.
///
//===----------------------------------------------------------------------===//
#ifndef MOE_STATUS_H
#define MOE_STATUS_H

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace moe {

/// What went wrong, as the exit code of `moe-run`.
enum class ErrorCode : int {
  ok = 0,
  failed = 1,
  usage = 2,
  configuration = 3,
  unsupportedModel = 4,
  corruptFile = 5,
  doesNotFit = 6,
  numerics = 7,
  communication = 8,
  checkpoint = 9,
  interrupted = 75,
};

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(ErrorCode code, std::string message) : errorCode(code), text(std::move(message)) {}

  bool ok() const { return errorCode == ErrorCode::ok; }
  explicit operator bool() const { return ok(); }
  ErrorCode code() const { return errorCode; }
  const std::string &message() const { return text; }

  /// The same error with `context` and ": " in front.
  Status withContext(const std::string &context) const {
    return ok() ? *this : Status(errorCode, context + ": " + text);
  }

private:
  ErrorCode errorCode = ErrorCode::ok;
  std::string text;
};

/// A value, or the reason why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : storage(std::move(value)) {}
  Result(Status status) : failure(std::move(status)) {
    assert(!failure.ok() && "a Result without a value needs an error");
  }
  Result(ErrorCode code, std::string message) : Result(Status(code, std::move(message))) {}

  bool ok() const { return storage.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status &status() const { return failure; }

  T &operator*() { return *storage; }
  const T &operator*() const { return *storage; }
  T *operator->() { return &*storage; }
  const T *operator->() const { return &*storage; }

private:
  std::optional<T> storage;
  Status failure;
};

} // namespace moe

#endif // MOE_STATUS_H

//===- TestArtifact.h - Small artifacts for tests ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TEST_RUNTIME_TESTARTIFACT_H
#define MOE_TEST_RUNTIME_TESTARTIFACT_H

#include "moe/Session.h"
#include "runtime/format/ArtifactWriter.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace moe::test {

using format::BufferRef;
using format::Space;

/// Builds an artifact whose blob 0 is the shared object of Kernels.c; for the target "cuda", whatever `code` is set to.
class ArtifactBuilder {
public:
  explicit ArtifactBuilder(const std::string &target = "cpu");

  /// These return the index of what they add.
  unsigned variable(const std::string &name, format::VariableRole role, std::vector<std::int64_t> shape,
                    format::InitializerKind kind = format::InitializerKind::zeros, double stddev = 0,
                    format::DType dtype = format::DType::f32);
  unsigned kernel(const std::string &name, std::uint32_t items, unsigned operands, unsigned results,
                  std::uint64_t scratchBytes = 0);

  format::EntryPointT &entryPoint(const std::string &name, std::uint64_t workspaceBytes = 0);
  static void input(format::EntryPointT &entryPoint, const std::string &name, std::vector<std::int64_t> shape);
  static void output(format::EntryPointT &entryPoint, const std::string &name, std::vector<std::int64_t> shape);
  static void launch(format::EntryPointT &entryPoint, unsigned kernel, std::vector<BufferRef> buffers,
                     const std::string &label = "");
  static void copy(format::EntryPointT &entryPoint, BufferRef source, BufferRef destination);
  static void fill(format::EntryPointT &entryPoint, BufferRef destination, std::uint8_t value);

  /// The file; a failed expectation if it is refused.
  std::vector<std::byte> encode();
  /// Why it is refused, or success.
  Status check();
  std::shared_ptr<const Artifact> build();

  format::ArtifactT table;
  std::vector<std::byte> code;             ///< Blob 0.
  std::vector<format::BlobData> moreBlobs; ///< Blobs 1, 2, ...
};

/// The artifact that most tests use: variables of every role; `step` computes y = 2 (x + weight) through the workspace
/// and adds 1 to `weight`; `other` copies `weight` to an output and fills `cache` with byte 1.
inline constexpr std::int64_t kElements = 1000;
ArtifactBuilder exampleArtifact(const std::string &target = "cpu");

/// The session, or a failed expectation.
std::unique_ptr<Session> makeSession(std::shared_ptr<const Artifact> artifact, int threads = 0);

std::vector<float> readFloats(Session &session, std::string_view variable, std::size_t count);

} // namespace moe::test

/// For moe::Status and moe::Result: success, or a failure that quotes the message.
#define EXPECT_OK(EXPRESSION)                                                                                          \
  do {                                                                                                                 \
    const auto &outcome = (EXPRESSION);                                                                                \
    EXPECT_TRUE(outcome.ok()) << moe::test::messageOf(outcome);                                                        \
  } while (false)

/// The expression failed with this code and a message that contains TEXT.
#define EXPECT_ERROR(EXPRESSION, CODE, TEXT)                                                                           \
  do {                                                                                                                 \
    const auto &outcome = (EXPRESSION);                                                                                \
    EXPECT_FALSE(outcome.ok());                                                                                        \
    EXPECT_EQ(moe::test::codeOf(outcome), CODE) << moe::test::messageOf(outcome);                                      \
    EXPECT_NE(moe::test::messageOf(outcome).find(TEXT), std::string::npos) << moe::test::messageOf(outcome);           \
  } while (false)

namespace moe::test {
inline const std::string &messageOf(const Status &status) { return status.message(); }
inline ErrorCode codeOf(const Status &status) { return status.code(); }
template <typename T> const std::string &messageOf(const Result<T> &result) { return result.status().message(); }
template <typename T> ErrorCode codeOf(const Result<T> &result) { return result.status().code(); }
} // namespace moe::test

#endif // MOE_TEST_RUNTIME_TESTARTIFACT_H

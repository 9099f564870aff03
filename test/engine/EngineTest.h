//===- EngineTest.h - Helpers of the engine's tests -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_ENGINE_ENGINETEST_H
#define TEST_ENGINE_ENGINETEST_H

#include "lib/Engine/Support/Console.h"
#include "moe/Status.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#define EXPECT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    const moe::Status moeStatus = moe::test::statusOf(expression);                                                     \
    EXPECT_TRUE(moeStatus.ok()) << moeStatus.message();                                                                \
  } while (false)
#define ASSERT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    const moe::Status moeStatus = moe::test::statusOf(expression);                                                     \
    ASSERT_TRUE(moeStatus.ok()) << moeStatus.message();                                                                \
  } while (false)

/// The status has this code and its message contains `text`.
#define EXPECT_FAILS(expression, wanted, text)                                                                         \
  do {                                                                                                                 \
    const moe::Status moeStatus = moe::test::statusOf(expression);                                                     \
    EXPECT_EQ(moeStatus.code(), wanted) << moeStatus.message();                                                        \
    EXPECT_NE(moeStatus.message().find(text), std::string::npos) << moeStatus.message();                               \
  } while (false)

namespace moe::test {

inline const Status &statusOf(const Status &status) { return status; }
template <typename T> const Status &statusOf(const Result<T> &result) { return result.status(); }

/// A directory that is removed at the end of the test.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "moe-engine-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }

  std::string operator/(const std::string &name) const { return directory + "/" + name; }
  const std::string &path() const { return directory; }

private:
  std::string directory;
};

inline void writeText(const std::string &path, std::string_view text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string readText(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A console that writes into a file and shows what it got.
class CapturedConsole {
public:
  CapturedConsole() : file(std::tmpfile()), target({}, file) {}
  ~CapturedConsole() { std::fclose(file); }

  engine::Console &console() { return target; }
  std::string text() {
    std::string contents(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    contents.resize(std::fread(contents.data(), 1, contents.size(), file));
    return contents;
  }

private:
  std::FILE *file;
  engine::Console target;
};

} // namespace moe::test

#endif // TEST_ENGINE_ENGINETEST_H

//===- StringsTest.cpp - Words for numbers, times and misspellings; strict JSON -===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Support/Strings.h"
#include "lib/Engine/Support/Files.h"
#include "lib/Engine/Support/Json.h"
#include "test/engine/EngineTest.h"

#include <array>

namespace moe::engine {
namespace {

TEST(Strings, Numbers) {
  EXPECT_EQ(formatBytes(0), "0 B");
  EXPECT_EQ(formatBytes(1023), "1023 B");
  EXPECT_EQ(formatBytes(1536), "1.50 KiB");
  EXPECT_EQ(formatBytes(std::uint64_t(123) << 20), "123 MiB");
  EXPECT_EQ(formatCount(999), "999");
  EXPECT_EQ(formatCount(812345), "812 K");
  EXPECT_EQ(formatCount(999999), "1.00 M");
  EXPECT_EQ(formatDouble(0.1), "0.1");
  EXPECT_EQ(formatDouble(3), "3.0");
  EXPECT_EQ(formatDouble(1e-9), "1e-09");
  EXPECT_EQ(formatHash(255), "00000000000000ff");
}

TEST(Strings, Durations) {
  EXPECT_EQ(formatDuration(6.6), "0:07");
  EXPECT_EQ(formatDuration(3723), "1:02:03");
  EXPECT_EQ(formatDuration(-1), "0:00");
  EXPECT_EQ(*parseDuration("90"), 90);
  EXPECT_EQ(*parseDuration("90s"), 90);
  EXPECT_EQ(*parseDuration("1h30m"), 5400);
  EXPECT_EQ(*parseDuration("0.5m"), 30);
  for (const char *wrong : {"", "x", "-3", "3d", "s", "3 s", "1e3", "inf"})
    EXPECT_FAILS(parseDuration(wrong), ErrorCode::configuration, "not a duration");
}

TEST(Strings, Nearest) {
  const std::array<std::string, 3> words = {"steps", "keep", "save_every"};
  EXPECT_EQ(nearest("step", words), "steps");
  EXPECT_EQ(nearest("save_evry", words), "save_every");
  EXPECT_EQ(nearest("completely_different", words), "");
}

TEST(Json, Strict) {
  EXPECT_OK(parseJson(R"({"a": {"x": 1}, "b": {"x": 2}})"));
  EXPECT_FAILS(parseJson(R"({"a": {"x": 1, "y": {"x": 1}, "x": 2}})"), ErrorCode::corruptFile, "\"x\" occurs twice");
  EXPECT_FAILS(parseJson("[[[]]]", 2), ErrorCode::corruptFile, "nested deeper than 2 levels");
  EXPECT_OK(parseJson("[[]]", 2));
  EXPECT_FAILS(parseJson(std::string(100000, '[')), ErrorCode::corruptFile, "invalid JSON");
  EXPECT_FAILS(parseJson(""), ErrorCode::corruptFile, "invalid JSON");
  EXPECT_FAILS(parseJson("{} {}"), ErrorCode::corruptFile, "invalid JSON");
  EXPECT_FAILS(parseJson("\"\xFF\""), ErrorCode::corruptFile, "invalid JSON");
}

TEST(Files, ReplaceIsWholeAndLeavesNothing) {
  test::TemporaryDirectory directory;
  ASSERT_OK(replaceFile(directory / "a", "one"));
  ASSERT_OK(replaceFile(directory / "a", "two"));
  EXPECT_EQ(*readFile(directory / "a"), "two");
  EXPECT_FALSE(std::filesystem::exists(directory / "a.tmp"));
  EXPECT_FAILS(replaceFile(directory / "none/a", ""), ErrorCode::failed, "none/a");
}

} // namespace
} // namespace moe::engine

//===- ConsoleTest.cpp - Logs where there is no terminal ------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/engine/EngineTest.h"

namespace moe::engine {
namespace {

std::string logged(const ConsoleOptions &options) {
  std::FILE *file = std::tmpfile();
  {
    Console console(options, file);
    console.info("hello");
    console.progress("train", 0.5, "one");
    console.progress("train", 0.6, "too soon for two");
    console.progressDone();
    console.progress("evaluate", 0.5, "three");
    console.warning("careful");
    console.error("failed");
  }
  std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

TEST(Console, PlainLines) {
  EXPECT_EQ(logged({}), "hello\ntrain one\nevaluate three\nwarning: careful\nerror: failed\n");
}

TEST(Console, NoProgress) { EXPECT_EQ(logged({.noProgress = true}), "hello\nwarning: careful\nerror: failed\n"); }

TEST(Console, Quiet) { EXPECT_EQ(logged({.quiet = true}), "warning: careful\nerror: failed\n"); }

} // namespace
} // namespace moe::engine

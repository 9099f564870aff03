//===- ChromeTraceTest.cpp - The trace file of a run ----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/ChromeTrace.h"
#include "test/engine/EngineTest.h"
#include "test/engine/SmallArtifact.h"

#include <filesystem>

namespace moe::engine {
namespace {

/// A small program (a launch, a copy and a fill) on the device that computes nothing.
class ChromeTraceTest : public testing::Test {
protected:
  ChromeTraceTest() : session(std::move(*Session::create(test::smallArtifact()))) {}

  /// Runs the program once, observed.
  void runTraced(ChromeTrace &trace) {
    session->setObserver(trace.observer());
    EXPECT_OK(session->find("apply")->run());
    session->setObserver({});
  }

  Json readTrace() {
    Result<Json> trace = parseJson(test::readText(path));
    EXPECT_OK(trace);
    return trace ? *trace : Json();
  }

  test::TemporaryDirectory directory;
  std::string path = directory / "trace.json";
  std::unique_ptr<Session> session;
};

TEST_F(ChromeTraceTest, HasEveryInstructionAndEveryRun) {
  Result<std::unique_ptr<ChromeTrace>> trace = ChromeTrace::create(*session, path);
  ASSERT_OK(trace);
  runTraced(**trace);
  runTraced(**trace);
  ASSERT_OK((*trace)->finish());

  const Json events = readTrace();
  ASSERT_EQ(events.size(), 3u + 2 * 4u) << "three names, then two runs";
  EXPECT_EQ(events[0]["args"]["name"], session->driver().description());
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(events[i]["ph"], "M");
  for (std::size_t run = 3; run < events.size(); run += 4) {
    const Json &launch = events[run], &copy = events[run + 1], &fill = events[run + 2], &whole = events[run + 3];
    EXPECT_EQ(launch["name"], "matmul");
    EXPECT_EQ(launch["args"], Json::parse(R"({"label": "layers.0/mlp", "flops": 32000, "bytes": 0})"));
    EXPECT_EQ(copy["name"], "copy");
    EXPECT_EQ(copy["args"], Json::parse(R"({"flops": 0, "bytes": 32})"));
    EXPECT_EQ(fill["name"], "fill");
    EXPECT_EQ(fill["args"]["bytes"], 64);
    EXPECT_EQ(whole["name"], "apply");
    EXPECT_NE(whole["tid"], launch["tid"]);
    for (std::size_t i = run; i < run + 4; ++i) {
      EXPECT_EQ(events[i]["ph"], "X");
      EXPECT_EQ(events[i]["cat"], "apply");
      EXPECT_GE(events[i]["dur"], 0.0);
    }
    // A run begins with its first instruction and ends with its last; instructions do not overlap.
    EXPECT_EQ(whole["ts"], launch["ts"]);
    const auto end = [](const Json &event) { return event["ts"].get<double>() + event["dur"].get<double>(); };
    EXPECT_NEAR(end(whole), end(fill), 1e-3);
    EXPECT_LE(end(launch), copy["ts"].get<double>() + 1e-3);
    EXPECT_LE(end(copy), fill["ts"].get<double>() + 1e-3);
  }
}

TEST_F(ChromeTraceTest, LacksOnlyTheBracketWhileItIsWritten) {
  Result<std::unique_ptr<ChromeTrace>> trace = ChromeTrace::create(*session, path);
  ASSERT_OK(trace);
  EXPECT_OK(parseJson(test::readText(path) + "]"));
  runTraced(**trace);
  Result<Json> events = parseJson(test::readText(path) + "]");
  ASSERT_OK(events);
  EXPECT_EQ(events->size(), 7u);
  trace->reset();
  EXPECT_EQ(readTrace(), *events) << "whatever ends it closes it";
}

TEST_F(ChromeTraceTest, IsNothingWithoutAPath) {
  Result<std::unique_ptr<ChromeTrace>> trace = ChromeTrace::create(*session, "");
  ASSERT_OK(trace);
  EXPECT_FALSE((*trace)->observer());
  EXPECT_OK((*trace)->finish());
}

TEST_F(ChromeTraceTest, SaysWhatCannotBeWritten) {
  EXPECT_FAILS(ChromeTrace::create(*session, directory / "absent/trace.json"), ErrorCode::failed,
               "cannot create the trace");
  if (std::filesystem::exists("/dev/full")) // A disk without space.
    EXPECT_FAILS(ChromeTrace::create(*session, "/dev/full"), ErrorCode::failed, "cannot write the trace '/dev/full'");
}

} // namespace
} // namespace moe::engine

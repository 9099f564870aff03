//===- Conformance.cpp - Does a target compute what it should? ---------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Conformance/Conformance.h"

#include "lib/Engine/Support/Strings.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <map>
#include <regex>

namespace moe::engine {
namespace {

constexpr int kTimedRuns = 20;

/// The bytes of every output.
using Outputs = std::map<std::string, std::vector<std::byte>>;

/// Runs in memory full of NaNs.
Result<Outputs> runPoisoned(EntryPoint &entry) {
  if (Status status = entry.poison(); !status)
    return status;
  if (Status status = entry.run(); !status)
    return status;
  Outputs outputs;
  for (const format::Port *port : *entry.table().outputs()) {
    std::vector<std::byte> &bytes = outputs[port->name()->str()];
    bytes.resize(format::byteSize(*port));
    if (Status status = entry.getOutput(port->name()->str(), std::span<std::byte>(bytes)); !status)
      return status;
  }
  return outputs;
}

Result<double> timeRuns(Session &session, EntryPoint &entry) {
  std::vector<double> seconds;
  for (int run = 0; run < kTimedRuns; ++run) {
    auto elapsed = session.driver().time([&] { return entry.run(); });
    if (!elapsed)
      return elapsed.status();
    seconds.push_back(std::chrono::duration<double>(*elapsed).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + kTimedRuns / 2, seconds.end());
  return seconds[kTimedRuns / 2];
}

/// One case on one target.
class CaseRun {
public:
  CaseRun(Session &session, const ConformanceBundle &bundle, const ConformanceCase &listed, bool time)
      : session(session), bundle(bundle), listed(listed), time(time) {}

  /// An error is what went wrong; how far it came is in `result`.
  Status run(CaseResult &result);

private:
  Status setInputs(EntryPoint &entry);
  Status compare(const EntryPoint &entry, const Outputs &outputs, WorstElement &worst);

  Session &session;
  const ConformanceBundle &bundle;
  const ConformanceCase &listed;
  const bool time;
};

Status CaseRun::setInputs(EntryPoint &entry) {
  for (const format::Port *port : *entry.table().inputs()) {
    const std::string name = port->name()->str();
    Result<TensorView> input = bundle.findInput(listed, name);
    if (!input)
      return input.status();
    if (Status status = entry.setInput(name, input->bytes); !status)
      return status;
  }
  return {};
}

Status CaseRun::compare(const EntryPoint &entry, const Outputs &outputs, WorstElement &worst) {
  for (const format::Port *port : *entry.table().outputs()) {
    const std::string name = port->name()->str();
    Result<TensorView> expected = bundle.findOutput(listed, "expected", name);
    if (!expected)
      return expected.status();
    std::optional<TensorView> tolerance;
    if (format::isFloat(port->dtype())) {
      Result<TensorView> found = bundle.findOutput(listed, "tolerance", name);
      if (!found)
        return found.status();
      tolerance = *found;
    }
    Result<WorstElement> element =
        compareOutput(name, port->dtype(), outputs.at(name), *expected, tolerance ? &*tolerance : nullptr);
    if (!element)
      return element.status();
    if (worst.output.empty() || element->share() > worst.share())
      worst = *element;
  }
  return {};
}

Status CaseRun::run(CaseResult &result) {
  EntryPoint *entry = session.find(listed.entry);
  if (!entry)
    return Status(ErrorCode::corruptFile, "the artifact has no such entry point");
  if (Status status = setInputs(*entry); !status)
    return status;
  Result<Outputs> first = runPoisoned(*entry);
  if (!first)
    return first.status();
  // The inputs are not set again: nothing may have changed them.
  Result<Outputs> second = runPoisoned(*entry);
  if (!second)
    return second.status();
  if (Status status = compare(*entry, *first, result.worst); !status)
    return status;
  if (result.worst.share() > 1)
    return Status(ErrorCode::numerics,
                  format("%s[%lld] is %.9g, not %.9g", result.worst.output.c_str(),
                         static_cast<long long>(result.worst.index), result.worst.actual, result.worst.expected));
  for (const auto &[name, bytes] : *first)
    if (bytes != second->at(name))
      return Status(ErrorCode::numerics, "'" + name + "' has other bits in the second run");
  if (time) {
    Result<double> seconds = timeRuns(session, *entry);
    if (!seconds)
      return seconds.status();
    result.seconds = *seconds;
  }
  return {};
}

} // namespace

std::size_t TargetResult::numFailed() const {
  return static_cast<std::size_t>(
      std::count_if(cases.begin(), cases.end(), [](const CaseResult &result) { return !result.problem.empty(); }));
}

const CaseResult *TargetResult::worst() const {
  auto less = [](const CaseResult &a, const CaseResult &b) { return a.worst.share() < b.worst.share(); };
  const auto found = std::max_element(cases.begin(), cases.end(), less);
  return found == cases.end() ? nullptr : &*found;
}

std::string targetOf(const Artifact &artifact) {
  return artifact.table().target()->name()->str() + ":" + artifact.table().target()->arch()->str();
}

/// Matches everything if `text` is empty.
static Result<std::regex> parseFilter(const std::string &text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error &error) {
    return Status(ErrorCode::usage, "'" + text + "' is no regular expression: " + error.what());
  }
}

Result<TargetResult> runConformance(Session &session, const ConformanceBundle &bundle,
                                    const ConformanceOptions &options) {
  Result<std::regex> filter = parseFilter(options.filter);
  if (!filter)
    return filter.status();
  TargetResult results{targetOf(session.artifact()), session.driver().description(), {}, ""};
  for (const ConformanceCase &listed : bundle.cases()) {
    if (!std::regex_search(listed.entry, *filter))
      continue;
    CaseResult &result = results.cases.emplace_back(CaseResult{listed, {}, -1, ""});
    result.problem = CaseRun(session, bundle, listed, options.time).run(result).message();
  }
  if (results.cases.empty())
    return Status(ErrorCode::usage, "no case is named like '" + options.filter + "'");
  return results;
}

} // namespace moe::engine

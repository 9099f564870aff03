//===- ChromeTrace.cpp - When each instruction ran, for a viewer ----------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/ChromeTrace.h"

#include "lib/Engine/Report/ProgramText.h"
#include "lib/Engine/Support/Files.h"

#include <string_view>

namespace moe::engine {
namespace {

enum Row { kEntryPoints = 1, kInstructions = 2 };

Json nameOf(const char *what, int row, const std::string &name) {
  return {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", row}, {"args", {{"name", name}}}};
}

/// To the nanosecond.
double microseconds(std::chrono::steady_clock::duration duration) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count()) / 1000;
}

/// What the compiler counted; copies and fills count their own bytes.
Json arguments(const format::Artifact &artifact, const format::Instruction &instruction) {
  std::uint64_t flops = 0, bytes = 0;
  if (const format::Launch *launch = instruction.operation_as_Launch()) {
    const format::Kernel &kernel = *artifact.kernels()->Get(launch->kernel());
    flops = kernel.flops();
    bytes = kernel.bytes();
  } else {
    for (const format::BufferRef *ref : referencedBuffers(instruction))
      bytes += ref->size();
  }
  Json result = Json::object();
  if (const flatbuffers::String *label = instruction.label(); label && label->size() != 0)
    result["label"] = label->str();
  result["flops"] = flops;
  result["bytes"] = bytes;
  return result;
}

} // namespace

Result<std::unique_ptr<ChromeTrace>> ChromeTrace::create(Session &session, const std::string &path) {
  std::unique_ptr<ChromeTrace> trace(new ChromeTrace(session, path));
  if (path.empty())
    return trace;
  if (!trace->file)
    return systemError(ErrorCode::failed, "cannot create the trace", path);
  trace->append(nameOf("process_name", kEntryPoints, session.driver().description()));
  trace->append(nameOf("thread_name", kEntryPoints, "entry points"));
  trace->append(nameOf("thread_name", kInstructions, "instructions"));
  trace->flush();
  if (!trace->status)
    return trace->status;
  return trace;
}

ChromeTrace::ChromeTrace(Session &session, const std::string &path)
    : artifact(session.artifact()), path(path), file(path.empty() ? nullptr : std::fopen(path.c_str(), "we")) {}

ChromeTrace::~ChromeTrace() { (void)finish(); }

Observer ChromeTrace::observer() {
  if (!file)
    return {};
  return [this](const InstructionTiming &timing) { record(timing); };
}

void ChromeTrace::record(const InstructionTiming &timing) {
  const format::EntryPoint &entryPoint = timing.entryPoint.table();
  const auto event = [&](const std::string &name, Row row, Clock::time_point begin) -> Json {
    return {{"name", name},
            {"cat", entryPoint.name()->str()},
            {"ph", "X"},
            {"ts", microseconds(begin - start)},
            {"dur", microseconds(timing.end - begin)},
            {"pid", 1},
            {"tid", static_cast<int>(row)}};
  };
  const format::Instruction &instruction = *entryPoint.program()->Get(static_cast<unsigned>(timing.instruction));
  Json executed = event(operationName(artifact.table(), instruction), kInstructions, timing.begin);
  executed["args"] = arguments(artifact.table(), instruction);
  append(executed);

  if (timing.instruction == 0)
    runBegin = timing.begin;
  if (timing.instruction + 1 == entryPoint.program()->size()) {
    append(event(entryPoint.name()->str(), kEntryPoints, runBegin));
    flush();
  }
}

void ChromeTrace::append(const Json &event) {
  if (pending.empty())
    pending = ",\n";
  else if (pending != "[\n")
    pending += ",\n";
  pending += event.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void ChromeTrace::flush() {
  if (status && (std::fwrite(pending.data(), 1, pending.size(), file.get()) != pending.size() ||
                 std::fflush(file.get()) != 0))
    status = systemError(ErrorCode::failed, "cannot write the trace", path);
  pending.clear();
}

Status ChromeTrace::finish() {
  if (file) {
    pending += "\n]\n";
    flush();
    if (std::fclose(file.release()) != 0 && status)
      status = systemError(ErrorCode::failed, "cannot write the trace", path);
  }
  return status;
}

} // namespace moe::engine

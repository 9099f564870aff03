//===- DoctorReport.cpp - What this machine can run, in words -------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Doctor.h"
#include "lib/Engine/Report/Table.h"
#include "lib/Engine/Support/Strings.h"

#include <algorithm>

namespace moe::engine {
namespace {

constexpr int kSchemaVersion = 1;

double number(const DeviceFact &fact) {
  if (const auto *count = std::get_if<std::int64_t>(&fact.value))
    return static_cast<double>(*count);
  return std::get<double>(fact.value);
}

/// The name without its unit, and the value with it: {"memory total", "79.1 GiB"}.
std::vector<std::string> row(const DeviceFact &fact) {
  std::string name = fact.name, value;
  auto takeUnit = [&](std::string_view unit) {
    if (!name.ends_with(unit))
      return false;
    name.resize(name.size() - unit.size());
    return true;
  };
  if (const auto *text = std::get_if<std::string>(&fact.value))
    value = *text;
  else if (takeUnit("_bytes"))
    value = formatBytes(static_cast<std::uint64_t>(number(fact)));
  else if (takeUnit("_gb_per_s"))
    value = format("%.1f GB/s", number(fact));
  else if (takeUnit("_gflop_per_s"))
    value = format("%.0f GFLOP/s", number(fact));
  else
    value = format("%.10g", number(fact));
  std::ranges::replace(name, '_', ' ');
  return {name, value};
}

std::string formatFacts(const std::vector<DeviceFact> &facts, std::size_t indent = 2) {
  Table table({"", ""}, "ll", indent);
  for (const DeviceFact &fact : facts)
    table.add(row(fact));
  return table.text();
}

std::string formatDevice(const DeviceReport &device) {
  std::string text = format("%s %d: %s\n", device.driver.c_str(), device.ordinal, device.description.c_str());
  text += formatFacts(device.facts);
  if (!device.selfTest)
    return text;
  if (!device.selfTest->ok())
    return text + "  self-test FAILED: " + device.selfTest->message() + "\n";
  return text + format("  self-test passed in %.1f s\n", device.selfTestSeconds) + formatFacts(device.measurements, 4);
}

Json factsToJson(const std::vector<DeviceFact> &facts) {
  Json json = Json::object();
  for (const DeviceFact &fact : facts)
    std::visit([&](const auto &value) { json[fact.name] = value; }, fact.value);
  return json;
}

Json deviceToJson(const DeviceReport &device) {
  Json json = {{"driver", device.driver},
               {"ordinal", device.ordinal},
               {"description", device.description},
               {"facts", factsToJson(device.facts)}};
  if (!device.selfTest)
    return json;
  Json &test = json["self_test"] = {{"passed", device.selfTest->ok()}, {"seconds", device.selfTestSeconds}};
  if (!device.selfTest->ok())
    test["reason"] = device.selfTest->message();
  test["measurements"] = factsToJson(device.measurements);
  return json;
}

} // namespace

std::string formatDoctorReport(const DoctorReport &report) {
  std::string text = "build\n" + formatFacts(report.build) + "machine\n" + formatFacts(report.machine);
  for (const DeviceReport &device : report.devices)
    text += formatDevice(device);
  for (const MissingDevice &missing : report.missing)
    text += missing.driver + ": none; " + missing.reason.message() + "\n";
  text += report.nccl ? "NCCL " + *report.nccl + "\n" : "NCCL: none; needed only for several GPUs\n";
  return text + (report.verdict ? "everything that is here works\n" : "NOT well: " + report.verdict.message() + "\n");
}

Json doctorReportToJson(const DoctorReport &report) {
  Json json = {{"schema_version", kSchemaVersion},   {"healthy", report.verdict.ok()},
               {"build", factsToJson(report.build)}, {"machine", factsToJson(report.machine)},
               {"devices", Json::array()},           {"missing", Json::array()}};
  for (const DeviceReport &device : report.devices)
    json["devices"].push_back(deviceToJson(device));
  for (const MissingDevice &missing : report.missing)
    json["missing"].push_back({{"driver", missing.driver}, {"reason", missing.reason.message()}});
  json["nccl"] = report.nccl ? Json(*report.nccl) : Json(nullptr);
  if (!report.verdict)
    json["problem"] = report.verdict.message();
  return json;
}

} // namespace moe::engine

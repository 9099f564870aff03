//===- Doctor.cpp - What this machine can run -----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Doctor.h"

#include "lib/Engine/Support/Strings.h"
#include "runtime/executor/Ranges.h"

#include <chrono>
#include <dlfcn.h>
#include <fstream>
#include <sstream>
#include <sys/utsname.h>
#include <thread>

#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

namespace moe::engine {
namespace {

std::vector<DeviceFact> describeBuild() {
  std::string drivers;
  for (const std::string &driver : registeredDrivers())
    drivers += (drivers.empty() ? "" : " ") + driver;
#if defined(NDEBUG)
  const std::string checks = "assertions off";
#else
  const std::string checks = "assertions on";
#endif
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "gcc " __VERSION__;
#endif
  return {{"drivers", drivers}, {"compiler", compiler.substr(0, compiler.find(" ("))}, {"checks", checks},
          {"profiler_ranges", std::string(hasProfilerRanges() ? "NVTX" : "none")}};
}

/// A value of /proc/meminfo in bytes.
std::optional<std::int64_t> memoryInfo(const std::string &key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":"))
      return std::strtoll(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
  return std::nullopt;
}

/// The limit that a container sets, if there is one.
std::optional<std::int64_t> memoryLimit() {
  for (const char *path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::int64_t limit = 0;
    if (std::ifstream file(path); file >> limit)
      return limit;
  }
  return std::nullopt;
}

std::vector<DeviceFact> describeMachine() {
  std::vector<DeviceFact> facts;
  utsname system = {};
  if (::uname(&system) == 0)
    facts.push_back({"system", std::string(system.sysname) + " " + system.release + " " + system.machine});
#if defined(__GLIBC__)
  facts.push_back({"libc", "glibc " + std::string(::gnu_get_libc_version())});
#endif
  facts.push_back({"processors", std::int64_t{std::thread::hardware_concurrency()}});
  const auto total = memoryInfo("MemTotal"), available = memoryInfo("MemAvailable"), limit = memoryLimit();
  if (total)
    facts.push_back({"memory_bytes", *total});
  if (available)
    facts.push_back({"available_memory_bytes", *available});
  if (limit && (!total || *limit < *total))
    facts.push_back({"memory_limit_bytes", *limit});
  return facts;
}

/// The version of NCCL, opened as several GPUs would.
std::optional<std::string> findNccl() {
  void *library = ::dlopen("libnccl.so.2", RTLD_LAZY | RTLD_LOCAL);
  if (!library)
    return std::nullopt;
  int version = 0; // 10000 · major + 100 · minor + patch since 2.9.
  const auto getVersion = reinterpret_cast<int (*)(int *)>(::dlsym(library, "ncclGetVersion"));
  if (!getVersion || getVersion(&version) != 0)
    return "unknown";
  return format("%d.%d.%d", version / 10000, version % 10000 / 100, version % 100);
}

DeviceReport examineDevice(Driver &driver, int ordinal, const DoctorOptions &options) {
  DeviceReport report;
  report.driver = driver.name();
  report.ordinal = ordinal;
  report.description = driver.description();
  report.facts = driver.facts();
  if (!options.selfTest)
    return report;
  const auto begin = std::chrono::steady_clock::now();
  Result<std::vector<DeviceFact>> measurements = driver.selfTest();
  report.selfTestSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.selfTest = measurements.status();
  if (measurements)
    report.measurements = std::move(*measurements);
  return report;
}

/// More than a machine has: a driver that opens so many opens any.
constexpr int kTooManyDevices = 256;

/// Opens device after device until there is no further one.
void examineDriver(const std::string &name, const DoctorOptions &options, DoctorReport &report) {
  const std::size_t others = report.devices.size();
  for (int ordinal = 0;; ++ordinal) {
    if (ordinal == kTooManyDevices) {
      report.devices.resize(others);
      report.missing.push_back({name, Status(ErrorCode::failed, "opens device " + std::to_string(ordinal - 1) +
                                                                    "; a driver refuses what is not there with "
                                                                    "ErrorCode::configuration")});
      return;
    }
    Result<std::unique_ptr<Driver>> driver = openDriver(name, {.device = ordinal});
    if (!driver && ordinal > 0 && driver.status().code() == ErrorCode::configuration)
      return;
    if (!driver) {
      report.missing.push_back({name, driver.status()});
      return;
    }
    report.devices.push_back(examineDevice(**driver, ordinal, options));
  }
}

} // namespace

DoctorReport examine(const DoctorOptions &options) {
  DoctorReport report;
  report.build = describeBuild();
  report.machine = describeMachine();
  report.nccl = findNccl();
  if (!options.target.empty()) {
    examineDriver(options.target, options, report);
  } else {
    for (const std::string &driver : registeredDrivers())
      if (driver != "null") // No device.
        examineDriver(driver, options, report);
  }

  for (const DeviceReport &device : report.devices)
    if (device.selfTest && !device.selfTest->ok() && report.verdict)
      report.verdict = device.selfTest->withContext("the self-test of " + device.driver + " device " +
                                                    std::to_string(device.ordinal) + " failed");
  for (const MissingDevice &missing : report.missing)
    if (report.verdict && (missing.driver == options.target || missing.reason.code() != ErrorCode::unsupportedModel))
      report.verdict = missing.reason.withContext(missing.driver);
  return report;
}

} // namespace moe::engine

//===- Doctor.h - What this machine can run ---------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_DOCTOR_H
#define LIB_ENGINE_REPORT_DOCTOR_H

#include "lib/Engine/Support/Json.h"
#include "moe/Driver.h"

#include <optional>
#include <string>
#include <vector>

namespace moe::engine {

struct DoctorOptions {
  std::string target = {}; ///< Only this driver, which must then work; all if empty.
  bool selfTest = true;    ///< Less than five seconds for each device.
};

/// A device that a driver could open.
struct DeviceReport {
  std::string driver;
  int ordinal = 0;
  std::string description;
  std::vector<DeviceFact> facts;
  std::optional<Status> selfTest; ///< Nothing if it was not run.
  double selfTestSeconds = 0;
  std::vector<DeviceFact> measurements;
};

/// A driver that could not open any.
struct MissingDevice {
  std::string driver;
  Status reason;
};

struct DoctorReport {
  std::vector<DeviceFact> build, machine;
  std::vector<DeviceReport> devices;
  std::vector<MissingDevice> missing;
  std::optional<std::string> nccl; ///< Its version, if it is there.
  /// Success, or what is wrong: a self-test that failed, or a target that was asked for and is not there. A GPU that is
  /// not there is nothing wrong otherwise.
  Status verdict;
};

/// Looks at the machine, opens each device of each driver (except `null`) and tests it.
DoctorReport examine(const DoctorOptions &options);

std::string formatDoctorReport(const DoctorReport &report);
/// {"schema_version": 1, "healthy": true, "build": {...}, "machine": {...}, "devices": [...], "missing": [...], ...}
Json doctorReportToJson(const DoctorReport &report);

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_DOCTOR_H

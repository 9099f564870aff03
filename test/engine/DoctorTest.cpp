//===- DoctorTest.cpp - What this machine can run -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Doctor.h"
#include "test/engine/EngineTest.h"

#include <algorithm>

namespace moe::engine {
namespace {

const DeviceReport *findDevice(const DoctorReport &report, const std::string &driver, int ordinal) {
  const auto found = std::ranges::find_if(
      report.devices, [&](const DeviceReport &device) { return device.driver == driver && device.ordinal == ordinal; });
  return found == report.devices.end() ? nullptr : &*found;
}

/// Like the driver `null`, but with two devices, the second of which computes wrongly.
class PatientDriver final : public Driver {
public:
  PatientDriver(std::unique_ptr<Driver> inner, int device) : inner(std::move(inner)), device(device) {}

  std::string_view name() const override { return "patient"; }
  std::string description() const override { return "Patient"; }
  Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t bytes) override { return inner->allocate(bytes); }
  Status fill(BufferView destination, std::uint8_t value) override { return inner->fill(destination, value); }
  Status copy(BufferView source, BufferView destination) override { return inner->copy(source, destination); }
  Status write(std::span<const std::byte> source, BufferView destination) override {
    return inner->write(source, destination);
  }
  Status read(BufferView source, std::span<std::byte> destination) override { return inner->read(source, destination); }
  Result<std::vector<std::unique_ptr<LoadedKernel>>> load(const format::Artifact &artifact,
                                                          std::span<const std::span<const std::byte>> blobs) override {
    return inner->load(artifact, blobs);
  }
  Status launch(LoadedKernel &kernel, std::span<const BufferView> buffers) override {
    return inner->launch(kernel, buffers);
  }
  Status synchronize() override { return inner->synchronize(); }

  std::vector<DeviceFact> facts() override {
    return {{"memory_total_bytes", std::int64_t{3} << 29}, {"cores", std::int64_t{7}}};
  }
  Result<std::vector<DeviceFact>> selfTest() override {
    if (device == 1)
      return Status(ErrorCode::failed, "2 + 2 is 5");
    return std::vector<DeviceFact>{{"copy_gb_per_s", 12.34}};
  }

private:
  std::unique_ptr<Driver> inner;
  int device;
};

void registerPatient() {
  registerDriver("patient", [](const DriverOptions &options) -> Result<std::unique_ptr<Driver>> {
    if (options.device > 1)
      return Status(ErrorCode::configuration, "there is no device " + std::to_string(options.device));
    auto inner = openDriver("null");
    if (!inner)
      return inner.status();
    return std::unique_ptr<Driver>(std::make_unique<PatientDriver>(std::move(*inner), options.device));
  });
}

// A driver that does not look at the number of the device, and would be asked for ever more.
TEST(Doctor, RefusesDevicesWithoutEnd) {
  static bool isThere = true; // Other tests look at all drivers.
  registerDriver("everywhere", [](const DriverOptions &) -> Result<std::unique_ptr<Driver>> {
    return isThere ? openDriver("null") : Status(ErrorCode::unsupportedModel, "gone");
  });
  const DoctorReport report = examine({.target = "everywhere", .selfTest = false});
  isThere = false;
  EXPECT_TRUE(report.devices.empty());
  EXPECT_FAILS(report.verdict, ErrorCode::failed, "a driver refuses what is not there");
}

TEST(Doctor, LooksWithoutTesting) {
  const DoctorReport report = examine({.target = "cpu", .selfTest = false});
  const DeviceReport *cpu = findDevice(report, "cpu", 0);
  ASSERT_NE(cpu, nullptr);
  EXPECT_FALSE(cpu->selfTest.has_value());
  EXPECT_EQ(report.devices.size(), 1u);
  EXPECT_TRUE(report.verdict.ok()) << report.verdict.message();
  EXPECT_TRUE(doctorReportToJson(report)["healthy"]);
  EXPECT_FALSE(doctorReportToJson(report)["devices"][0].contains("self_test"));
}

TEST(Doctor, ReportsEveryDevice) {
  registerPatient();
  const DoctorReport report = examine({.target = "patient"});
  ASSERT_EQ(report.devices.size(), 2u);
  EXPECT_TRUE(report.missing.empty());
  EXPECT_EQ(report.verdict.message(), "the self-test of patient device 1 failed: 2 + 2 is 5");

  const std::string text = formatDoctorReport(report);
  for (const char *line : {"patient 0: Patient\n", "  memory total  1.50 GiB\n", "  cores         7\n",
                           "    copy  12.3 GB/s\n", "patient 1: Patient\n", "  self-test FAILED: 2 + 2 is 5\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;

  const Json json = doctorReportToJson(report);
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_FALSE(json["healthy"]);
  EXPECT_EQ(json["devices"][0]["facts"]["memory_total_bytes"], 3 << 29);
  EXPECT_EQ(json["devices"][0]["self_test"]["measurements"]["copy_gb_per_s"], 12.34);
  EXPECT_EQ(json["devices"][1]["self_test"]["reason"], "2 + 2 is 5");
}

// What is not there is wrong only if it was asked for.
TEST(Doctor, MissingDevices) {
  registerDriver("absent", [](const DriverOptions &) -> Result<std::unique_ptr<Driver>> {
    return Status(ErrorCode::unsupportedModel, "nobody has one");
  });
  EXPECT_EQ(examine({.target = "absent"}).verdict.message(), "absent: nobody has one");
  const DoctorReport report = examine({.selfTest = false});
  EXPECT_TRUE(report.verdict.ok()) << report.verdict.message();
  EXPECT_NE(formatDoctorReport(report).find("absent: none; nobody has one\n"), std::string::npos);
  EXPECT_NE(examine({.target = "tpu"}).verdict.message().find("no driver 'tpu'"), std::string::npos);
}

} // namespace
} // namespace moe::engine

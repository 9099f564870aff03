//===- Registry.cpp - Drivers by name -------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Each folder runtime/drivers/<name>/ calls moe_add_driver in its CMakeLists.txt and defines
///
///   Result<std::unique_ptr<Driver>> moe::drivers::<name>::open(const DriverOptions &options);
///
/// CMake collects the names in Drivers.inc, so a new driver edits nothing here.
///
//===----------------------------------------------------------------------===//
#include "moe/Driver.h"

#include <map>
#include <mutex>

namespace moe {

#define MOE_DRIVER(NAME)                                                                                               \
  namespace drivers::NAME {                                                                                            \
  Result<std::unique_ptr<Driver>> open(const DriverOptions &options);                                                  \
  }
#include "runtime/drivers/Drivers.inc"
#undef MOE_DRIVER

namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, DriverFactory, std::less<>> factories = {
#define MOE_DRIVER(NAME) {#NAME, drivers::NAME::open},
#include "runtime/drivers/Drivers.inc"
#undef MOE_DRIVER
  };
};

Registry &registry() {
  static Registry instance;
  return instance;
}

} // namespace

bool registerDriver(std::string_view name, DriverFactory factory) {
  std::lock_guard lock(registry().mutex);
  return registry().factories.emplace(name, std::move(factory)).second;
}

Result<std::unique_ptr<Driver>> openDriver(std::string_view name, const DriverOptions &options) {
  DriverFactory factory;
  {
    std::lock_guard lock(registry().mutex);
    if (auto found = registry().factories.find(name); found != registry().factories.end())
      factory = found->second;
  }
  if (factory)
    return factory(options);

  std::string known;
  for (const std::string &driver : registeredDrivers())
    known += (known.empty() ? "" : ", ") + driver;
  return Status(ErrorCode::unsupportedModel, "this build has no driver '" + std::string(name) + "'; it has: " + known);
}

std::vector<std::string> registeredDrivers() {
  std::lock_guard lock(registry().mutex);
  std::vector<std::string> names;
  for (const auto &[name, factory] : registry().factories)
    names.push_back(name);
  return names;
}

} // namespace moe

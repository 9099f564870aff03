//===- Plugin.cpp - Drivers from shared objects ---------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "moe/DriverPlugin.h"

#include <dlfcn.h>

namespace moe {

static constexpr const char *kEntry = "moeGetDriverPlugin";

Status loadDriverPlugin(const std::string &path) {
  auto fail = [&](const std::string &reason) {
    return Status(ErrorCode::configuration, "driver plug-in '" + path + "' " + reason);
  };
  // A name without a slash would be searched for among the system's libraries.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void *handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = ::dlerror();
    return fail(std::string("cannot be loaded: ") + (reason ? reason : "no reason given"));
  }
  const auto getPlugin = reinterpret_cast<DriverPlugin (*)()>(::dlsym(handle, kEntry));
  if (!getPlugin)
    return fail(std::string("does not define ") + kEntry);
  const DriverPlugin plugin = getPlugin();
  if (plugin.version != kDriverPluginVersion)
    return fail("has interface version " + std::to_string(plugin.version) + ", but this program has " +
                std::to_string(kDriverPluginVersion) + "; build it against this version's headers");
  if (!registerDriver(plugin.name, plugin.open))
    return fail("brings the driver '" + std::string(plugin.name) + "', which there is already");
  return {};
}

} // namespace moe

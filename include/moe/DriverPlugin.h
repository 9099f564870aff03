//===- DriverPlugin.h - Drivers built outside the tree ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A driver plug-in is a shared object that defines one function:
///
/// ```cpp
/// extern "C" moe::DriverPlugin moeGetDriverPlugin() { return {moe::kDriverPluginVersion, "mydevice", open}; }
/// ```
///
/// `moe-run --driver-plugin libmydevice.so ...` loads it; artifacts whose target is "mydevice" then run on it. Like the
/// compiler's plug-ins it is built with the same C++ library, against headers of the same version.
///
//===----------------------------------------------------------------------===//
#ifndef MOE_DRIVERPLUGIN_H
#define MOE_DRIVERPLUGIN_H

#include "moe/Driver.h"

namespace moe {

/// Rises whenever Driver.h or this file changes what a plug-in was compiled against.
inline constexpr unsigned kDriverPluginVersion = 1;

struct DriverPlugin {
  unsigned version;
  const char *name; ///< Of the driver, and of the target in artifacts that it runs.
  Result<std::unique_ptr<Driver>> (*open)(const DriverOptions &options);
};

/// Loads the shared object `path` and makes its driver known. Errors: it cannot be loaded, is no plug-in, is one of
/// another version, or its driver's name is taken. A plug-in stays loaded until the process ends.
Status loadDriverPlugin(const std::string &path);

} // namespace moe

#endif // MOE_DRIVERPLUGIN_H

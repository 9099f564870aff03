//===- RunConfig.h - The configuration of a run -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Everything a user can set, in one place. A value comes from, later ones winning:
///
///   default < TOML file < environment MOE_SECTION_KEY < --set section.key=value < a flag
///
/// An unknown key is an error that names the nearest known one. The resolved configuration is a TOML file again.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CONFIG_RUNCONFIG_H
#define LIB_ENGINE_CONFIG_RUNCONFIG_H

#include "moe/Status.h"

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace moe::engine {

struct RunConfig {
  // [model]
  std::string artifact;

  // [run]
  std::string runDirectory;
  std::int64_t seed = 1;
  std::int64_t threads = 0;
  std::int64_t device = 0;

  // [data]
  std::string dataPath;
  double heldOutFraction = 0.05;
  std::vector<std::string> heldOut; ///< Exactly these documents, if not empty.

  // [training]
  std::int64_t steps = 1000;
  std::int64_t saveEvery = 200;
  std::int64_t evalEvery = 0;
  std::int64_t keep = 2;
  std::string timeLimit;

  // [optimizer]
  double learningRate = 3e-3;
  std::string schedule = "wsd";
  std::int64_t warmup = 50;
  double decayFraction = 0.2;
  double finalFraction = 0.0;

  // [generation]
  std::int64_t maxTokens = 256;
  double temperature = 0.7;
  std::int64_t topK = 0;
  double topP = 1.0;
};

/// One key: where it is kept and what it accepts.
struct ConfigKey {
  using Field = std::variant<std::string RunConfig::*, std::int64_t RunConfig::*, double RunConfig::*,
                             std::vector<std::string> RunConfig::*>;
  std::string_view name; ///< "section.key"
  Field field;
  std::string_view help;
  bool shapesResult = false;                  ///< Whether a run that changes it half-way is another run.
  double minimum = 0, maximum = 9.2e18;       ///< Of numbers.
  std::vector<std::string_view> choices = {}; ///< Of strings; empty is any.
};

/// All keys, section by section.
std::span<const ConfigKey> configKeys();

/// Applies sources in the order of its calls.
class ConfigLoader {
public:
  /// Merges a TOML file. `origin` of errors is path:line.
  Status loadFile(const std::string &path);
  Status loadText(std::string_view toml, const std::string &origin);

  /// Merges MOE_SECTION_KEY variables. Variables of other programs that begin with MOE_ are left alone, a known
  /// section with an unknown key is an error.
  Status loadEnvironment(const char *const *environment);

  /// "section.key=value".
  Status set(std::string_view assignment);
  Status set(std::string_view key, std::string_view value, std::string_view origin);

  const RunConfig &config() const { return values; }
  /// Whether any source gave the key a value.
  bool isSet(std::string_view key) const { return given.count(std::string(key)) != 0; }

private:
  friend class TomlMerger;

  RunConfig values;
  std::set<std::string> given;
};

/// "KEY is NEW, was OLD" for every key that shapes the result of training and differs.
std::vector<std::string> resultChanges(const RunConfig &before, const RunConfig &now);

/// The configuration as a TOML file, every key written out with its meaning.
std::string toToml(const RunConfig &config);

} // namespace moe::engine

#endif // LIB_ENGINE_CONFIG_RUNCONFIG_H

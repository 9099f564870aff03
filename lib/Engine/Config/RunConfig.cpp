//===- RunConfig.cpp - The keys of a configuration and their text form ----===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Config/RunConfig.h"

#include "lib/Engine/Support/Strings.h"

#include <nlohmann/json.hpp>

#include <array>

namespace moe::engine {

std::span<const ConfigKey> configKeys() {
  constexpr bool shapesResult = true;
  static const std::array keys = {
      ConfigKey{"model.artifact", &RunConfig::artifact, "the compiled model"},

      ConfigKey{"run.directory", &RunConfig::runDirectory, "where configuration, metrics and checkpoints go"},
      ConfigKey{"run.seed", &RunConfig::seed, "of initial weights, the order of the data, and sampling"},
      ConfigKey{"run.threads", &RunConfig::threads, "worker threads; 0 is one per core", false, 0, 4096},
      ConfigKey{"run.device", &RunConfig::device, "which of several devices", false, 0, 1e6},

      ConfigKey{"data.path", &RunConfig::dataPath, "a directory of .txt and .jsonl files, or one such file"},
      ConfigKey{"data.held_out_fraction", &RunConfig::heldOutFraction,
                "share of the bytes held out for evaluation, by whole documents; 0 is none", false, 0, 0.9},
      ConfigKey{"data.held_out", &RunConfig::heldOut, "the held-out documents by name; empty lets the fraction choose"},

      ConfigKey{"training.steps", &RunConfig::steps, "optimizer steps of the whole run", shapesResult, 0, 1e15},
      ConfigKey{"training.save_every", &RunConfig::saveEvery, "steps between checkpoints; 0 saves only at the end"},
      ConfigKey{"training.eval_every", &RunConfig::evalEvery, "steps between evaluations; 0 is before and after only"},
      ConfigKey{"training.keep", &RunConfig::keep, "checkpoints that are kept; 0 is all"},
      ConfigKey{"training.time_limit", &RunConfig::timeLimit, "save and stop after this time, e.g. 90s or 1h30m"},

      ConfigKey{"optimizer.learning_rate", &RunConfig::learningRate, "peak of the schedule", shapesResult, 0, 1e3},
      ConfigKey{"optimizer.schedule",
                &RunConfig::schedule,
                "wsd (warm-up, stable, decay), cosine or constant",
                shapesResult,
                0,
                0,
                {"wsd", "cosine", "constant"}},
      ConfigKey{"optimizer.warmup", &RunConfig::warmup, "steps of linear warm-up", shapesResult, 0, 1e15},
      ConfigKey{"optimizer.decay_fraction", &RunConfig::decayFraction, "share of the steps that wsd decays in",
                shapesResult, 0, 1},
      ConfigKey{"optimizer.final_fraction", &RunConfig::finalFraction,
                "where wsd and cosine end, as a share of the peak", shapesResult, 0, 1},

      ConfigKey{"generation.max_tokens", &RunConfig::maxTokens, "tokens to generate at most"},
      ConfigKey{"generation.temperature", &RunConfig::temperature, "0 always takes the likeliest token", false, 0, 1e3},
      ConfigKey{"generation.top_k", &RunConfig::topK, "sample among the k likeliest; 0 is all"},
      ConfigKey{"generation.top_p", &RunConfig::topP, "sample among the likeliest that make up this probability", false,
                0, 1},
  };
  return keys;
}

namespace {

/// A TOML basic string: JSON's escapes are a subset of TOML's.
std::string quoted(const std::string &text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string valueText(const RunConfig &config, const ConfigKey &key) {
  struct Printer {
    const RunConfig &config;
    std::string operator()(std::string RunConfig::*field) const { return quoted(config.*field); }
    std::string operator()(std::int64_t RunConfig::*field) const { return std::to_string(config.*field); }
    std::string operator()(double RunConfig::*field) const { return formatDouble(config.*field); }
    std::string operator()(std::vector<std::string> RunConfig::*field) const {
      std::string text;
      for (const std::string &entry : config.*field)
        text += "\n  " + quoted(entry) + ",";
      return text.empty() ? "[]" : "[" + text + "\n]";
    }
  };
  return std::visit(Printer{config}, key.field);
}

} // namespace

std::vector<std::string> resultChanges(const RunConfig &before, const RunConfig &now) {
  std::vector<std::string> changes;
  for (const ConfigKey &key : configKeys())
    if (std::string old = valueText(before, key), value = valueText(now, key); key.shapesResult && old != value)
      changes.push_back(std::string(key.name) + " is " + value + ", was " + old);
  return changes;
}

std::string toToml(const RunConfig &config) {
  std::string text = "# The resolved configuration of this run: defaults, file, environment, --set and flags merged.\n";
  std::string_view section;
  for (const ConfigKey &key : configKeys()) {
    const std::size_t dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      text += "\n[" + std::string(section) + "]\n";
    }
    text += "# " + std::string(key.help) + "\n";
    text += std::string(key.name.substr(dot + 1)) + " = " + valueText(config, key) + "\n";
  }
  return text;
}

} // namespace moe::engine

//===- ConfigLoader.cpp - Merging the sources of a configuration ----------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Config/RunConfig.h"
#include "lib/Engine/Support/Files.h"
#include "lib/Engine/Support/Strings.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace moe::engine {
namespace {

Status invalid(std::string_view origin, std::string reason) {
  return Status(ErrorCode::configuration, std::string(origin) + ": " + std::move(reason));
}

const ConfigKey *findKey(std::string_view name) {
  std::span<const ConfigKey> keys = configKeys();
  auto found = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey &key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

bool isSection(std::string_view name) {
  return std::ranges::any_of(configKeys(), [&](const ConfigKey &key) {
    return key.name.size() > name.size() && key.name.starts_with(name) && key.name[name.size()] == '.';
  });
}

Status unknownKey(std::string_view origin, std::string_view name) {
  std::vector<std::string> known;
  for (const ConfigKey &key : configKeys())
    known.emplace_back(key.name);
  std::string reason = "unknown key '" + std::string(name) + "'";
  // The right key in the wrong section, else whatever is spelled most alike.
  const std::string leaf = "." + std::string(name.substr(name.rfind('.') + 1));
  auto elsewhere = std::ranges::find_if(known, [&](const std::string &key) { return key.ends_with(leaf); });
  if (std::string near = elsewhere != known.end() ? *elsewhere : nearest(name, known); !near.empty())
    return invalid(origin, reason + "; did you mean '" + near + "'?");
  return invalid(origin, reason + "; the keys are listed by 'moe-run train --list-keys'");
}

Status checkRange(const ConfigKey &key, double value, std::string_view origin) {
  if (value >= key.minimum && value <= key.maximum)
    return {};
  const bool bounded = key.maximum < 1e15; // Beyond, a bound only keeps arithmetic from overflowing.
  return invalid(origin, "'" + std::string(key.name) +
                             (bounded ? format("' must be between %.15g and %.15g", key.minimum, key.maximum)
                                      : format("' must be at least %.15g", key.minimum)) +
                             format(", not %.15g", value));
}

Status checkChoice(const ConfigKey &key, std::string_view value, std::string_view origin) {
  if (key.choices.empty() || std::ranges::find(key.choices, value) != key.choices.end())
    return {};
  std::string known;
  for (std::string_view choice : key.choices)
    known += (known.empty() ? "" : ", ") + std::string(choice);
  return invalid(origin,
                 "'" + std::string(key.name) + "' must be one of " + known + ", not '" + std::string(value) + "'");
}

template <typename T> bool parseWhole(std::string_view text, T &value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string> splitAtCommas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return parts;
}

} // namespace

/// Writes the values of a parsed TOML document into a configuration.
class TomlMerger {
public:
  TomlMerger(ConfigLoader &loader, const std::string &origin) : loader(loader), origin(origin) {}

  Status merge(const toml::table &table, const std::string &prefix = "") {
    for (auto &&[key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      const toml::table *section = node.as_table();
      if (Status status = section && isSection(name) ? merge(*section, name + ".") : mergeValue(name, node); !status)
        return status;
    }
    return {};
  }

private:
  std::string at(const toml::node &node) const { return origin + ":" + std::to_string(node.source().begin.line); }

  Status mergeValue(const std::string &name, const toml::node &node) {
    const ConfigKey *key = findKey(name);
    if (!key)
      return unknownKey(at(node), name);
    loader.given.insert(name);
    return std::visit([&](auto field) { return assign(*key, loader.values.*field, node); }, key->field);
  }

  Status wrongType(const ConfigKey &key, const char *wanted, const toml::node &node) {
    return invalid(at(node), "'" + std::string(key.name) + "' must be " + wanted);
  }

  Status assign(const ConfigKey &key, std::string &field, const toml::node &node) {
    auto value = node.value_exact<std::string>();
    if (!value)
      return wrongType(key, "a string", node);
    field = *value;
    return checkChoice(key, field, at(node));
  }

  Status assign(const ConfigKey &key, std::int64_t &field, const toml::node &node) {
    auto value = node.value_exact<std::int64_t>();
    if (!value)
      return wrongType(key, "an integer", node);
    field = *value;
    return checkRange(key, static_cast<double>(field), at(node));
  }

  Status assign(const ConfigKey &key, double &field, const toml::node &node) {
    if (!node.is_number())
      return wrongType(key, "a number", node);
    field = *node.value<double>();
    return checkRange(key, field, at(node));
  }

  Status assign(const ConfigKey &key, std::vector<std::string> &field, const toml::node &node) {
    field.clear();
    const toml::array *entries = node.as_array();
    if (!entries)
      return wrongType(key, "a list of strings", node);
    for (const toml::node &entry : *entries) {
      auto value = entry.value_exact<std::string>();
      if (!value)
        return wrongType(key, "a list of strings", entry);
      field.push_back(*value);
    }
    return {};
  }

  ConfigLoader &loader;
  const std::string &origin;
};

Status ConfigLoader::loadFile(const std::string &path) {
  Result<std::string> text = readFile(path);
  if (!text)
    return Status(ErrorCode::configuration, text.status().message());
  return loadText(*text, path);
}

Status ConfigLoader::loadText(std::string_view toml, const std::string &origin) {
  toml::parse_result parsed = toml::parse(toml, origin);
  if (!parsed) {
    const toml::source_position where = parsed.error().source().begin;
    return invalid(format("%s:%u:%u", origin.c_str(), where.line, where.column),
                   std::string(parsed.error().description()));
  }
  return TomlMerger(*this, origin).merge(parsed.table());
}

Status ConfigLoader::loadEnvironment(const char *const *environment) {
  static constexpr std::string_view prefix = "MOE_";
  for (; *environment; ++environment) {
    std::string_view entry = *environment;
    const std::size_t equals = entry.find('=');
    if (!entry.starts_with(prefix) || equals == std::string_view::npos)
      continue;
    std::string name(entry.substr(prefix.size(), equals - prefix.size()));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::size_t underscore = name.find('_');
    if (underscore == std::string::npos || !isSection(name.substr(0, underscore)))
      continue;
    name[underscore] = '.';
    if (Status status =
            set(name, entry.substr(equals + 1), "environment variable " + std::string(entry.substr(0, equals)));
        !status)
      return status;
  }
  return {};
}

Status ConfigLoader::set(std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  const std::string origin = "--set " + std::string(assignment);
  if (equals == std::string_view::npos)
    return invalid(origin, "expected section.key=value");
  return set(assignment.substr(0, equals), assignment.substr(equals + 1), origin);
}

Status ConfigLoader::set(std::string_view name, std::string_view text, std::string_view origin) {
  struct Parser {
    RunConfig &values;
    const ConfigKey &key;
    std::string_view text, origin;

    Status operator()(std::string RunConfig::*field) const {
      values.*field = text;
      return checkChoice(key, text, origin);
    }
    Status operator()(std::int64_t RunConfig::*field) const {
      if (!parseWhole(text, values.*field))
        return invalid(origin, "'" + std::string(text) + "' is not an integer");
      return checkRange(key, static_cast<double>(values.*field), origin);
    }
    Status operator()(double RunConfig::*field) const {
      if (!parseWhole(text, values.*field))
        return invalid(origin, "'" + std::string(text) + "' is not a number");
      return checkRange(key, values.*field, origin);
    }
    Status operator()(std::vector<std::string> RunConfig::*field) const {
      values.*field = splitAtCommas(text);
      return {};
    }
  };
  const ConfigKey *key = findKey(name);
  if (!key)
    return unknownKey(origin, name);
  given.insert(std::string(name));
  return std::visit(Parser{values, *key, text, origin}, key->field);
}

} // namespace moe::engine

//===- UsageError.cpp - What is wrong with a command line -----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/UsageError.h"

#include "lib/Engine/Support/Strings.h"

#include <algorithm>
#include <charconv>

namespace moe::run {
namespace {

/// "--name" of every option of `app` and its groups.
std::vector<std::string> optionNames(const CLI::App &app) {
  std::vector<std::string> names;
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  for (const CLI::App *group : app.get_subcommands([](const CLI::App *sub) { return sub->get_name().empty(); })) {
    const std::vector<std::string> more = optionNames(*group);
    names.insert(names.end(), more.begin(), more.end());
  }
  return names;
}

/// With the nearest of `known`, else with `otherwise`.
std::string unknown(const std::string &what, const std::string &word, const std::vector<std::string> &known,
                    const std::string &otherwise) {
  const std::string near = engine::nearest(word, known);
  return "there is no " + what + " '" + word + "'" + (near.empty() ? otherwise : "; did you mean '" + near + "'?");
}

std::string describe(const CLI::App &root, const CLI::Error &error) {
  const std::vector<std::string> rest = root.remaining(/*recurse=*/true);
  const std::vector<CLI::App *> used = root.get_subcommands();
  const auto option = std::ranges::find_if(rest, [](const std::string &word) { return word.starts_with('-'); });
  if (option != rest.end())
    return unknown("option", option->substr(0, option->find('=')), optionNames(used.empty() ? root : *used.front()),
                   "");
  if (!used.empty() && !rest.empty() && dynamic_cast<const CLI::ExtrasError *>(&error))
    return used.front()->get_name() + " takes no '" + rest.front() + "'";
  if (!used.empty())
    return error.what();
  std::vector<std::string> commands;
  std::string list = "; the commands are";
  for (const CLI::App *command : root.get_subcommands([](const CLI::App *) { return true; })) {
    commands.push_back(command->get_name());
    list += (commands.size() == 1 ? " " : ", ") + command->get_name();
  }
  return rest.empty() ? "no command" + list : unknown("command", rest.front(), commands, list);
}

} // namespace

std::string describeUsageError(const CLI::App *root, const CLI::Error &error) {
  const std::vector<CLI::App *> used = root->get_subcommands();
  return "error: " + describe(*root, error) + "\nsee moe-run " + (used.empty() ? "" : used.front()->get_name() + " ") +
         "--help\n";
}

CLI::Validator atLeast(double minimum) {
  auto check = [minimum](const std::string &text) -> std::string {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= minimum)
      return "";
    return engine::format("'%s' is not a number of at least %g", text.c_str(), minimum);
  };
  return CLI::Validator(check, "");
}

} // namespace moe::run

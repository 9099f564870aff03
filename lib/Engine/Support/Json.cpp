//===- Json.cpp - JSON read strictly --------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Support/Json.h"

#include <set>
#include <string>
#include <vector>

namespace moe::engine {

Result<Json> parseJson(std::string_view text, int maxDepth) {
  std::vector<std::set<std::string>> keysOfOpenObjects;
  std::string refusal;
  auto check = [&](int depth, Json::parse_event_t event, Json &parsed) {
    switch (event) {
    case Json::parse_event_t::object_start:
      keysOfOpenObjects.emplace_back();
      [[fallthrough]];
    case Json::parse_event_t::array_start:
      if (depth >= maxDepth && refusal.empty())
        refusal = "nested deeper than " + std::to_string(maxDepth) + " levels";
      break;
    case Json::parse_event_t::key:
      if (!keysOfOpenObjects.back().insert(parsed.get_ref<const std::string &>()).second && refusal.empty())
        refusal = "the key " + parsed.dump() + " occurs twice in one object";
      break;
    case Json::parse_event_t::object_end:
      keysOfOpenObjects.pop_back();
      break;
    default:
      break;
    }
    return true;
  };
  try {
    Json value = Json::parse(text.begin(), text.end(), check);
    if (!refusal.empty())
      return Status(ErrorCode::corruptFile, "invalid JSON: " + refusal);
    return value;
  } catch (const Json::exception &error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: ...": the bracket says nothing to a user.
    std::string_view reason = error.what();
    if (std::size_t bracket = reason.find("] "); bracket != std::string_view::npos)
      reason.remove_prefix(bracket + 2);
    return Status(ErrorCode::corruptFile, "invalid JSON: " + std::string(reason));
  }
}

} // namespace moe::engine

//===- Json.h - JSON read strictly ------------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_SUPPORT_JSON_H
#define LIB_ENGINE_SUPPORT_JSON_H

#include "moe/Status.h"

#include <nlohmann/json.hpp>

#include <string_view>

namespace moe::engine {

using Json = nlohmann::ordered_json;

/// Parses one JSON value. Refuses duplicate keys, nesting deeper than `maxDepth` and anything after the value.
/// The error has code `corruptFile` and says what is wrong and at which byte.
Result<Json> parseJson(std::string_view text, int maxDepth = 64);

} // namespace moe::engine

#endif // LIB_ENGINE_SUPPORT_JSON_H

//===- LoadTable.h - The table of expert load -------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_LOADTABLE_H
#define LIB_ENGINE_REPORT_LOADTABLE_H

#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Training/ExpertLoad.h"

#include <string>
#include <vector>

namespace moe::engine {

/// One line a layer, or several if there are many experts: the percentage of its fair share that each expert got; those
/// below 20 % carry a '!'. `over` says what it was counted over: "the last 100 steps".
std::string formatLoadTable(const std::vector<ExpertLoad> &loads, const std::string &over);

/// {"<layer>": {"utilisation": [...], "minimum", ...}}
Json loadTableToJson(const std::vector<ExpertLoad> &loads);

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_LOADTABLE_H

//===- Split.cpp - Holding documents out of training ----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Data/Split.h"

#include "lib/Engine/Support/Hash.h"
#include "lib/Engine/Support/Strings.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

namespace moe::engine {
namespace {

Split partition(std::vector<Document> documents, const std::vector<bool> &isHeldOut) {
  Split split;
  for (std::size_t i = 0; i < documents.size(); ++i)
    (isHeldOut[i] ? split.heldOut : split.training).push_back(std::move(documents[i]));
  return split;
}

} // namespace

std::vector<std::string> Split::heldOutNames() const {
  std::vector<std::string> names;
  for (const Document &document : heldOut)
    names.push_back(document.name);
  return names;
}

Result<Split> splitByFraction(std::vector<Document> documents, double fraction) {
  std::vector<bool> isHeldOut(documents.size());
  if (fraction <= 0)
    return partition(std::move(documents), isHeldOut);
  if (documents.size() < 2)
    return Status(ErrorCode::configuration,
                  "text is held out by whole documents, and there is only one, '" + documents.front().name +
                      "'; split it into several files, or set data.held_out_fraction=0 to train on all of it");

  std::vector<std::size_t> order(documents.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(hash64(documents[i].name), i); });

  double budget = fraction * static_cast<double>(totalBytes(documents));
  bool any = false;
  for (std::size_t i : order)
    if (const auto size = static_cast<double>(documents[i].text.size()); size <= budget) {
      isHeldOut[i] = any = true;
      budget -= size;
    }
  if (!any)
    isHeldOut[*std::ranges::min_element(order, {}, [&](std::size_t i) { return documents[i].text.size(); })] = true;
  return partition(std::move(documents), isHeldOut);
}

Result<Split> splitByName(std::vector<Document> documents, const std::vector<std::string> &heldOut) {
  std::set<std::string> wanted(heldOut.begin(), heldOut.end());
  std::vector<bool> isHeldOut(documents.size());
  for (std::size_t i = 0; i < documents.size(); ++i)
    isHeldOut[i] = wanted.erase(documents[i].name) != 0;
  if (!wanted.empty()) {
    std::vector<std::string> names;
    for (const Document &document : documents)
      names.push_back(document.name);
    const std::string near = nearest(*wanted.begin(), names);
    return Status(ErrorCode::configuration, "data.held_out names '" + *wanted.begin() + "', which is not in the data" +
                                                (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  if (heldOut.size() >= documents.size())
    return Status(ErrorCode::configuration, "data.held_out names every document; nothing is left to train on");
  return partition(std::move(documents), isHeldOut);
}

} // namespace moe::engine

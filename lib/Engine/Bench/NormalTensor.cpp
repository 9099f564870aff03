//===- NormalTensor.cpp - Random tensors on all cores ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/NormalTensor.h"

#include "runtime/executor/Random.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <vector>

namespace moe::engine {

constexpr std::size_t kQuantiles = 1 << 16;
/// Elements of one block of random bits.
constexpr std::size_t kBlock = 8;

/// x with P(N(0, 1) < x) = (i + ½) / kQuantiles, for each i.
static std::vector<double> normalQuantiles() {
  std::vector<double> values(kQuantiles);
  double x = 0;
  for (std::size_t i = kQuantiles / 2; i < kQuantiles; ++i) {
    const double upper = 1 - (static_cast<double>(i) + 0.5) / kQuantiles; // Exact.
    // Newton's method from the one before, which is below: on this side the density falls, so it never overshoots.
    for (int step = 0; step < 50; ++step) {
      const double density = std::exp(-x * x / 2) * 0.39894228040143267794;
      const double change = (0.5 * std::erfc(x * std::sqrt(0.5)) - upper) / density;
      x += change;
      if (std::fabs(change) < 1e-12)
        break;
    }
    values[i] = x;
    values[kQuantiles - 1 - i] = -x;
  }
  return values;
}

/// `Element` has the size of `dtype`.
template <typename Element>
static void draw(std::span<std::byte> elements, format::DType dtype, double stddev, std::string_view name) {
  static const std::vector<double> quantiles = normalQuantiles();
  std::vector<Element> table(kQuantiles);
  for (std::size_t i = 0; i < kQuantiles; ++i)
    format::encode(stddev * quantiles[i], dtype, reinterpret_cast<std::byte *>(&table[i]));

  const std::uint64_t stream = random::streamOf(name);
  const std::size_t count = elements.size() / sizeof(Element);
  auto work = [&](std::size_t firstBlock, std::size_t endBlock) {
    for (std::size_t block = firstBlock; block < endBlock; ++block) {
      const auto bits = random::bits(/*seed=*/0, stream, block);
      Element values[kBlock];
      for (std::size_t i = 0; i < kBlock; ++i)
        values[i] = table[bits[i / 4] >> 16 * (i % 4) & (kQuantiles - 1)];
      const std::size_t first = block * kBlock, present = std::min(kBlock, count - first);
      std::memcpy(elements.data() + first * sizeof(Element), values, present * sizeof(Element));
    }
  };
  constexpr std::size_t smallestPart = 1 << 13;
  const std::size_t blocks = (count + kBlock - 1) / kBlock;
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t parts = std::clamp<std::size_t>(blocks / smallestPart, 1, cores);
  const std::size_t part = (blocks + parts - 1) / parts;
  std::vector<std::jthread> threads;
  for (std::size_t begin = part; begin < blocks; begin += part)
    threads.emplace_back(work, begin, std::min(begin + part, blocks));
  work(0, std::min(part, blocks));
}

void drawNormal(std::span<std::byte> elements, format::DType dtype, double stddev, std::string_view name) {
  switch (format::byteSize(dtype)) {
  case 2:
    return draw<std::uint16_t>(elements, dtype, stddev, name);
  case 4:
    return draw<std::uint32_t>(elements, dtype, stddev, name);
  case 8:
    return draw<std::uint64_t>(elements, dtype, stddev, name);
  }
}

/// What `variable` is a copy of in the end, or itself.
static const format::Variable *originOf(const format::Variable *variable, const format::Artifact &artifact) {
  while (variable->initializer()->kind() == format::InitializerKind::copy)
    variable = artifact.variables()->Get(variable->initializer()->source());
  return variable;
}

/// The value of `variable` as its initializer says, in elements of `dtype`.
static void drawVariable(std::span<std::byte> bytes, format::DType dtype, const format::Variable &variable) {
  switch (variable.initializer()->kind()) {
  case format::InitializerKind::normal:
    return drawNormal(bytes, dtype, variable.initializer()->stddev(), variable.name()->string_view());
  case format::InitializerKind::ones:
    for (std::size_t offset = 0; offset < bytes.size(); offset += format::byteSize(dtype))
      format::encode(1.0, dtype, bytes.data() + offset);
    return;
  default:
    std::fill(bytes.begin(), bytes.end(), std::byte{0});
  }
}

Status drawVariables(Session &session) {
  const format::Artifact &artifact = session.artifact().table();
  std::size_t largest = 0;
  // Those with the same bits.
  std::map<std::pair<const format::Variable *, format::DType>, std::vector<const format::Variable *>> groups;
  for (const format::Variable *variable : *artifact.variables()) {
    largest = std::max(largest, format::byteSize(*variable));
    groups[{originOf(variable, artifact), variable->dtype()}].push_back(variable);
  }
  // Not a vector, whose zeros one thread would write.
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(largest);
  for (const auto &[drawn, variables] : groups) {
    const std::span bytes(memory.get(), format::byteSize(*variables.front()));
    drawVariable(bytes, drawn.second, *drawn.first);
    for (const format::Variable *variable : variables)
      if (Status status = session.writeVariable(variable->name()->string_view(), bytes); !status)
        return status;
  }
  return {};
}

} // namespace moe::engine

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
#include <thread>

namespace moe::engine {

std::vector<std::byte> drawNormal(std::size_t count, format::DType dtype, std::string_view name) {
  constexpr std::size_t smallestPart = 1 << 16;
  const std::size_t size = format::byteSize(dtype);
  const std::uint64_t stream = random::streamOf(name);
  std::vector<std::byte> bytes(count * size);
  auto draw = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; i += 2) {
      const auto [even, odd] = random::normalPair(/*seed=*/0, stream, i / 2);
      format::encode(even, dtype, bytes.data() + i * size);
      if (i + 1 < end)
        format::encode(odd, dtype, bytes.data() + (i + 1) * size);
    }
  };
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t parts = std::clamp<std::size_t>(count / smallestPart, 1, cores);
  const std::size_t part = (count / parts + 2) / 2 * 2; // Parts begin at even numbers.
  std::vector<std::jthread> threads;
  for (std::size_t begin = part; begin < count; begin += part)
    threads.emplace_back(draw, begin, std::min(begin + part, count));
  draw(0, std::min(part, count));
  return bytes;
}

} // namespace moe::engine

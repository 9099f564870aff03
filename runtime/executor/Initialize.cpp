//===- Initialize.cpp - Initial values of variables -----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/executor/Initialize.h"

#include "runtime/executor/Random.h"
#include "runtime/format/DType.h"
#include "runtime/format/FileLayout.h"

#include <algorithm>
#include <thread>
#include <vector>

namespace moe {

std::uint64_t random::streamOf(std::string_view name) { return format::checksum(std::as_bytes(std::span(name))); }

/// Calls `work(begin, end)` for parts of [0, count), each on a thread of its own if they are worth one. Parts begin at
/// even numbers.
template <typename Work> static void forParts(std::size_t count, Work work) {
  constexpr std::size_t smallestPart = 1 << 16;
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t parts = std::clamp<std::size_t>(count / smallestPart, 1, cores);
  const std::size_t part = (count / parts + 2) / 2 * 2;
  std::vector<std::jthread> threads;
  for (std::size_t begin = part; begin < count; begin += part)
    threads.emplace_back(work, begin, std::min(begin + part, count));
  work(std::size_t{0}, std::min(part, count));
}

/// Computes elements chunk by chunk: `fillChunk(first, chunk)` gives the bytes of the elements from `first` on. The
/// first is even for each chunk.
template <typename FillChunk>
static Status writeChunks(Driver &driver, BufferView destination, std::size_t elementSize, FillChunk fillChunk) {
  constexpr std::size_t chunkElements = 1 << 22;
  std::vector<std::byte> chunk(std::min(chunkElements * elementSize, destination.size));
  for (std::size_t offset = 0; offset < destination.size; offset += chunk.size()) {
    const std::size_t size = std::min(chunk.size(), destination.size - offset);
    fillChunk(offset / elementSize, std::span(chunk).first(size));
    if (Status status =
            driver.write(std::span(chunk).first(size), {destination.memory, destination.offset + offset, size});
        !status)
      return status;
  }
  return {};
}

Status initializeVariable(Driver &driver, const format::Variable &variable, std::uint64_t seed,
                          BufferView destination) {
  const format::DType dtype = variable.dtype();
  const std::size_t elementSize = format::byteSize(dtype);
  switch (variable.initializer()->kind()) {
  case format::InitializerKind::zeros:
    return driver.fill(destination, 0);
  case format::InitializerKind::copy:
    return {};

  case format::InitializerKind::ones:
    return writeChunks(driver, destination, elementSize, [&](std::size_t, std::span<std::byte> chunk) {
      for (std::size_t i = 0; i < chunk.size(); i += elementSize)
        format::encode(1.0, dtype, chunk.data() + i);
    });

  case format::InitializerKind::normal: {
    const double stddev = variable.initializer()->stddev();
    const std::uint64_t stream = random::streamOf({variable.name()->data(), variable.name()->size()});
    return writeChunks(driver, destination, elementSize, [&](std::size_t first, std::span<std::byte> chunk) {
      forParts(chunk.size() / elementSize, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; i += 2) {
          const auto [even, odd] = random::normalPair(seed, stream, (first + i) / 2);
          format::encode(stddev * even, dtype, chunk.data() + i * elementSize);
          if (i + 1 < end)
            format::encode(stddev * odd, dtype, chunk.data() + (i + 1) * elementSize);
        }
      });
    });
  }
  }
  return Status(ErrorCode::corruptFile, "unknown initializer"); // Refused by format::validate.
}

Status copyVariable(Driver &driver, const format::Variable &source, BufferView from,
                    const format::Variable &destination, BufferView to) {
  const std::size_t sourceSize = format::byteSize(source.dtype()), size = format::byteSize(destination.dtype());
  std::vector<std::byte> chunkRead;
  Status status;
  Status written = writeChunks(driver, to, size, [&](std::size_t first, std::span<std::byte> chunk) {
    const std::size_t count = chunk.size() / size;
    chunkRead.resize(count * sourceSize);
    if (status)
      status = driver.read({from.memory, from.offset + first * sourceSize, chunkRead.size()}, chunkRead);
    forParts(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        format::encode(format::decodeFloat(chunkRead.data() + i * sourceSize, source.dtype()), destination.dtype(),
                       chunk.data() + i * size);
    });
  });
  return status ? written : status;
}

} // namespace moe

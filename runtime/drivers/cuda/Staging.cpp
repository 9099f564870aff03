//===- Staging.cpp - Copies between host and device -----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/Staging.h"

#include <algorithm>
#include <cstring>

namespace moe::drivers::cuda {

Result<std::unique_ptr<Staging>> Staging::create(std::shared_ptr<const Device> device) {
  const CudaApi &cuda = device->api();
  ContextScope scope(*device);
  std::unique_ptr<Staging> staging(new Staging(std::move(device)));
  for (Piece &piece : staging->pieces) {
    void *memory = nullptr;
    if (Status status = cuda.check(cuda.memHostAlloc(&memory, kPieceBytes, 0), "allocating page-locked host memory");
        !status)
      return status;
    piece.memory = static_cast<std::byte *>(memory);
    if (Status status = cuda.check(cuda.eventCreate(&piece.done, kEventDisableTiming), "creating an event"); !status)
      return status;
  }
  return staging;
}

Staging::~Staging() {
  const CudaApi &cuda = device->api();
  ContextScope scope(*device);
  for (Piece &piece : pieces) {
    if (piece.done)
      cuda.eventDestroy(piece.done);
    if (piece.memory)
      cuda.memFreeHost(piece.memory);
  }
}

/// Nothing more goes into `piece`; from here on it can be waited for.
Status Staging::seal(Piece &piece) {
  if (piece.sealed)
    return {};
  piece.sealed = true;
  return device->api().check(device->api().eventRecord(piece.done, device->stream()), "marking a copy");
}

/// Until the copies of `piece` are done: it is empty again.
Status Staging::wait(Piece &piece) {
  const Status status = device->api().check(device->api().eventSynchronize(piece.done), "waiting for a copy");
  piece.sealed = false;
  piece.used = 0;
  return status;
}

/// Goes on to a piece that is empty.
Status Staging::nextPiece() {
  if (pieces[current].used == 0)
    return {};
  if (Status status = seal(pieces[current]); !status)
    return status;
  current = (current + 1) % kNumPieces;
  return pieces[current].sealed ? wait(pieces[current]) : Status();
}

Status Staging::upload(std::span<const std::byte> source, CuAddress destination) {
  const CudaApi &cuda = device->api();
  while (!source.empty()) {
    const std::size_t bytes = std::min(source.size(), kPieceBytes);
    if (bytes > kPieceBytes - pieces[current].used)
      if (Status status = nextPiece(); !status)
        return status;
    Piece &piece = pieces[current];
    std::byte *staged = piece.memory + piece.used;
    std::memcpy(staged, source.data(), bytes);
    if (Status status = cuda.check(cuda.memcpyHtoDAsync(destination, staged, bytes, device->stream()), "copying to "
                                                                                                       "the GPU");
        !status)
      return status;
    piece.used = std::min(kPieceBytes, (piece.used + bytes + 63) / 64 * 64);
    source = source.subspan(bytes);
    destination += bytes;
  }
  return {};
}

Status Staging::finishDownload(Piece &piece, std::span<std::byte> destination) {
  if (Status status = wait(piece); !status)
    return status;
  std::memcpy(destination.data(), piece.memory, destination.size());
  return {};
}

Status Staging::download(CuAddress source, std::span<std::byte> destination) {
  const CudaApi &cuda = device->api();
  // While the GPU fills one piece, the host empties the one before.
  Piece *previous = nullptr;
  std::span<std::byte> previousTarget;
  while (!destination.empty()) {
    const std::size_t bytes = std::min(destination.size(), kPieceBytes);
    if (Status status = nextPiece(); !status)
      return status;
    Piece &piece = pieces[current];
    piece.used = kPieceBytes;
    if (Status status =
            cuda.check(cuda.memcpyDtoHAsync(piece.memory, source, bytes, device->stream()), "copying from the GPU");
        !status)
      return status;
    if (Status status = seal(piece); !status)
      return status;
    if (previous)
      if (Status status = finishDownload(*previous, previousTarget); !status)
        return status;
    previous = &piece;
    previousTarget = destination.first(bytes);
    destination = destination.subspan(bytes);
    source += bytes;
  }
  return previous ? finishDownload(*previous, previousTarget) : Status();
}

} // namespace moe::drivers::cuda

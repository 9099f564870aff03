//===- Staging.h - Copies between host and device ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_STAGING_H
#define MOE_RUNTIME_DRIVERS_CUDA_STAGING_H

#include "runtime/drivers/cuda/Device.h"

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace moe::drivers::cuda {

/// Moves bytes through page-locked memory, so that the GPU copies while the host does. The pieces of that memory are
/// used in turn; an upload returns as soon as its bytes are in them, and waits only if all are under way.
class Staging {
public:
  static Result<std::unique_ptr<Staging>> create(std::shared_ptr<const Device> device);
  ~Staging();
  Staging(const Staging &) = delete;
  Staging &operator=(const Staging &) = delete;

  // The device's context is current.
  Status upload(std::span<const std::byte> source, CuAddress destination);
  /// Returns when the bytes are there.
  Status download(CuAddress source, std::span<std::byte> destination);

private:
  /// 4 MiB take 80 µs on PCIe 5.0 (about 50 GB/s), much more than it costs to ask for the copy.
  static constexpr std::size_t kPieceBytes = std::size_t{4} << 20, kNumPieces = 4;

  struct Piece {
    std::byte *memory = nullptr;
    std::size_t used = 0;
    CuEvent done = nullptr; ///< All copies of this piece, once `sealed`.
    bool sealed = false;
  };

  explicit Staging(std::shared_ptr<const Device> device) : device(std::move(device)) {}
  Status seal(Piece &piece);
  Status wait(Piece &piece);
  Status nextPiece();
  Status finishDownload(Piece &piece, std::span<std::byte> destination);

  std::shared_ptr<const Device> device;
  std::array<Piece, kNumPieces> pieces;
  std::size_t current = 0;
};

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_STAGING_H

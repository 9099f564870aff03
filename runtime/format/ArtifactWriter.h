//===- ArtifactWriter.h - Make artifact files -------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How the compiler and tests make artifacts, with the native objects that flatc generates:
///
///   moe::format::ArtifactT artifact;
///   artifact.producer = "moe-opt 0.1.0 (LLVM 22.1.8)";
///   ...                                  // everything except artifact.blobs
///   moe::format::BlobData code{BlobKind::elf, object};
///   auto bytes = moe::format::encodeArtifact(artifact, {&code, 1});
///   if (!bytes) ...
///   moe::Status status = moe::format::writeFile("tiny.moe", *bytes);
///
/// Equal inputs give equal bytes.
///
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_FORMAT_ARTIFACTWRITER_H
#define MOE_RUNTIME_FORMAT_ARTIFACTWRITER_H

#include "moe/Status.h"
#include "runtime/format/artifact_generated.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe::format {

/// Bytes to go into an artifact, e.g. a shared object.
struct BlobData {
  BlobKind kind = BlobKind::elf;
  std::span<const std::byte> bytes;
  std::string arch = {}; ///< Of a cubin.
  int source = -1;       ///< Of a cubin: the blob with its ptx.
};

/// What `Artifact.blobs` must say about `blobs`: where each lies in the blob area, and its checksum. For those who
/// build the FlatBuffer themselves.
std::vector<BlobT> layOutBlobs(std::span<const BlobData> blobs);

/// The file made of a FlatBuffer, whose `blobs` agree with layOutBlobs(blobs), and the blobs. Checks nothing.
std::vector<std::byte> assembleArtifact(std::span<const std::byte> table, std::string_view producer,
                                        std::span<const BlobData> blobs);

/// The whole file. Sets `artifact.blobs`. The result passes Artifact::fromBytes; if it would not, the error says why:
/// a compiler bug is found where it was made.
Result<std::vector<std::byte>> encodeArtifact(ArtifactT &artifact, std::span<const BlobData> blobs);

/// Writes `bytes` beside `path`, flushes them to the disk and renames: there is the old file or the whole new one at
/// any moment. A device or a pipe is not replaced but written to. Errors: ErrorCode::failed, with the path and the
/// system's reason.
Status writeFile(const std::string &path, std::span<const std::byte> bytes);

} // namespace moe::format

#endif // MOE_RUNTIME_FORMAT_ARTIFACTWRITER_H

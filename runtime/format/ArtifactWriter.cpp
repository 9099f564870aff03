//===- ArtifactWriter.cpp - Make artifact files ---------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/format/ArtifactWriter.h"

#include "runtime/format/FileLayout.h"
#include "runtime/format/Schema.h"
#include "runtime/format/Validate.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moe::format {

std::vector<BlobT> layOutBlobs(std::span<const BlobData> blobs) {
  std::vector<BlobT> layout;
  std::uint64_t end = 0;
  for (const BlobData &blob : blobs) {
    BlobT &entry = layout.emplace_back();
    entry.kind = blob.kind;
    entry.offset = alignTo(end, kBlobAlignment);
    entry.size = blob.bytes.size();
    entry.checksum = checksum(blob.bytes);
    entry.arch = blob.arch;
    entry.source = blob.source;
    end = entry.offset + entry.size;
  }
  return layout;
}

std::vector<std::byte> assembleArtifact(std::span<const std::byte> table, std::string_view producer,
                                        std::span<const BlobData> blobs) {
  FileHeader header;
  header.schemaHash = kSchemaHash;
  header.tableSize = table.size();
  producer.copy(header.producer.data(), header.producer.size());
  header.checksum = headerChecksum(header, table);

  std::vector<std::byte> file;
  auto append = [&](std::span<const std::byte> bytes) { file.insert(file.end(), bytes.begin(), bytes.end()); };
  append(std::as_bytes(std::span(&header, 1)));
  append(table);
  for (const BlobData &blob : blobs) {
    file.resize(alignTo(file.size(), kBlobAlignment));
    append(blob.bytes);
  }
  return file;
}

Result<std::vector<std::byte>> encodeArtifact(ArtifactT &artifact, std::span<const BlobData> blobs) {
  artifact.blobs.clear();
  for (BlobT &blob : layOutBlobs(blobs))
    artifact.blobs.push_back(std::make_unique<BlobT>(blob));

  flatbuffers::FlatBufferBuilder builder;
  FinishArtifactBuffer(builder, CreateArtifact(builder, &artifact));
  const auto table = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  if (Status status = validate(table); !status)
    return status.withContext("the artifact to be written is invalid");
  return assembleArtifact(table, artifact.producer, blobs);
}

static bool writeAll(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

/// Writes to what is there, which is no file that could be replaced.
static int writeInPlace(const std::string &path, std::span<const std::byte> bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0)
    return errno;
  int error = writeAll(descriptor, bytes) ? 0 : errno;
  if (::close(descriptor) != 0 && error == 0)
    error = errno;
  return error;
}

/// Writes a file beside `path`, and renames it.
static int replaceFile(const std::string &path, std::span<const std::byte> bytes) {
  // The process id keeps two writers of one path apart; the last rename wins.
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return errno;
  int error = writeAll(descriptor, bytes) && ::fsync(descriptor) == 0 ? 0 : errno;
  if (::close(descriptor) != 0 && error == 0)
    error = errno;
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0)
    error = errno;
  if (error != 0)
    ::unlink(temporary.c_str());
  return error;
}

Status writeFile(const std::string &path, std::span<const std::byte> bytes) {
  struct stat status;
  const bool isThere = ::stat(path.c_str(), &status) == 0;
  const int error = isThere && !S_ISREG(status.st_mode) ? writeInPlace(path, bytes) : replaceFile(path, bytes);
  if (error == 0)
    return {};
  return Status(ErrorCode::failed, path + ": cannot be written: " + std::strerror(error));
}

} // namespace moe::format

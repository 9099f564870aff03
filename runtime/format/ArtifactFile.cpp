//===- ArtifactFile.cpp - Open and check artifacts ------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/format/FileLayout.h"
#include "runtime/format/MappedFile.h"
#include "runtime/format/Schema.h"
#include "runtime/format/Validate.h"

#include "moe/Session.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace moe {
namespace {

using format::FileHeader;

/// The producer field as text that is safe to print.
std::string producerOf(const FileHeader &header) {
  std::string text;
  for (char c : header.producer) {
    if (c == '\0')
      break;
    text += c >= 0x20 && c < 0x7f ? c : '?';
  }
  return text.empty() ? "an unknown program" : "'" + text + "'";
}

/// Who wrote the file, who reads it, how to rebuild it.
std::string mismatchAdvice(const FileHeader &header) {
  return " (written by " + producerOf(header) + ", read by moe-mlir " + std::string(format::kProjectVersion) +
         "); compile the description again with the moe-opt of this build";
}

std::string hex(std::uint64_t value) {
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4)
    digits += "0123456789abcdef"[(value >> shift) & 15];
  return digits;
}

bool isZero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

/// A checked artifact, either mapped from a file or owned.
class LoadedArtifact final : public Artifact {
public:
  LoadedArtifact(std::string path, format::MappedFile file) : filePath(std::move(path)), file(std::move(file)) {
    bytes = this->file.bytes();
  }
  LoadedArtifact(std::string path, std::vector<std::byte> owned) : filePath(std::move(path)), owned(std::move(owned)) {
    bytes = this->owned;
  }

  const format::Artifact &table() const override { return *root; }
  std::span<const std::byte> blob(std::size_t index) const override { return blobs[index]; }
  const std::string &path() const override { return filePath; }

  /// Makes the accessors valid, or says what is wrong with the bytes.
  Status check() {
    Status status = checkHeader();
    if (status.ok())
      status = format::validate(tableBytes);
    if (!status.ok())
      return status;
    root = format::GetArtifact(tableBytes.data());
    return checkBlobs();
  }

private:
  static Status corrupt(std::string message) { return Status(ErrorCode::corruptFile, std::move(message)); }

  Status checkHeader();
  Status checkBlobs();

  std::string filePath;
  format::MappedFile file;
  std::vector<std::byte> owned;
  std::span<const std::byte> bytes, tableBytes;
  const format::Artifact *root = nullptr;
  std::vector<std::span<const std::byte>> blobs;
};

Status LoadedArtifact::checkHeader() {
  FileHeader header;
  if (bytes.size() >= header.magic.size())
    std::memcpy(&header.magic, bytes.data(), header.magic.size());
  if (bytes.size() < header.magic.size() || header.magic != format::kMagic)
    return corrupt("not an artifact: it does not begin with \"MOE-ARTF\"; artifacts are made by moe-opt");
  if (bytes.size() < sizeof(header))
    return corrupt("truncated: " + std::to_string(bytes.size()) + " bytes, but the header alone has " +
                   std::to_string(sizeof(header)));
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.version != format::kFormatVersion)
    return corrupt("artifact format " + std::to_string(header.version) + ", but this program reads format " +
                   std::to_string(format::kFormatVersion) + mismatchAdvice(header));
  if (header.schemaHash != format::kSchemaHash)
    return corrupt("artifact schema " + hex(header.schemaHash) + ", but this program reads schema " +
                   hex(format::kSchemaHash) + mismatchAdvice(header));
  if (header.reserved != 0)
    return corrupt("damaged: the reserved header field is " + std::to_string(header.reserved) + ", not 0");
  if (header.tableSize > bytes.size() - sizeof(header))
    return corrupt("truncated: " + std::to_string(bytes.size()) + " bytes, but the FlatBuffer needs " +
                   std::to_string(header.tableSize) + " after the header");
  tableBytes = bytes.subspan(sizeof(header), header.tableSize);
  if (const std::uint64_t actual = format::headerChecksum(header, tableBytes); actual != header.checksum)
    return corrupt("damaged: header and FlatBuffer have checksum " + hex(actual) + ", recorded is " +
                   hex(header.checksum));
  return {};
}

Status LoadedArtifact::checkBlobs() {
  // validate() has checked that the blobs follow each other without overflow.
  const std::uint64_t area = format::blobAreaOffset(tableBytes.size());
  std::uint64_t end = sizeof(FileHeader) + tableBytes.size();
  for (const format::Blob *blob : *root->blobs()) {
    const std::string what = "blob " + std::to_string(blobs.size());
    const std::uint64_t begin = area + blob->offset();
    if (begin > bytes.size() || blob->size() > bytes.size() - begin)
      return corrupt("truncated: " + what + " ends at byte " + std::to_string(begin + blob->size()) +
                     ", but the file has " + std::to_string(bytes.size()));
    if (!isZero(bytes.subspan(end, begin - end)))
      return corrupt("damaged: the padding before " + what + " is not zero");
    const auto contents = bytes.subspan(begin, blob->size());
    if (const std::uint64_t actual = format::checksum(contents); actual != blob->checksum())
      return corrupt("damaged: " + what + " has checksum " + hex(actual) + ", recorded is " + hex(blob->checksum()));
    blobs.push_back(contents);
    end = begin + blob->size();
  }
  if (end != bytes.size())
    return corrupt("damaged: " + std::to_string(bytes.size() - end) + " bytes follow the end of the artifact");
  return {};
}

template <typename Storage>
Result<std::shared_ptr<const Artifact>> makeArtifact(const std::string &path, Storage storage) {
  auto artifact = std::make_shared<LoadedArtifact>(path, std::move(storage));
  if (Status status = artifact->check(); !status)
    return status.withContext(path);
  return std::shared_ptr<const Artifact>(std::move(artifact));
}

} // namespace

Result<std::shared_ptr<const Artifact>> Artifact::open(const std::string &path) {
  auto file = format::MappedFile::open(path);
  if (!file)
    return file.status();
  return makeArtifact(path, std::move(*file));
}

Result<std::shared_ptr<const Artifact>> Artifact::fromBytes(std::span<const std::byte> bytes) {
  return makeArtifact("<memory>", std::vector<std::byte>(bytes.begin(), bytes.end()));
}

} // namespace moe

//===- ArtifactFileTest.cpp - Files that are damaged, foreign or fine --===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

#include "runtime/format/DType.h"
#include "runtime/format/FileLayout.h"
#include "runtime/format/Schema.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace moe;
using namespace moe::test;
using format::FileHeader;

namespace {

/// A path that no other test process uses; removed at the end.
class TemporaryFile {
public:
  explicit TemporaryFile(const std::string &name)
      : path(testing::TempDir() + std::to_string(::getpid()) + "-" + name) {}
  ~TemporaryFile() { ::unlink(path.c_str()); }

  const std::string path;
};

/// The example without most of its code, so that trying every position is quick.
std::vector<std::byte> smallFile() {
  ArtifactBuilder builder = exampleArtifact();
  builder.code.resize(300);
  return builder.encode();
}

FileHeader &headerOf(std::vector<std::byte> &file) { return *reinterpret_cast<FileHeader *>(file.data()); }

/// Makes the checksum right again after a change of header or FlatBuffer.
void sign(std::vector<std::byte> &file) {
  FileHeader &header = headerOf(file);
  header.checksum = headerChecksum(header, std::span(file).subspan(sizeof(header), header.tableSize));
}

/// What a session of `table` allocates, about.
std::size_t describedBytes(const format::Artifact &table) {
  std::size_t bytes = 0;
  for (const format::Variable *variable : *table.variables())
    bytes += format::byteSize(*variable);
  for (const format::EntryPoint *entryPoint : *table.entry_points()) {
    bytes += entryPoint->workspace_bytes();
    for (const auto *ports : {entryPoint->inputs(), entryPoint->outputs()})
      for (const format::Port *port : *ports)
        bytes += format::byteSize(*port);
  }
  return bytes;
}

TEST(ArtifactFile, RoundTrip) {
  TemporaryFile file("round-trip.moe");
  ArtifactBuilder builder = exampleArtifact();
  ASSERT_TRUE(format::writeFile(file.path, builder.encode()).ok());

  auto artifact = Artifact::open(file.path);
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  const format::Artifact &table = (*artifact)->table();
  EXPECT_EQ((*artifact)->path(), file.path);
  EXPECT_EQ(table.producer()->str(), "runtime tests");
  ASSERT_EQ(table.variables()->size(), 4u);
  EXPECT_EQ(table.variables()->Get(0)->name()->str(), "weight");
  EXPECT_EQ(table.entry_points()->Get(0)->program()->size(), 3u);
  const auto blob = (*artifact)->blob(0);
  EXPECT_TRUE(std::equal(blob.begin(), blob.end(), builder.code.begin(), builder.code.end()));
}

TEST(ArtifactFile, SameInputsGiveTheSameBytes) { EXPECT_EQ(exampleArtifact().encode(), exampleArtifact().encode()); }

TEST(ArtifactFile, BlobsAreAlignedInTheFile) {
  ArtifactBuilder builder = exampleArtifact();
  const std::vector<std::byte> second(5, std::byte{7}), empty;
  const format::BlobData blobs[] = {
      {format::BlobKind::elf, builder.code}, {format::BlobKind::elf, empty}, {format::BlobKind::elf, second}};
  auto bytes = format::encodeArtifact(builder.table, blobs);
  ASSERT_TRUE(bytes.ok());
  auto artifact = Artifact::fromBytes(*bytes);
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  EXPECT_EQ((*artifact)->blob(1).size(), 0u);
  ASSERT_EQ((*artifact)->blob(2).size(), 5u);
  EXPECT_EQ((*artifact)->blob(2)[4], std::byte{7});
  for (const format::Blob *blob : *(*artifact)->table().blobs())
    EXPECT_EQ(blob->offset() % format::kBlobAlignment, 0u);
}

TEST(ArtifactFile, EveryTruncationIsAnError) {
  const std::vector<std::byte> file = smallFile();
  ASSERT_TRUE(Artifact::fromBytes(file).ok());
  for (std::size_t size = 0; size < file.size(); size += size < 200 ? 1 : 64)
    EXPECT_ERROR(Artifact::fromBytes(std::span(file).first(size)), ErrorCode::corruptFile, "");
  EXPECT_ERROR(Artifact::fromBytes(std::span(file).first(file.size() - 1)), ErrorCode::corruptFile, "truncated");
}

TEST(ArtifactFile, EveryBitFlipIsAnError) {
  std::vector<std::byte> file = smallFile();
  for (std::size_t i = 0; i < file.size(); ++i) {
    const std::byte bit{static_cast<unsigned char>(1 << (i % 8))};
    file[i] ^= bit;
    SCOPED_TRACE("byte " + std::to_string(i));
    EXPECT_ERROR(Artifact::fromBytes(file), ErrorCode::corruptFile, "");
    file[i] ^= bit;
  }
  EXPECT_TRUE(Artifact::fromBytes(file).ok());
}

// A checksum protects against accidents only: whatever the FlatBuffer says, opening must not crash, and what is
// accepted must be usable.
TEST(ArtifactFile, WrongTablesWithRightChecksumsDoNoHarm) {
  std::vector<std::byte> file = exampleArtifact("null").encode();
  const std::size_t tableSize = headerOf(file).tableSize;
  std::size_t refused = 0, used = 0;
  for (std::size_t i = sizeof(FileHeader); i < sizeof(FileHeader) + tableSize; ++i)
    for (unsigned char pattern : {0x01, 0x10, 0x80, 0xff}) {
      file[i] ^= std::byte{pattern};
      sign(file);
      auto artifact = Artifact::fromBytes(file);
      if (!artifact) {
        EXPECT_EQ(artifact.status().code(), ErrorCode::corruptFile);
        ++refused;
      } else {
        const format::Artifact &table = (*artifact)->table();
        if (describedBytes(table) < (1 << 20) && table.target()->name()->str() == "null") {
          auto session = Session::create(*artifact);
          if (session) {
            EXPECT_OK((*session)->initialize(1));
            for (const std::string &name : (*session)->entryPointNames())
              EXPECT_OK((*session)->find(name)->run());
            ++used;
          }
        }
      }
      file[i] ^= std::byte{pattern};
    }
  EXPECT_GT(refused, tableSize / 4);
  EXPECT_GT(used, 0u);
}

TEST(ArtifactFile, ForeignFile) {
  const std::string text = "module {\n  moe.model @tiny\n}\n";
  EXPECT_ERROR(Artifact::fromBytes(std::as_bytes(std::span(text))), ErrorCode::corruptFile, "not an artifact");
}

TEST(ArtifactFile, AnotherVersionSaysWhoWroteItAndWhatToDo) {
  std::vector<std::byte> file = smallFile();
  headerOf(file).version = format::kFormatVersion + 1;
  for (const char *part : {"artifact format 3", "reads format 2", "'runtime tests'", "read by moe-mlir", "moe-opt"})
    EXPECT_ERROR(Artifact::fromBytes(file), ErrorCode::corruptFile, part);
}

TEST(ArtifactFile, AnotherSchemaSaysWhoWroteItAndWhatToDo) {
  std::vector<std::byte> file = smallFile();
  headerOf(file).schemaHash = 0x0123456789abcdef;
  headerOf(file).producer = {'o', 'l', 'd', '\x1b'}; // Unprintable text does not reach the terminal.
  for (const char *part : {"schema 0123456789abcdef", "'old?'", "compile the description again"})
    EXPECT_ERROR(Artifact::fromBytes(file), ErrorCode::corruptFile, part);
}

TEST(ArtifactFile, DamageIsLocated) {
  std::vector<std::byte> file = smallFile();
  const std::size_t tableEnd = sizeof(FileHeader) + headerOf(file).tableSize;
  auto damaged = [&](std::size_t at) {
    std::vector<std::byte> copy = file;
    copy[at] ^= std::byte{1};
    return Artifact::fromBytes(copy);
  };
  EXPECT_ERROR(damaged(12), ErrorCode::corruptFile, "reserved");
  EXPECT_ERROR(damaged(50), ErrorCode::corruptFile, "checksum");
  EXPECT_ERROR(damaged(tableEnd - 1), ErrorCode::corruptFile, "header and FlatBuffer have checksum");
  EXPECT_ERROR(damaged(tableEnd), ErrorCode::corruptFile, "padding before blob 0");
  EXPECT_ERROR(damaged(file.size() - 1), ErrorCode::corruptFile, "blob 0 has checksum");
  file.push_back(std::byte{0});
  EXPECT_ERROR(Artifact::fromBytes(file), ErrorCode::corruptFile, "1 bytes follow");
}

TEST(ArtifactFile, UnreadablePaths) {
  EXPECT_ERROR(Artifact::open("/nonexistent/x.moe"), ErrorCode::failed, "/nonexistent/x.moe");
  EXPECT_ERROR(Artifact::open("/"), ErrorCode::failed, "not a regular file");
  TemporaryFile file("empty.moe");
  std::ofstream(file.path).close();
  EXPECT_ERROR(Artifact::open(file.path), ErrorCode::corruptFile, "not an artifact");
}

TEST(ArtifactFile, WritingReplacesOrFails) {
  TemporaryFile file("replaced.moe");
  const std::vector<std::byte> bytes = smallFile();
  ASSERT_TRUE(format::writeFile(file.path, std::span(bytes).first(10)).ok());
  ASSERT_TRUE(format::writeFile(file.path, bytes).ok());
  EXPECT_OK(Artifact::open(file.path));
  EXPECT_ERROR(format::writeFile("/nonexistent/x.moe", bytes), ErrorCode::failed, "/nonexistent/x.moe");
}

// /dev/null stays what it is; here by another name, which a writer that replaces it would take.
TEST(ArtifactFile, WritesToADeviceInPlace) {
  TemporaryFile file("device.moe");
  std::filesystem::create_symlink("/dev/null", file.path);
  const std::vector<std::byte> bytes(10);
  EXPECT_TRUE(format::writeFile(file.path, bytes).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(file.path));
  EXPECT_TRUE(std::filesystem::is_character_file(file.path));
}

} // namespace

//===- SafetensorsTest.cpp - The file format, and every way a file can be wrong -===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Safetensors.h"
#include "lib/Engine/Support/Hash.h"
#include "test/engine/EngineTest.h"

#include <array>
#include <cstring>

namespace moe::engine {
namespace {

using test::TemporaryDirectory;

/// A file with this header and so many bytes of data.
std::vector<std::byte> file(std::string_view header, std::size_t dataSize, std::uint64_t headerSize) {
  std::vector<std::byte> bytes(8 + header.size() + dataSize);
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<std::byte>(headerSize >> (8 * i));
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

std::vector<std::byte> file(std::string_view header, std::size_t dataSize = 0) {
  return file(header, dataSize, header.size());
}

TensorSource source(const std::string &name, const std::string &dtype, std::vector<std::int64_t> shape,
                    std::byte value) {
  return {name, dtype, std::move(shape), [value](std::span<std::byte> bytes) {
            std::ranges::fill(bytes, value);
            return Status();
          }};
}

TEST(Safetensors, RoundTrip) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.safetensors";
  Result<WrittenFile> written =
      writeSafetensors(path,
                       {source("weight", "F32", {2, 3}, std::byte{1}), source("scalar", "BF16", {}, std::byte{2}),
                        source("empty", "I64", {0, 7}, std::byte{3})},
                       {{"format", "pt"}});
  ASSERT_OK(written);
  EXPECT_EQ(written->size, std::filesystem::file_size(path));
  EXPECT_EQ(written->checksum, hash64(test::readText(path)));

  Result<SafetensorsFile> read = SafetensorsFile::open(path);
  ASSERT_OK(read);
  const TensorDirectory &contents = read->directory();
  EXPECT_EQ(contents.tensors.size(), 3u);
  EXPECT_EQ(contents.metadata.at("format"), "pt");
  const TensorView &weight = contents.tensors.at("weight");
  EXPECT_EQ(weight.type(), "F32[2, 3]");
  EXPECT_EQ(weight.bytes.size(), 24u);
  EXPECT_EQ(weight.bytes[23], std::byte{1});
  EXPECT_EQ(contents.tensors.at("scalar").bytes.size(), 2u);
  EXPECT_EQ(contents.tensors.at("empty").bytes.size(), 0u);
}

TEST(Safetensors, DataBeginsAligned) {
  TemporaryDirectory directory;
  const std::string path = directory / "a.safetensors";
  ASSERT_OK(writeSafetensors(path, {source("weight", "U8", {5}, std::byte{1})}));
  const std::string text = test::readText(path);
  EXPECT_EQ(text.size(), 4096u + 5u);
  EXPECT_EQ(text[4095], ' ');
}

/// What must be refused, and a piece of what is said.
struct Malformed {
  const char *name, *header;
  std::size_t dataSize;
  const char *message;
};

class SafetensorsRefuses : public testing::TestWithParam<Malformed> {};

TEST_P(SafetensorsRefuses, Header) {
  const Malformed &malformed = GetParam();
  EXPECT_FAILS(parseSafetensors(file(malformed.header, malformed.dataSize)), ErrorCode::corruptFile, malformed.message);
}

INSTANTIATE_TEST_SUITE_P(
    , SafetensorsRefuses,
    testing::Values(
        Malformed{"Empty", "", 0, "does not begin with '{'"}, Malformed{"List", "[]", 0, "does not begin with '{'"},
        Malformed{"LeadingSpace", " {}", 0, "does not begin with '{'"},
        Malformed{"Truncated", R"({"a": {"dtype": "F32")", 0, "invalid JSON"},
        Malformed{"Trailing", "{} x", 0, "invalid JSON"},
        Malformed{"DeepNesting", R"({"a": [[[[[[0]]]]]]})", 0, "nested deeper"},
        Malformed{
            "DuplicateTensor",
            R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
            0, "\"a\" occurs twice"},
        Malformed{"DuplicateMember", R"({"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}})", 0,
                  "\"dtype\" occurs twice"},
        Malformed{"NotAnObject", R"({"a": 1})", 0, "must have exactly"},
        Malformed{"MissingShape", R"({"a":{"dtype":"U8","data_offsets":[0,0]}})", 0, "must have exactly"},
        Malformed{"ExtraMember", R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})", 0,
                  "must have exactly"},
        Malformed{"UnknownType", R"({"a":{"dtype":"F31","shape":[0],"data_offsets":[0,0]}})", 0, "unknown dtype"},
        Malformed{"TypeNotText", R"({"a":{"dtype":7,"shape":[0],"data_offsets":[0,0]}})", 0, "unknown dtype"},
        Malformed{"ShapeNotAList", R"({"a":{"dtype":"U8","shape":0,"data_offsets":[0,0]}})", 0, "not a list"},
        Malformed{"NegativeExtent", R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}})", 0, "invalid extent"},
        Malformed{"FractionalExtent", R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1,
                  "invalid extent"},
        Malformed{"OneOffset", R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}})", 0, "invalid data_offsets"},
        Malformed{"BackwardOffsets", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1,
                  "invalid data_offsets"},
        Malformed{"SizeMismatch", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
                  "takes 8 bytes but data_offsets span 4"},
        Malformed{"SizeOverflow", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                  "overflows"},
        Malformed{"PartOfAByte", R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}})", 0, "not whole bytes"},
        Malformed{"HoleAtStart", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "leaving a hole"},
        Malformed{
            "HoleBetween",
            R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
            3, "leaving a hole"},
        Malformed{
            "Overlap",
            R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
            3, "overlapping"},
        Malformed{"BeyondTheEnd", R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 1, "which has 1 bytes"},
        Malformed{"BeforeTheEnd", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2, "which has 2 bytes"},
        Malformed{"MetadataNotText", R"({"__metadata__":{"a":1}})", 0, "must be a string"},
        Malformed{"MetadataNotAnObject", R"({"__metadata__":[]})", 0, "must be an object"}),
    [](const auto &info) { return info.param.name; });

TEST(Safetensors, RefusesHeaderSizes) {
  const std::array<std::byte, 7> tooShort = {};
  EXPECT_FAILS(parseSafetensors(tooShort), ErrorCode::corruptFile, "shorter than");
  EXPECT_FAILS(parseSafetensors(file("{}", 0, 3)), ErrorCode::corruptFile, "does not fit in the file");
  EXPECT_FAILS(parseSafetensors(file("{}", 0, 100'000'001)), ErrorCode::corruptFile, "exceeds the limit");
  EXPECT_FAILS(parseSafetensors(file("{}", 0, UINT64_MAX)), ErrorCode::corruptFile, "exceeds the limit");
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::vector<std::byte> whole = file(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 3);
  ASSERT_OK(parseSafetensors(whole));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parseSafetensors(std::span(whole).first(size))) << size;
}

TEST(Safetensors, NamesTheFile) {
  TemporaryDirectory directory;
  test::writeText(directory / "x.safetensors", "abc");
  EXPECT_FAILS(SafetensorsFile::open(directory / "x.safetensors"), ErrorCode::corruptFile, "x.safetensors: ");
  EXPECT_FAILS(SafetensorsFile::open(directory / "none"), ErrorCode::failed, "none");
}

} // namespace
} // namespace moe::engine

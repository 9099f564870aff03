//===- SafetensorsReader.cpp - Reading safetensors ------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Safetensors.h"
#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Support/Strings.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace moe::engine {
namespace {

/// The reference implementation's MAX_HEADER_SIZE.
constexpr std::uint64_t kMaxHeaderSize = 100'000'000;

Status corrupt(std::string reason) { return Status(ErrorCode::corruptFile, std::move(reason)); }

std::uint64_t readLittleEndian64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::optional<std::uint64_t> asUnsigned(const Json &value) {
  if (value.is_number_unsigned())
    return value.get<std::uint64_t>();
  return std::nullopt;
}

/// Bytes of a tensor; none on overflow or if the bits do not fill whole bytes.
std::optional<std::uint64_t> tensorSize(const std::vector<std::int64_t> &shape, int bits) {
  std::uint64_t total = bits;
  for (std::int64_t extent : shape)
    if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(extent), &total))
      return std::nullopt;
  if (total % 8 != 0)
    return std::nullopt;
  return total / 8;
}

struct Entry {
  std::string name;
  TensorView tensor;
  std::uint64_t begin = 0, end = 0;
};

/// Reads {"dtype", "shape", "data_offsets"} of `entry.name`.
Status readEntry(const Json &json, Entry &entry) {
  const std::string where = "tensor '" + entry.name + "'";
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets"))
    return corrupt(where + " must have exactly dtype, shape and data_offsets");

  const Json &dtype = json["dtype"], &shape = json["shape"], &offsets = json["data_offsets"];
  if (!dtype.is_string() || safetensorsBits(dtype.get_ref<const std::string &>()) == 0)
    return corrupt(where + " has the unknown dtype " + dtype.dump());
  entry.tensor.dtype = dtype.get<std::string>();

  if (!shape.is_array())
    return corrupt(where + ": its shape is not a list");
  for (const Json &extent : shape) {
    std::optional<std::uint64_t> value = asUnsigned(extent);
    if (!value || *value > static_cast<std::uint64_t>(INT64_MAX))
      return corrupt(where + " has the invalid extent " + extent.dump());
    entry.tensor.shape.push_back(static_cast<std::int64_t>(*value));
  }

  std::optional<std::uint64_t> begin, end;
  if (offsets.is_array() && offsets.size() == 2) {
    begin = asUnsigned(offsets[0]);
    end = asUnsigned(offsets[1]);
  }
  if (!begin || !end || *begin > *end)
    return corrupt(where + " has the invalid data_offsets " + offsets.dump());
  entry.begin = *begin;
  entry.end = *end;

  std::optional<std::uint64_t> size = tensorSize(entry.tensor.shape, safetensorsBits(entry.tensor.dtype));
  if (!size)
    return corrupt(where + ": the size of " + entry.tensor.type() + " overflows or is not whole bytes");
  if (*size != *end - *begin)
    return corrupt(format("%s: %s takes %llu bytes but data_offsets span %llu", where.c_str(),
                          entry.tensor.type().c_str(), static_cast<unsigned long long>(*size),
                          static_cast<unsigned long long>(*end - *begin)));
  return {};
}

Status readMetadata(const Json &json, std::map<std::string, std::string> &metadata) {
  if (!json.is_object())
    return corrupt("__metadata__ must be an object");
  for (auto &[key, value] : json.items()) {
    if (!value.is_string())
      return corrupt("__metadata__ entry '" + key + "' must be a string");
    metadata[key] = value.get<std::string>();
  }
  return {};
}

/// Checks that the entries, in any order, tile `data` exactly.
Status checkContiguous(std::vector<Entry> &entries, std::uint64_t dataSize) {
  std::ranges::sort(entries, {}, [](const Entry &entry) { return std::pair(entry.begin, entry.end); });
  std::uint64_t expected = 0;
  for (const Entry &entry : entries) {
    if (entry.begin != expected)
      return corrupt(format("tensor '%s' begins at %llu, %s byte %llu where the previous one ends", entry.name.c_str(),
                            static_cast<unsigned long long>(entry.begin),
                            entry.begin < expected ? "overlapping" : "leaving a hole after",
                            static_cast<unsigned long long>(expected)));
    expected = entry.end;
  }
  if (expected != dataSize)
    return corrupt(format("the tensors end at byte %llu of the data, which has %llu bytes",
                          static_cast<unsigned long long>(expected), static_cast<unsigned long long>(dataSize)));
  return {};
}

} // namespace

int safetensorsBits(std::string_view dtype) {
  static constexpr std::array<std::pair<std::string_view, int>, 22> table = {{
      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"U8", 8},   {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},     {"I16", 16},        {"U16", 16}, {"F16", 16},
      {"BF16", 16},   {"I32", 32},    {"U32", 32},        {"F32", 32},        {"C64", 64}, {"F64", 64},
      {"I64", 64},    {"U64", 64},    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
  }};
  auto found = std::ranges::find(table, dtype, &std::pair<std::string_view, int>::first);
  return found == table.end() ? 0 : found->second;
}

std::string TensorView::type() const {
  std::string text = dtype + "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Result<TensorDirectory> parseSafetensors(std::span<const std::byte> file) {
  if (file.size() < 8)
    return corrupt("shorter than the 8 bytes of a safetensors header size");
  const std::uint64_t headerSize = readLittleEndian64(file);
  if (headerSize > kMaxHeaderSize)
    return corrupt("a header of " + std::to_string(headerSize) + " bytes exceeds the limit of 100 MB");
  if (headerSize > file.size() - 8)
    return corrupt("a header of " + std::to_string(headerSize) + " bytes does not fit in the file");
  std::string_view header(reinterpret_cast<const char *>(file.data()) + 8, headerSize);
  if (!header.starts_with('{'))
    return corrupt("the header does not begin with '{'");
  Result<Json> json = parseJson(header, /*maxDepth=*/4);
  if (!json)
    return json.status().withContext("the header");

  TensorDirectory directory;
  std::vector<Entry> entries;
  for (auto &[name, value] : json->items()) {
    if (name == "__metadata__") {
      if (Status status = readMetadata(value, directory.metadata); !status)
        return status;
      continue;
    }
    Entry entry;
    entry.name = name;
    if (Status status = readEntry(value, entry); !status)
      return status;
    entries.push_back(std::move(entry));
  }
  std::span<const std::byte> data = file.subspan(8 + headerSize);
  if (Status status = checkContiguous(entries, data.size()); !status)
    return status;
  for (Entry &entry : entries) {
    entry.tensor.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    directory.tensors.emplace(std::move(entry.name), std::move(entry.tensor));
  }
  return directory;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  Result<format::MappedFile> file = format::MappedFile::open(path);
  if (!file)
    return file.status();
  Result<TensorDirectory> directory = parseSafetensors(file->bytes());
  if (!directory)
    return directory.status().withContext(path);
  return SafetensorsFile(std::move(*file), std::move(*directory));
}

} // namespace moe::engine

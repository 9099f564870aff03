//===- Manifest.cpp - What makes a directory a checkpoint -----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Manifest.h"

#include "lib/Engine/Support/Hash.h"
#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Support/Strings.h"

#include <charconv>
#include <optional>

namespace moe::engine {
namespace {

constexpr int kSchemaVersion = 1;
constexpr std::string_view kFormat = "moe-checkpoint";

Status corrupt(std::string reason) { return Status(ErrorCode::corruptFile, std::move(reason)); }

/// Of the manifest's JSON without the member "checksum", in compact form.
std::uint64_t selfChecksum(Json json) {
  json.erase("checksum");
  return hash64(json.dump());
}

std::optional<std::uint64_t> readHash(const Json &json, const char *key) {
  auto member = json.find(key);
  if (member == json.end() || !member->is_string())
    return std::nullopt;
  const std::string &text = member->get_ref<const std::string &>();
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<std::uint64_t> readUnsigned(const Json &json, const char *key) {
  auto member = json.find(key);
  if (member == json.end() || !member->is_number_unsigned())
    return std::nullopt;
  return member->get<std::uint64_t>();
}

} // namespace

std::string manifestToJson(const Manifest &manifest) {
  Json json = {{"format", kFormat},
               {"schema_version", kSchemaVersion},
               {"step", static_cast<std::uint64_t>(manifest.step)},
               {"seed", manifest.seed},
               {"data_fingerprint", formatHash(manifest.dataFingerprint)},
               {"model", manifest.model},
               {"files", Json::array()}};
  for (const ManifestFile &file : manifest.files)
    json["files"].push_back({{"name", file.name}, {"size", file.size}, {"xxh64", formatHash(file.checksum)}});
  json["checksum"] = formatHash(selfChecksum(json));
  return json.dump(2) + "\n";
}

Result<Manifest> parseManifest(std::string_view text) {
  Result<Json> json = parseJson(text);
  if (!json)
    return json.status();
  if (!json->is_object() || json->value("format", Json()) != kFormat)
    return corrupt("not a checkpoint manifest");
  if (std::optional<std::uint64_t> version = readUnsigned(*json, "schema_version"); version != kSchemaVersion)
    return corrupt(version ? "written by another version of moe-run (schema " + std::to_string(*version) +
                                 ", this one reads " + std::to_string(kSchemaVersion) + ")"
                           : "it has no schema_version");
  if (readHash(*json, "checksum") != selfChecksum(*json))
    return corrupt("its own checksum does not match");

  Manifest manifest;
  const std::optional<std::uint64_t> step = readUnsigned(*json, "step"), seed = readUnsigned(*json, "seed"),
                                     data = readHash(*json, "data_fingerprint");
  const Json model = json->value("model", Json()), files = json->value("files", Json());
  if (!step || *step > INT64_MAX || !seed || !data || !model.is_string() || !files.is_array())
    return corrupt("one of step, seed, data_fingerprint, model and files is missing or wrong");
  manifest.step = static_cast<std::int64_t>(*step);
  manifest.seed = *seed;
  manifest.dataFingerprint = *data;
  manifest.model = model.get<std::string>();
  for (const Json &file : files) {
    const Json name = file.is_object() ? file.value("name", Json()) : Json();
    if (!name.is_string() || name.get_ref<const std::string &>().find('/') != std::string::npos)
      return corrupt("an entry of files has no valid name");
    std::optional<std::uint64_t> size = readUnsigned(file, "size"), checksum = readHash(file, "xxh64");
    if (!size || !checksum)
      return corrupt("the entry of " + name.dump() + " has no valid size or xxh64");
    manifest.files.push_back({name.get<std::string>(), *size, *checksum});
  }
  return manifest;
}

} // namespace moe::engine

//===- Bundle.cpp - Compiled cases and what they should give -----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Conformance/Bundle.h"

#include "lib/Engine/Support/Json.h"

#include <algorithm>
#include <filesystem>

namespace fs = std::filesystem;

namespace moe::engine {

/// The list in the metadata; nothing if it is not as it should be.
static std::optional<std::vector<ConformanceCase>> readList(const std::string &text) {
  Result<Json> json = parseJson(text);
  if (!json || !json->is_array())
    return std::nullopt;
  std::vector<ConformanceCase> cases;
  for (const Json &entry : *json) {
    auto word = [&](const char *key) {
      return entry.is_object() && entry.contains(key) && entry[key].is_string() ? entry[key].get<std::string>() : "";
    };
    cases.push_back({word("entry"), word("op"), word("case"), word("storage"), word("inputs"), false});
    if (cases.back().entry.empty())
      return std::nullopt;
    cases.back().gradient = entry.value("gradient", Json(false)) == Json(true);
  }
  return cases;
}

Result<ConformanceBundle> ConformanceBundle::open(const std::string &directory) {
  const std::string path = directory + "/cases.safetensors";
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return file.status().withContext("'" + directory + "' is no conformance bundle");
  ConformanceBundle bundle(directory, std::move(*file));
  const auto &metadata = bundle.file.directory().metadata;
  const auto text = metadata.find("conformance");
  auto cases = text == metadata.end() ? std::nullopt : readList(text->second);
  if (!cases)
    return Status(ErrorCode::corruptFile, path + ": its metadata has no list of cases");
  bundle.list = std::move(*cases);

  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, error))
    if (entry.path().extension() == ".moe")
      bundle.compiled.push_back(entry.path().string());
  std::sort(bundle.compiled.begin(), bundle.compiled.end());
  if (bundle.compiled.empty())
    return Status(ErrorCode::failed, "'" + directory + "' holds no artifact (*.moe); compile one with moe-conformance");
  return bundle;
}

Result<TensorView> ConformanceBundle::find(const std::string &tensor) const {
  const auto &tensors = file.directory().tensors;
  const auto found = tensors.find(tensor);
  if (found == tensors.end())
    return Status(ErrorCode::corruptFile, path + "/cases.safetensors has no tensor '" + tensor + "'");
  return found->second;
}

Result<TensorView> ConformanceBundle::findInput(const ConformanceCase &listed, const std::string &name) const {
  return find(listed.inputs + "/input/" + name);
}

Result<TensorView> ConformanceBundle::findOutput(const ConformanceCase &listed, const char *kind,
                                                 const std::string &name) const {
  return find(listed.entry + "/" + kind + "/" + name);
}

std::optional<std::string> findConformanceBundle() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error)
    return std::nullopt;
  const fs::path prefix = program.parent_path().parent_path();
  for (const fs::path &candidate : {prefix / "share/moe-mlir/conformance", prefix / "conformance"})
    if (fs::exists(candidate / "cases.safetensors", error))
      return candidate.string();
  return std::nullopt;
}

} // namespace moe::engine

//===- Documents.cpp - Reading documents ----------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Data/Documents.h"

#include "lib/Engine/Support/Files.h"
#include "lib/Engine/Support/Hash.h"
#include "lib/Engine/Support/Json.h"

#include <algorithm>
#include <filesystem>

namespace moe::engine {
namespace {

namespace fs = std::filesystem;

bool isDocumentFile(const fs::path &path) { return path.extension() == ".txt" || path.extension() == ".jsonl"; }

Status appendJsonLines(const std::string &path, std::string_view contents, std::vector<Document> &documents) {
  const std::string name = fs::path(path).filename().string();
  for (std::int64_t line = 1; !contents.empty(); ++line) {
    const std::size_t end = contents.find('\n');
    std::string_view text = contents.substr(0, end);
    contents = end == std::string_view::npos ? std::string_view() : contents.substr(end + 1);
    if (text.find_first_not_of(" \t\r") == std::string_view::npos)
      continue;
    const std::string where = path + ":" + std::to_string(line);
    Result<Json> json = parseJson(text);
    if (!json)
      return json.status().withContext(where);
    auto member = json->is_object() ? json->find("text") : json->end();
    if (member == json->end() || !member->is_string())
      return Status(ErrorCode::corruptFile, where + ": expected an object with a string \"text\"");
    if (std::string &value = member->get_ref<std::string &>(); !value.empty())
      documents.push_back({name + ":" + std::to_string(line), std::move(value)});
  }
  return {};
}

Status appendFile(const std::string &path, std::vector<Document> &documents) {
  Result<std::string> contents = readFile(path);
  if (!contents)
    return contents.status();
  if (fs::path(path).extension() == ".jsonl")
    return appendJsonLines(path, *contents, documents);
  if (!contents->empty())
    documents.push_back({fs::path(path).filename().string(), std::move(*contents)});
  return {};
}

Result<std::vector<std::string>> listFiles(const std::string &path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return std::vector{path};
  std::vector<std::string> files;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    if (it->is_regular_file(error) && isDocumentFile(it->path()))
      files.push_back(it->path().string());
  if (error)
    return Status(ErrorCode::failed, "cannot list '" + path + "': " + error.message());
  std::ranges::sort(files);
  return files;
}

} // namespace

Result<std::vector<Document>> loadDocuments(const std::string &path) {
  Result<std::vector<std::string>> files = listFiles(path);
  if (!files)
    return files.status();
  std::vector<Document> documents;
  for (const std::string &file : *files) {
    if (!isDocumentFile(file) && fs::exists(file))
      return Status(ErrorCode::configuration, "'" + file + "' is neither a directory nor a .txt or .jsonl file");
    if (Status status = appendFile(file, documents); !status)
      return status;
  }
  if (documents.empty())
    return Status(ErrorCode::configuration, "'" + path + "' holds no text; expected .txt or .jsonl files");
  return documents;
}

std::uint64_t fingerprint(const std::vector<Document> &documents) {
  std::uint64_t hash = documents.size();
  for (const Document &document : documents)
    hash = hash64(document.text, hash64(document.name, hash));
  return hash;
}

std::uint64_t totalBytes(const std::vector<Document> &documents) {
  std::uint64_t bytes = 0;
  for (const Document &document : documents)
    bytes += document.text.size();
  return bytes;
}

} // namespace moe::engine

//===- Documents.h - Reading documents --------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_DATA_DOCUMENTS_H
#define LIB_ENGINE_DATA_DOCUMENTS_H

#include "moe/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moe::engine {

/// One text that is trained on, or held out, as a whole.
struct Document {
  std::string name; ///< Unique: "genesis.txt", "corpus.jsonl:12".
  std::string text; ///< Not empty.
};

/// Reads
///   - a .txt file: one document;
///   - a .jsonl file: one document a line, its "text"; errors say file:line;
///   - a directory: all of its .txt and .jsonl files, in the order of their names.
/// Empty documents are skipped. No document at all is an error.
Result<std::vector<Document>> loadDocuments(const std::string &path);

/// A hash of names and texts: equal if and only if (but for collisions) the documents are.
std::uint64_t fingerprint(const std::vector<Document> &documents);

std::uint64_t totalBytes(const std::vector<Document> &documents);

} // namespace moe::engine

#endif // LIB_ENGINE_DATA_DOCUMENTS_H

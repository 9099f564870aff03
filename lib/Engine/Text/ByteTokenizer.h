//===- ByteTokenizer.h - Bytes as tokens ------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TEXT_BYTETOKENIZER_H
#define LIB_ENGINE_TEXT_BYTETOKENIZER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moe::engine {

/// Token i is byte i. Byte 0, which text does not use, separates documents: it stands in front of each document in
/// training and evaluation, and generation ends when the model emits it.
struct ByteTokenizer {
  static constexpr std::int64_t kVocabSize = 256;
  static constexpr std::int32_t kSeparator = 0;

  static std::vector<std::int32_t> encode(std::string_view text) {
    std::vector<std::int32_t> tokens;
    tokens.reserve(text.size());
    for (unsigned char byte : text)
      tokens.push_back(byte);
    return tokens;
  }

  static char decode(std::int32_t token) { return static_cast<char>(static_cast<unsigned char>(token)); }
};

} // namespace moe::engine

#endif // LIB_ENGINE_TEXT_BYTETOKENIZER_H

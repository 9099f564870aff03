//===- LayerShape.cpp - Sizes of mixture-of-experts layers --------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Bench/LayerShape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::moe::bench;

ArrayRef<LayerShape> mlir::moe::bench::getKnownShapes() {
  static const LayerShape shapes[] = {
      {"qwen3-30b-a3b", 2048, 768, 128, 8},
      {"olmoe", 2048, 1024, 64, 8},
      {"mixtral-8x7b", 4096, 14336, 8, 2},
      {"gpt-oss-20b", 2880, 2880, 32, 4},
      // The experts that one of eight devices has.
      {"deepseek-v3-32-local", 7168, 2048, 32, 8},
  };
  return shapes;
}

FailureOr<LayerShape> mlir::moe::bench::parseShape(StringRef text, std::string &error) {
  auto [name, sizes] = text.split(':');
  if (sizes.empty()) {
    for (const LayerShape &shape : getKnownShapes())
      if (shape.name == text)
        return shape;
    auto names = llvm::map_range(getKnownShapes(), [](const LayerShape &shape) { return shape.name; });
    error = "there is no shape '" + text.str() + "'; there are: " + llvm::join(names, ", ") +
            ", or sizes of your own as name:hidden,intermediate,experts,top_k";
    return failure();
  }
  SmallVector<StringRef> words;
  sizes.split(words, ',');
  SmallVector<int64_t> numbers(words.size());
  for (auto [word, number] : llvm::zip_equal(words, numbers))
    if (word.getAsInteger(10, number) || number <= 0)
      numbers.clear();
  bool isName = !name.empty() && llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '-' || c == '_'; });
  if (!isName || numbers.size() != 4 || numbers[3] > numbers[2]) {
    error = "'" + text.str() +
            "' is no shape: name:hidden,intermediate,experts,top_k with four positive numbers, and no more experts for a "
            "token than there are";
    return failure();
  }
  return LayerShape{name.str(), numbers[0], numbers[1], numbers[2], numbers[3]};
}

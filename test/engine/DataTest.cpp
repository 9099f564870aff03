//===- DataTest.cpp - Documents, the held-out split, and batches ----------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Data/Batches.h"
#include "lib/Engine/Data/Documents.h"
#include "lib/Engine/Data/Permutation.h"
#include "lib/Engine/Data/Split.h"
#include "test/engine/EngineTest.h"

#include <algorithm>
#include <map>
#include <set>

namespace moe::engine {
namespace {

using test::TemporaryDirectory;
using test::writeText;

std::vector<Document> makeDocuments(std::initializer_list<std::size_t> sizes) {
  std::vector<Document> documents;
  for (std::size_t size : sizes) {
    const auto index = static_cast<char>(documents.size());
    documents.push_back({"d" + std::to_string(documents.size()), std::string(size, static_cast<char>('a' + index))});
  }
  return documents;
}

TEST(Documents, DirectoryInOrderOfNames) {
  TemporaryDirectory directory;
  writeText(directory / "b.txt", "second");
  writeText(directory / "a.txt", "first");
  writeText(directory / "c.jsonl", "{\"text\": \"third\"}\n\n{\"id\": 1, \"text\": \"fo\\u0075rth\"}");
  writeText(directory / "empty.txt", "");
  writeText(directory / "notes.md", "ignored");
  Result<std::vector<Document>> documents = loadDocuments(directory.path());
  ASSERT_OK(documents);
  ASSERT_EQ(documents->size(), 4u);
  EXPECT_EQ((*documents)[0].name, "a.txt");
  EXPECT_EQ((*documents)[0].text, "first");
  EXPECT_EQ((*documents)[1].name, "b.txt");
  EXPECT_EQ((*documents)[2].name, "c.jsonl:1");
  EXPECT_EQ((*documents)[3].name, "c.jsonl:3");
  EXPECT_EQ((*documents)[3].text, "fourth");
}

TEST(Documents, ErrorsNameTheLine) {
  TemporaryDirectory directory;
  const std::string path = directory / "bad.jsonl";
  writeText(path, "{\"text\": \"a\"}\n{\"text\": 3}\n");
  EXPECT_FAILS(loadDocuments(path), ErrorCode::corruptFile, "bad.jsonl:2: expected an object with a string \"text\"");
  writeText(path, "{\"text\": \"a\"}\n{\"text\": \"a\"\n");
  EXPECT_FAILS(loadDocuments(path), ErrorCode::corruptFile, "bad.jsonl:2: invalid JSON");
  writeText(path, "{\"text\": \"a\", \"text\": \"b\"}\n");
  EXPECT_FAILS(loadDocuments(path), ErrorCode::corruptFile, "bad.jsonl:1: invalid JSON: the key \"text\" occurs twice");
  writeText(path, "[1]\n");
  EXPECT_FAILS(loadDocuments(path), ErrorCode::corruptFile, "bad.jsonl:1");
}

TEST(Documents, ErrorsNameThePath) {
  TemporaryDirectory directory;
  EXPECT_FAILS(loadDocuments(directory / "absent"), ErrorCode::failed, "absent");
  EXPECT_FAILS(loadDocuments(directory.path()), ErrorCode::configuration, "holds no text");
  writeText(directory / "a.bin", "x");
  EXPECT_FAILS(loadDocuments(directory / "a.bin"), ErrorCode::configuration, "neither a directory nor");
}

TEST(Documents, FingerprintSeesNamesTextsAndBorders) {
  const std::vector<Document> base = {{"a", "xy"}, {"b", "z"}};
  EXPECT_EQ(fingerprint(base), fingerprint({{"a", "xy"}, {"b", "z"}}));
  EXPECT_NE(fingerprint(base), fingerprint({{"a", "x"}, {"b", "yz"}}));
  EXPECT_NE(fingerprint(base), fingerprint({{"a", "xy"}, {"c", "z"}}));
  EXPECT_NE(fingerprint(base), fingerprint({{"b", "z"}, {"a", "xy"}}));
}

TEST(Split, TakesAtMostTheFraction) {
  const std::vector<Document> documents = makeDocuments({100, 200, 300, 50, 150, 80, 120});
  Result<Split> split = splitByFraction(documents, 0.3);
  ASSERT_OK(split);
  EXPECT_FALSE(split->heldOut.empty());
  EXPECT_LE(totalBytes(split->heldOut), 300u);
  EXPECT_EQ(split->heldOut.size() + split->training.size(), documents.size());
  EXPECT_EQ(splitByFraction(documents, 0.3)->heldOutNames(), split->heldOutNames());
}

// The choice of one document must not hang on where it stands.
TEST(Split, DependsOnNamesNotOnOrder) {
  std::vector<Document> documents = makeDocuments({10, 10, 10, 10, 10, 10, 10, 10});
  const std::vector<std::string> names = splitByFraction(documents, 0.25)->heldOutNames();
  std::reverse(documents.begin(), documents.end());
  std::vector<std::string> reversed = splitByFraction(documents, 0.25)->heldOutNames();
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(names.size(), 2u);
  EXPECT_EQ(names, reversed);
}

TEST(Split, BothSidesGetADocument) {
  Result<Split> split = splitByFraction(makeDocuments({1000, 900}), 0.01);
  ASSERT_OK(split);
  EXPECT_EQ(split->heldOutNames(), std::vector<std::string>{"d1"});
  EXPECT_FAILS(splitByFraction(makeDocuments({10}), 0.1), ErrorCode::configuration, "data.held_out_fraction=0");
  EXPECT_TRUE(splitByFraction(makeDocuments({10}), 0)->heldOut.empty());
}

TEST(Split, ByName) {
  Result<Split> split = splitByName(makeDocuments({1, 2, 3}), {"d2", "d0"});
  ASSERT_OK(split);
  EXPECT_EQ(split->heldOutNames(), (std::vector<std::string>{"d0", "d2"}));
  EXPECT_FAILS(splitByName(makeDocuments({1, 2}), {"d7"}), ErrorCode::configuration, "did you mean");
  EXPECT_FAILS(splitByName(makeDocuments({1}), {"d0"}), ErrorCode::configuration, "nothing is left");
}

TEST(Permutation, IsOneAndDiffersByEpoch) {
  for (std::uint64_t size : {1, 2, 3, 5, 16, 17, 100, 1000}) {
    std::set<std::uint64_t> images;
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t image = permuted(1, 0, i, size);
      EXPECT_LT(image, size);
      images.insert(image);
    }
    EXPECT_EQ(images.size(), size);
  }
  std::size_t same = 0;
  for (std::uint64_t i = 0; i < 1000; ++i)
    same += permuted(1, 0, i, 1000) == permuted(1, 1, i, 1000);
  EXPECT_LT(same, 20u);
}

TEST(TrainingBatches, DependOnSeedAndStepOnly) {
  const std::vector<Document> documents = makeDocuments({500, 700});
  const TrainingBatches first(documents, 2, 8, 1), again(documents, 2, 8, 1), other(documents, 2, 8, 2);
  Batch a(2, 8), b(2, 8);
  first.fill(17, a);
  again.fill(3, b);
  again.fill(17, b);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.targets, b.targets);
  bool differs = false;
  for (std::int64_t step = 1; step < 30; ++step) {
    first.fill(step, a);
    other.fill(step, b);
    differs |= a.tokens != b.tokens;
  }
  EXPECT_TRUE(differs);
}

// An epoch sees each window once: with distinct bytes, each of its first tokens occurs exactly once.
TEST(TrainingBatches, AnEpochVisitsEveryWindowOnce) {
  std::string text;
  for (int i = 1; i <= 200; ++i)
    text += static_cast<char>(i);
  const TrainingBatches batches({{"d", text}}, 1, 8, 3);
  EXPECT_EQ(batches.windowCount(), 24);
  Batch batch(1, 8);
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::map<std::int32_t, int> starts;
    for (std::int64_t i = 1; i <= batches.windowCount(); ++i) {
      batches.fill(epoch * batches.windowCount() + i, batch);
      ++starts[batch.tokens[0]];
      for (int t = 0; t + 1 < 8; ++t)
        EXPECT_EQ(batch.targets[t], batch.tokens[t + 1]);
      EXPECT_EQ(batch.countTokens(), 8);
    }
    EXPECT_EQ(starts.size(), 24u);
  }
}

TEST(TrainingBatches, ShortTextIsPadded) {
  const TrainingBatches batches({{"d", "abc"}}, 2, 8, 1);
  Batch batch(2, 8);
  batches.fill(1, batch);
  // Separator, a, b, c in; a, b, c, separator out.
  EXPECT_EQ(batch.countTokens(), 8);
  EXPECT_EQ(batch.tokens[1], 'a');
  EXPECT_EQ(batch.targets[2], 'c');
  EXPECT_EQ(batch.targets[3], 0);
  EXPECT_EQ(batch.weights[3], 1);
  EXPECT_EQ(batch.weights[4], 0);
}

// A document begins with its separator, and with the row if it began before; so does each token of the padding.
TEST(TrainingBatches, PositionsCountWithinDocuments) {
  const std::vector<Document> documents = makeDocuments({3, 5, 30, 2});
  const TrainingBatches batches(documents, 2, 8, 5);
  Batch batch(2, 8);
  for (std::int64_t step = 1; step < 20; ++step) {
    batches.fill(step, batch);
    for (std::int64_t i = 0; i < 16; ++i) {
      const bool begins = i % 8 == 0 || batch.tokens[i] == 0;
      EXPECT_EQ(batch.positions[i], begins ? 0 : batch.positions[i - 1] + 1);
    }
  }
  const TrainingBatches padded({{"d", "abc"}}, 1, 8, 1);
  Batch one(1, 8);
  padded.fill(1, one);
  EXPECT_EQ(one.positions, (std::vector<std::int32_t>{0, 1, 2, 3, 0, 0, 0, 0}));
}

// What follows the first window of a document is numbered from 0, as its training windows are; so are rows left over.
TEST(EvaluationBatches, PositionsCountWithinRows) {
  const EvaluationBatches batches({{"a", "0123456"}}, 3, 4);
  Batch batch(3, 4);
  batches.fill(0, batch);
  EXPECT_EQ(batch.positions, (std::vector<std::int32_t>{0, 1, 2, 3, 0, 1, 2, 0, 0, 0, 0, 0}));
}

TEST(EvaluationBatches, EveryByteIsPredictedOnce) {
  const std::vector<Document> documents = {{"a", "0123456789abcdefghi"}, {"b", "xyz"}};
  const EvaluationBatches batches(documents, 2, 8);
  // ceil(19/8) + ceil(3/8) windows, two a batch.
  ASSERT_EQ(batches.count(), 2);
  std::string predicted, before;
  Batch batch(2, 8);
  for (std::int64_t i = 0; i < batches.count(); ++i) {
    batches.fill(i, batch);
    for (std::size_t t = 0; t < batch.targets.size(); ++t)
      if (batch.weights[t] != 0) {
        predicted += static_cast<char>(batch.targets[t]);
        before += static_cast<char>(batch.tokens[t]);
      }
  }
  using namespace std::string_literals;
  EXPECT_EQ(predicted, "0123456789abcdefghixyz");
  EXPECT_EQ(before, "\0"s + "0123456789abcdefgh" + "\0xy"s);
}

TEST(EvaluationBatches, BytesAreUnsigned) {
  const std::vector<Document> documents = {{"a", "\xC3\xA9"}};
  Batch batch(1, 4);
  EvaluationBatches(documents, 1, 4).fill(0, batch);
  EXPECT_EQ(batch.targets[0], 0xC3);
  EXPECT_EQ(batch.targets[1], 0xA9);
}

} // namespace
} // namespace moe::engine

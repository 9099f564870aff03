//===- LayerFolderTest.cpp - Compiled layers to choose from ------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Bench/LayerFolder.h"

#include "runtime/format/ArtifactWriter.h"
#include "test/engine/EngineTest.h"
#include "test/engine/SmallArtifact.h"

namespace moe::engine {
namespace {

using test::TemporaryDirectory;

/// An artifact that only says what it is.
void write(const std::string &path, const std::string &model) {
  format::ArtifactT artifact = test::emptyArtifact(0);
  artifact.model = model;
  Result<std::vector<std::byte>> bytes = format::encodeArtifact(artifact, {});
  ASSERT_OK(bytes);
  ASSERT_OK(format::writeFile(path, *bytes));
}

std::string layer(const std::string &shape, const std::string &dtype, const std::string &tokens) {
  return R"({"layer": {"shape": ")" + shape + R"(", "dtype": ")" + dtype +
         R"(", "hidden_size": 64, "moe_intermediate_size": 32, "num_experts": 8, "top_k": 2, "tokens": )" + tokens +
         "}}";
}

class LayerFolderTest : public testing::Test {
protected:
  void SetUp() override {
    write(path("a-bf16.moe"), layer("a", "bf16", "[1, 8, 64]"));
    write(path("a-f32.moe"), layer("a", "f32", "[8]"));
    write(path("b-bf16.moe"), layer("b", "bf16", "[8, 128]"));
    write(path("ceilings-bf16.moe"), R"({"ceilings": {"dtype": "bf16", "size": 256}})");
  }
  std::string path(const std::string &name) { return directory / name; }

  LayerFolder open() {
    Result<LayerFolder> folder = LayerFolder::open(directory.path());
    EXPECT_OK(folder);
    return *folder;
  }
  /// The message of a selection that must fail.
  std::string refuse(const LayerSelection &selection) {
    LayerFolder folder = open();
    Status status = folder.select(selection);
    EXPECT_EQ(status.code(), ErrorCode::usage);
    return status.message();
  }

  TemporaryDirectory directory;
};

TEST_F(LayerFolderTest, FindsLayersAndCeilings) {
  LayerFolder folder = open();
  ASSERT_EQ(folder.layers.size(), 3u);
  EXPECT_EQ(folder.layers[0].shape, "a");
  EXPECT_EQ(folder.layers[0].tokens, (std::vector<std::int64_t>{1, 8, 64}));
  EXPECT_EQ(folder.layers[0].sizes.intermediateSize, 32);
  ASSERT_TRUE(folder.findCeiling("bf16"));
  EXPECT_EQ(folder.findCeiling("bf16")->size, 256);
  EXPECT_FALSE(folder.findCeiling("f32"));
}

TEST_F(LayerFolderTest, SelectsWhatWasAskedFor) {
  LayerFolder folder = open();
  ASSERT_OK(folder.select({{}, {"bf16"}, {8, 128}}));
  ASSERT_EQ(folder.layers.size(), 2u);
  EXPECT_EQ(folder.layers[0].tokens, (std::vector<std::int64_t>{8}));
  EXPECT_EQ(folder.layers[1].tokens, (std::vector<std::int64_t>{8, 128}));
}

// What there is stands in the message, once.
TEST_F(LayerFolderTest, RefusesWhatIsNotThere) {
  EXPECT_EQ(refuse({{"c"}, {}, {}}), "no layer was compiled for the shape 'c'; there are: a, b");
  EXPECT_EQ(refuse({{}, {"f16"}, {}}), "no layer was compiled for the type 'f16'; there are: bf16, f32");
  EXPECT_EQ(refuse({{}, {}, {7}}), "no layer was compiled for a number of tokens of '7'; there are: 1, 8, 64, 128");
  EXPECT_EQ(refuse({{"a"}, {}, {128}}),
            "no layer was compiled for this combination of shape, type and number of tokens");
}

TEST_F(LayerFolderTest, RefusesOtherFolders) {
  EXPECT_EQ(LayerFolder::open(path("absent")).status().code(), ErrorCode::failed);
  write(path("z.moe"), layer("z", "bf16", "[0]"));
  Result<LayerFolder> folder = LayerFolder::open(directory.path());
  EXPECT_EQ(folder.status().code(), ErrorCode::corruptFile);
  EXPECT_EQ(folder.status().message(), path("z.moe") + ": its model does not describe a layer");
}

} // namespace
} // namespace moe::engine

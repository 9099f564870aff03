//===- InitializeTest.cpp - Initial values of variables ----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

#include "runtime/format/DType.h"

#include <bit>
#include <cmath>
#include <cstring>

using namespace moe;
using namespace moe::test;
using format::DType;
using format::InitializerKind;
using format::VariableRole;

namespace {

// More than one chunk of the initialiser, and an odd number.
constexpr std::int64_t kCount = 200001;

std::unique_ptr<Session> twoNormals(const std::string &first = "a", const std::string &second = "b",
                                    std::int64_t count = kCount) {
  ArtifactBuilder builder("null");
  builder.variable(first, VariableRole::parameter, {count}, InitializerKind::normal, 0.02);
  builder.variable(second, VariableRole::parameter, {count}, InitializerKind::normal, 0.02);
  return makeSession(builder.build());
}

double mean(const std::vector<float> &values, double power = 1) {
  double sum = 0;
  for (float value : values)
    sum += std::pow(value, power);
  return sum / static_cast<double>(values.size());
}

// The bounds are five standard errors of n independent draws: 1/sqrt(n) for the mean, sqrt(2/n) for the variance,
// sqrt(15/n) for the third and sqrt(96/n) for the fourth moment of N(0, 1).
TEST(Initialize, NormalMoments) {
  auto session = twoNormals();
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(1).ok());
  std::vector<float> values = readFloats(*session, "a", kCount);
  for (float &value : values)
    value /= 0.02f;
  const double n = kCount;
  EXPECT_NEAR(mean(values), 0, 5 / std::sqrt(n));
  EXPECT_NEAR(mean(values, 2), 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(mean(values, 3), 0, 5 * std::sqrt(15 / n));
  EXPECT_NEAR(mean(values, 4), 3, 5 * std::sqrt(96 / n));
}

// Neighbours come from one Box-Muller pair, and the two variables and the two seeds differ in the stream and the key:
// none may correlate. The bound is five standard errors, 1/sqrt(n) each.
TEST(Initialize, Independence) {
  auto session = twoNormals();
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(1).ok());
  const std::vector<float> a = readFloats(*session, "a", kCount), b = readFloats(*session, "b", kCount);
  ASSERT_TRUE(session->initialize(2).ok());
  const std::vector<float> otherSeed = readFloats(*session, "a", kCount);

  auto correlation = [](const float *x, const float *y, std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum += double{x[i]} * y[i];
    return sum / (0.02 * 0.02) / static_cast<double>(count);
  };
  const double bound = 5 / std::sqrt(double{kCount});
  EXPECT_NEAR(correlation(a.data(), b.data(), kCount), 0, bound);
  EXPECT_NEAR(correlation(a.data(), otherSeed.data(), kCount), 0, bound);
  EXPECT_NEAR(correlation(a.data(), a.data() + 1, kCount - 1), 0, bound);
  EXPECT_NEAR(correlation(a.data(), a.data() + 2, kCount - 2), 0, bound);
}

TEST(Initialize, DependsOnlyOnSeedNameAndIndex) {
  auto session = twoNormals(), swapped = twoNormals("b", "a", 77777);
  ASSERT_TRUE(session && swapped);
  ASSERT_TRUE(session->initialize(7).ok() && swapped->initialize(7).ok());
  std::vector<float> values = readFloats(*session, "a", kCount);
  values.resize(77777);
  EXPECT_EQ(values, readFloats(*swapped, "a", 77777));
  EXPECT_NE(values, readFloats(*swapped, "b", 77777));

  // Initialising again gives the same values, whatever was there.
  const std::vector<float> zeros(kCount);
  ASSERT_TRUE(session->writeVariable("a", std::as_bytes(std::span(zeros))).ok());
  ASSERT_TRUE(session->initialize(7).ok());
  values = readFloats(*session, "a", kCount);
  values.resize(77777);
  EXPECT_EQ(values, readFloats(*swapped, "a", 77777));
}

// Checkpoints and golden files rely on these values: changing them changes every run.
TEST(Initialize, FrozenValues) {
  auto session = twoNormals("model.embed_tokens.weight");
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(42).ok());
  const std::vector<float> values = readFloats(*session, "model.embed_tokens.weight", kCount);
  EXPECT_FLOAT_EQ(values[0], -0.006073894f);
  EXPECT_FLOAT_EQ(values[1], -0.0032950963f);
  EXPECT_FLOAT_EQ(values[200000], -0.035387401f);
}

// A bf16 variable has the same draws, each rounded once.
TEST(Initialize, NormalOfBFloat16) {
  ArtifactBuilder builder("null");
  builder.variable("a", VariableRole::parameter, {kCount}, InitializerKind::normal, 0.02, DType::bf16);
  auto session = makeSession(builder.build()), exact = twoNormals();
  ASSERT_TRUE(session && exact);
  ASSERT_TRUE(session->initialize(1).ok() && exact->initialize(1).ok());
  std::vector<std::uint16_t> values(kCount);
  EXPECT_OK(session->readVariable("a", std::as_writable_bytes(std::span(values))));
  const std::vector<float> wanted = readFloats(*exact, "a", kCount);
  std::size_t different = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    // Rounding to float32 first may move a number onto a tie: one unit in the last place, and hardly ever.
    ASSERT_LE(std::abs(values[i] - format::encodeBF16(wanted[i])), 1) << i;
    different += values[i] != format::encodeBF16(wanted[i]);
  }
  EXPECT_LE(different, 20u); // About kCount / 2^16.
}

// A copy starts with what its source starts with, in its own type, and follows it when asked to.
TEST(Initialize, Copies) {
  ArtifactBuilder builder("null");
  const unsigned weight =
      builder.variable("weight", VariableRole::parameter, {kCount}, InitializerKind::normal, 0.02, DType::bf16);
  const unsigned master = builder.variable("master", VariableRole::optimizer, {kCount}, InitializerKind::copy);
  builder.table.variables[master]->initializer->source = weight;
  auto session = makeSession(builder.build());
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(1).ok());

  auto expectCopy = [&] {
    std::vector<std::uint16_t> bits(kCount);
    EXPECT_OK(session->readVariable("weight", std::as_writable_bytes(std::span(bits))));
    std::vector<float> wanted;
    for (std::uint16_t element : bits)
      wanted.push_back(std::bit_cast<float>(std::uint32_t{element} << 16));
    EXPECT_EQ(readFloats(*session, "master", kCount), wanted);
  };
  expectCopy();
  const std::vector<std::uint16_t> twos(kCount, 0x4000);
  ASSERT_TRUE(session->writeVariable("weight", std::as_bytes(std::span(twos))).ok());
  EXPECT_NE(readFloats(*session, "master", kCount)[0], 2.0f);
  ASSERT_TRUE(session->initializeCopies().ok());
  expectCopy();
}

TEST(Initialize, OnesAndZerosOfEveryType) {
  ArtifactBuilder builder("null");
  const DType types[] = {DType::f32, DType::bf16, DType::f16, DType::f64, DType::i32, DType::i64, DType::i8, DType::u8};
  for (DType type : types)
    builder.variable(format::EnumNameDType(type), VariableRole::buffer, {3}, InitializerKind::ones, 0, type);
  builder.variable("zeros", VariableRole::buffer, {3});
  auto session = makeSession(builder.build());
  ASSERT_NE(session, nullptr);
  const std::vector<float> garbage(3, 5.0f);
  ASSERT_TRUE(session->writeVariable("zeros", std::as_bytes(std::span(garbage))).ok());
  ASSERT_TRUE(session->initialize(1).ok());

  EXPECT_EQ(readFloats(*session, "zeros", 3), std::vector<float>(3, 0.0f));
  EXPECT_EQ(readFloats(*session, "f32", 3), std::vector<float>(3, 1.0f));
  auto expectOnes = [&](const char *name, auto one) {
    std::vector<decltype(one)> values(3);
    EXPECT_OK(session->readVariable(name, std::as_writable_bytes(std::span(values))));
    EXPECT_EQ(values, std::vector<decltype(one)>(3, one)) << name;
  };
  expectOnes("bf16", std::uint16_t{0x3f80});
  expectOnes("f16", std::uint16_t{0x3c00});
  expectOnes("f64", 1.0);
  expectOnes("i32", std::int32_t{1});
  expectOnes("i64", std::int64_t{1});
  expectOnes("i8", std::int8_t{1});
  expectOnes("u8", std::uint8_t{1});
}

} // namespace

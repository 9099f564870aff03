//===- MathTest.cpp - Expanded math against the C library -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "../KernelTest.h"

using namespace moe::test;

namespace {

/// y = f(x) for `count` elements.
std::unique_ptr<CompiledKernel> compileFunction(const std::string &function, const std::string &type, size_t count) {
  std::string tensor = "tensor<" + std::to_string(count) + "x" + type + ">";
  return CompiledKernel::compile("#i = affine_map<(i) -> (i)>\n"
                                 "moe_kernel.kernel @apply(%x: " +
                                 tensor + ") -> " + tensor +
                                 " {\n"
                                 "  %e = tensor.empty() : " +
                                 tensor +
                                 "\n"
                                 "  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = [\"parallel\"]}\n"
                                 "      ins(%x : " +
                                 tensor + ") outs(%e : " + tensor +
                                 ") {\n"
                                 "    ^bb0(%a: " +
                                 type + ", %o: " + type +
                                 "):\n"
                                 "      %r = math." +
                                 function + " %a : " + type +
                                 "\n"
                                 "      linalg.yield %r : " +
                                 type +
                                 "\n"
                                 "  } -> " +
                                 tensor +
                                 "\n"
                                 "  moe_kernel.return %y : " +
                                 tensor +
                                 "\n"
                                 "}\n");
}

/// The distance of neighbouring numbers of type T at `value`.
template <typename T> double ulp(double value) {
  T magnitude = std::max(std::abs(T(value)), std::numeric_limits<T>::min());
  return double(std::nextafter(magnitude, std::numeric_limits<T>::infinity())) - double(magnitude);
}

/// The largest error of `function` at `points`, in ulps of T; special values have to be exact.
template <typename T>
double measureUlps(const std::string &function, const std::vector<T> &points, long double (*reference)(long double)) {
  auto kernel = compileFunction(function, sizeof(T) == 4 ? "f32" : "f64", points.size());
  if (!kernel)
    return std::numeric_limits<double>::infinity();
  Buffer<T> x(points), y(points.size(), std::numeric_limits<T>::quiet_NaN());
  kernel->run({x, y});
  double worst = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    long double expected = reference(x[i]);
    T rounded = static_cast<T>(expected);
    if (std::isnan(rounded) || std::isinf(rounded)) {
      EXPECT_TRUE(y[i] == rounded || (std::isnan(y[i]) && std::isnan(rounded)))
          << function << "(" << x[i] << ") is " << y[i] << ", expected " << rounded;
      continue;
    }
    double error = static_cast<double>(std::abs(y[i] - expected)) / ulp<T>(static_cast<double>(expected));
    if (!(error <= worst))
      worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return worst;
}

template <typename T> std::vector<T> range(double low, double high, size_t count) {
  std::vector<T> points;
  for (size_t i = 0; i < count; ++i)
    points.push_back(static_cast<T>(low + (high - low) * static_cast<double>(i) / static_cast<double>(count - 1)));
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  for (T special : {T(0), T(-0.0), T(1), T(-1), kInfinity, -kInfinity, std::numeric_limits<T>::quiet_NaN(),
                    std::numeric_limits<T>::max(), std::numeric_limits<T>::lowest(), std::numeric_limits<T>::min()})
    points.push_back(special);
  return points;
}

/// Every power of two, and numbers between.
template <typename T> std::vector<T> exponents(size_t perBinade) {
  std::vector<T> points = range<T>(0.5, 2, 20000);
  for (int e = std::numeric_limits<T>::min_exponent; e < std::numeric_limits<T>::max_exponent; ++e)
    for (size_t i = 0; i < perBinade; ++i)
      points.push_back(std::ldexp(T(1) + T(i) / T(perBinade), e - 1));
  return points;
}

long double referenceExp(long double x) { return std::exp(x); }
long double referenceLog(long double x) { return std::log(x); }
long double referenceRsqrt(long double x) { return 1 / std::sqrt(x); }
long double referenceSin(long double x) { return std::sin(x); }
long double referenceCos(long double x) { return std::cos(x); }

} // namespace

TEST(MathTest, Exp) {
  double f32 = measureUlps<float>("exp", range<float>(-104, 90, 400000), referenceExp);
  double f64 = measureUlps<double>("exp", range<double>(-746, 711, 400000), referenceExp);
  RecordProperty("f32", std::to_string(f32));
  RecordProperty("f64", std::to_string(f64));
  EXPECT_LE(f32, 1.5);
  EXPECT_LE(f64, 1.5);
}

TEST(MathTest, Log) {
  EXPECT_LE(measureUlps<float>("log", exponents<float>(1000), referenceLog), 1.5);
  EXPECT_LE(measureUlps<double>("log", exponents<double>(100), referenceLog), 1.5);
  // Subnormal numbers.
  EXPECT_LE(measureUlps<float>("log", range<float>(0x1p-149, 0x1p-126, 1000), referenceLog), 1.5);
}

TEST(MathTest, Rsqrt) {
  // Two roundings: of the root and of the quotient.
  EXPECT_LE(measureUlps<float>("rsqrt", exponents<float>(100), referenceRsqrt), 1.5);
  EXPECT_LE(measureUlps<double>("rsqrt", exponents<double>(10), referenceRsqrt), 1.5);
}

/// Positions up to a million keep their angle; float32 results are rounded from float64.
TEST(MathTest, SinCos) {
  using Reference = long double (*)(long double);
  for (auto [name, reference] : {std::pair<const char *, Reference>("sin", referenceSin),
                                 std::pair<const char *, Reference>("cos", referenceCos)})
    for (double limit : {1.0, 100.0, 1e6}) {
      std::vector<double> points;
      for (int i = -50000; i <= 50000; ++i)
        points.push_back(limit * i / 50000);
      for (int i = 0; i < 2000; ++i) // Close to multiples of π/2, where the reduction cancels.
        points.push_back(std::min(limit, i * 318.3) * 1.5707963267948966);
      auto kernel = compileFunction(name, "f64", points.size());
      ASSERT_TRUE(kernel);
      Buffer<double> x(points), y(points.size());
      kernel->run({x, y});
      double worst = 0;
      for (size_t i = 0; i < points.size(); ++i)
        worst = std::max(worst, static_cast<double>(std::abs(y[i] - reference(x[i]))));
      EXPECT_LE(worst, 1e-15) << name << " up to " << limit;

      std::vector<float> floats(points.begin(), points.end());
      double ulps = measureUlps<float>(name, floats, reference);
      EXPECT_LE(ulps, limit <= 100 ? 0.51 : 0.6) << name << " f32 up to " << limit;
    }
}

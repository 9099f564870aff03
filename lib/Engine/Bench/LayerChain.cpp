//===- LayerChain.cpp - Layers one after the other ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/LayerChain.h"

#include "lib/Engine/Support/Strings.h"
#include "runtime/format/DType.h"

#include <cmath>
#include <numeric>

namespace moe::engine {
namespace {

using Token = std::vector<double>;

/// What is added to the token in a layer is at most that part of it. It grows with the square of the token or slower,
/// so it stays so.
constexpr double kLargestShare = 0.25;
constexpr int kMaximumHalvings = 24;

double norm(const Token &x) { return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0)); }

class Tokens {
public:
  Tokens(format::DType dtype, std::int64_t width)
      : dtype(dtype), bytes(static_cast<std::size_t>(width) * format::byteSize(dtype)) {}

  Result<Token> get(EntryPoint &entry, std::string_view name) {
    if (Status status = entry.getOutput(name, bytes); !status)
      return status;
    return decode();
  }
  Status set(EntryPoint &entry, const Token &x) {
    for (std::size_t i = 0; i < x.size(); ++i)
      format::encode(x[i], dtype, at(i));
    return entry.setInput("x", bytes);
  }
  Result<Token> run(EntryPoint &forward, const Token &x) {
    if (Status status = set(forward, x); !status)
      return status;
    if (Status status = forward.run(); !status)
      return status;
    return get(forward, "y");
  }
  Result<Token> input(const LayerRun &run) {
    if (Status status = run.readInput("x", bytes); !status)
      return status;
    return decode();
  }
  /// Of a number of this type, relative.
  double rounding() const { return std::ldexp(1.0, dtype == format::DType::bf16 ? -9 : -24); }

private:
  std::byte *at(std::size_t index) { return bytes.data() + index * format::byteSize(dtype); }
  Token decode() {
    Token x(bytes.size() / format::byteSize(dtype));
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = format::decodeFloat(at(i), dtype);
    return x;
  }

  format::DType dtype;
  std::vector<std::byte> bytes;
};

} // namespace

/// The layer's own input, halved until its result is a small part of it.
static Result<Token> quietToken(const LayerRun &run, EntryPoint &forward, Tokens &tokens) {
  Result<Token> x = tokens.input(run);
  for (int halvings = 0; x && halvings < kMaximumHalvings; ++halvings) {
    Result<Token> y = tokens.run(forward, *x);
    if (!y)
      return y;
    if (norm(*y) <= kLargestShare * norm(*x))
      break;
    for (double &value : *x)
      value /= 2;
  }
  return x;
}

Status prepareChain(const LayerRun &run, EntryPoint &chain, EntryPoint &forward) {
  Tokens tokens(chain.table().inputs()->Get(0)->dtype(), run.getLayer().sizes.hiddenSize);
  Result<Token> first = quietToken(run, forward, tokens);
  if (!first)
    return first.status();
  if (Status status = tokens.set(chain, *first); !status)
    return status;
  if (Status status = chain.poison(); !status)
    return status;
  if (Status status = chain.run(); !status)
    return status;
  Token x = *first;
  for (const format::Port *port : *chain.table().outputs()) {
    Result<Token> y = tokens.run(forward, x), sum = tokens.get(chain, port->name()->string_view());
    if (!y || !sum)
      return y ? sum.status() : y.status();
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = (*first)[i] + (*y)[i];
      // y is rounded, and the sum.
      const double tolerance = 2 * tokens.rounding() * (std::fabs((*y)[i]) + std::fabs(expected));
      if (!(std::fabs((*sum)[i] - expected) <= tolerance))
        return Status(ErrorCode::numerics,
                      format("'%s' of %s: feature %zu of '%s' is %g, not %g", chain.table().name()->c_str(),
                             run.getLayer().shape.c_str(), i, port->name()->c_str(), (*sum)[i], expected));
    }
    x = std::move(*sum);
  }
  return {};
}

} // namespace moe::engine

//===- Variables.cpp - Selecting and checking a session's variables -------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Model/Variables.h"

#include "runtime/format/DType.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace moe::engine {

using format::DType;
using format::VariableRole;

std::vector<const format::Variable *> variablesWithRole(const Artifact &artifact,
                                                        const std::vector<VariableRole> &roles) {
  std::vector<const format::Variable *> variables;
  for (const format::Variable *variable : *artifact.table().variables())
    if (std::ranges::find(roles, variable->role()) != roles.end())
      variables.push_back(variable);
  return variables;
}

template <typename T> static T loadElement(std::span<const std::byte> bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

/// The value of element `index`. Integers, always finite, read as 0; so do finite half-precision numbers.
static double valueOrZero(DType dtype, std::span<const std::byte> bytes, std::size_t index) {
  switch (dtype) {
  case DType::f64:
    return loadElement<double>(bytes, index);
  case DType::f32:
    return loadElement<float>(bytes, index);
  case DType::bf16:
    return std::bit_cast<float>(std::uint32_t(loadElement<std::uint16_t>(bytes, index)) << 16);
  case DType::f16: { // An exponent of all ones is an infinity or, with a mantissa, a NaN.
    const auto bits = loadElement<std::uint16_t>(bytes, index);
    return (bits & 0x7C00) != 0x7C00 ? 0.0 : bits & 0x03FF ? NAN : bits & 0x8000 ? -INFINITY : INFINITY;
  }
  default:
    return 0;
  }
}

Result<std::optional<NonFinite>> findNonFinite(Session &session) {
  std::vector<std::byte> bytes;
  for (const format::Variable *variable : variablesWithRole(
           session.artifact(), {VariableRole::parameter, VariableRole::buffer, VariableRole::optimizer})) {
    bytes.resize(format::byteSize(*variable));
    if (Status status = session.readVariable(variable->name()->string_view(), std::span(bytes)); !status)
      return status;
    const std::size_t count = bytes.size() / format::byteSize(variable->dtype());
    for (std::size_t i = 0; i < count; ++i)
      if (double value = valueOrZero(variable->dtype(), bytes, i); !std::isfinite(value))
        return std::optional(NonFinite{variable->name()->str(), i, value});
  }
  return std::optional<NonFinite>();
}

} // namespace moe::engine

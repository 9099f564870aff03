//===- TensorFile.cpp - Writes a safetensors file ------------------ -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/TensorFile.h"

#include "mlir/IR/Diagnostics.h"
#include "passes/Target/Common/OutputFile.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace mlir::moe::conformance;

/// Appends `value`, whose low bytes they are.
template <typename Bits> static void append(std::string &data, Bits bits) {
  char bytes[sizeof(Bits)];
  llvm::support::endian::write<Bits>(bytes, bits, llvm::endianness::little);
  data.append(bytes, sizeof(Bits));
}

/// bfloat16 is the upper half of float32.
static uint16_t toBF16(double value) {
  APFloat number(value);
  bool losesInfo;
  number.convert(APFloat::BFloat(), APFloat::rmNearestTiesToEven, &losesInfo);
  return number.bitcastToAPInt().getZExtValue();
}

void TensorFile::add(StringRef name, Type type, ArrayRef<int64_t> shape, ArrayRef<double> values) {
  size_t begin = data.size();
  for (double value : values)
    switch (type) {
    case Type::I32:
      append(data, static_cast<int32_t>(value));
      break;
    case Type::BF16:
      append(data, toBF16(value));
      break;
    case Type::F32:
      append(data, llvm::bit_cast<uint32_t>(static_cast<float>(value)));
      break;
    case Type::F64:
      append(data, llvm::bit_cast<uint64_t>(value));
      break;
    }
  static constexpr StringLiteral kNames[] = {"I32", "BF16", "F32", "F64"};
  header[name.str()] = llvm::json::Object{
      {"dtype", kNames[static_cast<int>(type)]},
      {"shape", llvm::json::Array(shape)},
      {"data_offsets", llvm::json::Array{static_cast<int64_t>(begin), static_cast<int64_t>(data.size())}}};
}

LogicalResult TensorFile::write(StringRef path, const llvm::json::Value &metadata,
                                function_ref<InFlightDiagnostic()> emitError) const {
  llvm::json::Object whole = header;
  whole["__metadata__"] = llvm::json::Object{{"conformance", llvm::formatv("{0}", metadata).str()}};
  std::string text = llvm::formatv("{0}", llvm::json::Value(std::move(whole)));
  text.append(-text.size() % 8, ' ');
  std::string size;
  append(size, static_cast<uint64_t>(text.size()));
  auto print = [&](auto &stream) { stream << size << text << data; };
  std::string error;
  return succeeded(writeOutputFile(path, print, error)) ? success() : LogicalResult(emitError() << error);
}

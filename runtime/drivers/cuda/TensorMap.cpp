//===- TensorMap.cpp - What TMA moves boxes by ----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/TensorMap.h"

#include "runtime/format/DType.h"

#include <array>

namespace moe::drivers::cuda {

static int toDataType(format::DType dtype) {
  switch (dtype) {
  case format::DType::f32:
    return kTensorMapF32;
  case format::DType::bf16:
    return kTensorMapBF16;
  case format::DType::f16:
    return kTensorMapF16;
  case format::DType::f64:
    return kTensorMapF64;
  case format::DType::i32:
    return kTensorMapI32;
  case format::DType::i64:
    return kTensorMapI64;
  case format::DType::i8:
  case format::DType::u8:
    break;
  }
  return kTensorMapU8;
}

static int toSwizzle(unsigned bytes) {
  return bytes == 128 ? kSwizzle128 : bytes == 64 ? kSwizzle64 : bytes == 32 ? kSwizzle32 : kSwizzleNone;
}

template <typename T> static std::string listFromSlowest(const std::vector<T> &extents) {
  std::string text;
  for (auto extent = extents.rbegin(); extent != extents.rend(); ++extent)
    text += (text.empty() ? "" : ",") + std::to_string(*extent);
  return "[" + text + "]";
}

std::string toString(const format::TensorMapT &map) {
  return std::string(format::toString(map.dtype)) + listFromSlowest(map.dims) + " in boxes of " +
         listFromSlowest(map.box);
}

Result<CuTensorMap> encodeTensorMap(const CudaApi &cuda, const format::TensorMapT &map, CuAddress address) {
  if (!cuda.tensorMapEncodeTiled)
    return Status(ErrorCode::unsupportedModel,
                  "the NVIDIA driver, of CUDA " + versionText(cuda.version) +
                      ", has no function cuTensorMapEncodeTiled; update it, or compile with target=cuda:sm_80");
  constexpr std::array<std::uint32_t, 5> elementStrides = {1, 1, 1, 1, 1};
  CuTensorMap encoded;
  const CuResult result = cuda.tensorMapEncodeTiled(
      &encoded, toDataType(map.dtype), static_cast<unsigned>(map.dims.size()), reinterpret_cast<void *>(address),
      map.dims.data(), map.strides.data(), map.box.data(), elementStrides.data(), kInterleaveNone,
      toSwizzle(map.swizzle), kPromoteL2To256, kFillZeros);
  if (result != kSuccess)
    return cuda.check(result, "encoding a tensor map").withContext(toString(map));
  return encoded;
}

} // namespace moe::drivers::cuda

//===- AbiTest.cpp - Our declarations against cuda.h ----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/CudaApi.h"

#include <gtest/gtest.h>

#include <type_traits>

#if __has_include(<cuda.h>)
#include <cuda.h>

namespace {

using namespace moe::drivers::cuda;

/// Whether two types are passed alike: integers and enumerations of one size, pointers to what is passed alike or to
/// objects that only one side knows.
template <typename A, typename B> constexpr bool passedAlike() {
  if constexpr (std::is_pointer_v<A> && std::is_pointer_v<B>) {
    using ToA = std::remove_pointer_t<A>;
    using ToB = std::remove_pointer_t<B>;
    if constexpr (std::is_const_v<ToA> != std::is_const_v<ToB>)
      return false;
    else if constexpr (std::is_class_v<ToA> && std::is_class_v<ToB>)
      return true;
    else
      return passedAlike<std::remove_const_t<ToA>, std::remove_const_t<ToB>>();
  } else if constexpr ((std::is_integral_v<A> || std::is_enum_v<A>) && (std::is_integral_v<B> || std::is_enum_v<B>)) {
    return sizeof(A) == sizeof(B) && alignof(A) == alignof(B);
  } else {
    return std::is_same_v<A, B>;
  }
}

template <typename Ours, typename Theirs> constexpr bool sameAbi = false;
template <typename R, typename... A, typename S, typename... B>
  requires(sizeof...(A) == sizeof...(B))
constexpr bool sameAbi<R (*)(A...), S (*)(B...)> = passedAlike<R, S>() && (passedAlike<A, B>() && ...);

static_assert(passedAlike<CuDevice *, CUdevice *>() && passedAlike<CuContext *, CUcontext *>());
static_assert(!passedAlike<CuDevice, CUdeviceptr>() && !passedAlike<const char *, char *>());

// cuda.h gives some symbols without a version the newest one, which have the same types here.
#define MOE_CUDA_CHECK(member, symbol, parameters)                                                                     \
  static_assert(sameAbi<decltype(CudaApi::member), decltype(&::symbol)>, #symbol " differs from cuda.h");
MOE_CUDA_FUNCTIONS(MOE_CUDA_CHECK)
#if CUDA_VERSION >= 12040
MOE_CUDA_OPTIONAL_FUNCTIONS(MOE_CUDA_CHECK)
#endif

static_assert(kSuccess == CUDA_SUCCESS && kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY &&
              kStubLibrary == CUDA_ERROR_STUB_LIBRARY && kNoDevice == CUDA_ERROR_NO_DEVICE &&
              kInvalidImage == CUDA_ERROR_INVALID_IMAGE && kNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU &&
              kInvalidPtx == CUDA_ERROR_INVALID_PTX && kUnsupportedPtxVersion == CUDA_ERROR_UNSUPPORTED_PTX_VERSION &&
              kNotFound == CUDA_ERROR_NOT_FOUND && kIllegalAddress == CUDA_ERROR_ILLEGAL_ADDRESS &&
              kLaunchTimeout == CUDA_ERROR_LAUNCH_TIMEOUT && kHardwareStackError == CUDA_ERROR_HARDWARE_STACK_ERROR &&
              kIllegalInstruction == CUDA_ERROR_ILLEGAL_INSTRUCTION &&
              kMisalignedAddress == CUDA_ERROR_MISALIGNED_ADDRESS && kLaunchFailed == CUDA_ERROR_LAUNCH_FAILED);
static_assert(kMaxGridX == CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X && kMaxGridY == CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y &&
              kMaxGridZ == CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z &&
              kMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT &&
              kCapabilityMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR &&
              kCapabilityMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR &&
              kMaxSharedBytesOptIn == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(kMaxThreadsPerBlock == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK &&
              kStaticSharedBytes == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES &&
              kMaxDynamicSharedBytes == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(sizeof(CuTensorMap) == sizeof(CUtensorMap) && alignof(CuTensorMap) >= alignof(CUtensorMap));
static_assert(sizeof(CuLaunchAttribute) == sizeof(CUlaunchAttribute) &&
              offsetof(CuLaunchAttribute, value) == offsetof(CUlaunchAttribute, value) &&
              kProgrammaticStreamSerialization == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
static_assert(sizeof(CuLaunchConfig) == sizeof(CUlaunchConfig) &&
              offsetof(CuLaunchConfig, gridX) == offsetof(CUlaunchConfig, gridDimX) &&
              offsetof(CuLaunchConfig, blockX) == offsetof(CUlaunchConfig, blockDimX) &&
              offsetof(CuLaunchConfig, sharedBytes) == offsetof(CUlaunchConfig, sharedMemBytes) &&
              offsetof(CuLaunchConfig, stream) == offsetof(CUlaunchConfig, hStream) &&
              offsetof(CuLaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs) &&
              offsetof(CuLaunchConfig, numAttributes) == offsetof(CUlaunchConfig, numAttrs));
static_assert(kTensorMapU8 == CU_TENSOR_MAP_DATA_TYPE_UINT8 && kTensorMapI32 == CU_TENSOR_MAP_DATA_TYPE_INT32 &&
              kTensorMapI64 == CU_TENSOR_MAP_DATA_TYPE_INT64 && kTensorMapF16 == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 &&
              kTensorMapF32 == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 && kTensorMapF64 == CU_TENSOR_MAP_DATA_TYPE_FLOAT64 &&
              kTensorMapBF16 == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 &&
              kInterleaveNone == CU_TENSOR_MAP_INTERLEAVE_NONE && kSwizzleNone == CU_TENSOR_MAP_SWIZZLE_NONE &&
              kSwizzle32 == CU_TENSOR_MAP_SWIZZLE_32B && kSwizzle64 == CU_TENSOR_MAP_SWIZZLE_64B &&
              kSwizzle128 == CU_TENSOR_MAP_SWIZZLE_128B && kPromoteL2To256 == CU_TENSOR_MAP_L2_PROMOTION_L2_256B &&
              kFillZeros == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
static_assert(kJitErrorLog == CU_JIT_ERROR_LOG_BUFFER && kJitErrorLogBytes == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES &&
              kCaptureThreadLocal == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
              kStreamNonBlocking == CU_STREAM_NON_BLOCKING && kEventTiming == CU_EVENT_DEFAULT &&
              kEventDisableTiming == CU_EVENT_DISABLE_TIMING);

TEST(CudaAbi, AgreesWithTheHeader) { SUCCEED() << "checked by the compiler"; }

} // namespace
#else
TEST(CudaAbi, AgreesWithTheHeader) { GTEST_SKIP() << "cuda.h is not installed"; }
#endif

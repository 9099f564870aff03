//===- CudaApi.h - The functions of libcuda that we use ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Our own declarations of the CUDA driver API, so that every build holds the driver: no header and no library of
/// NVIDIA's is needed. The ABI of the versioned symbols never changes; test/runtime/cuda/AbiTest.cpp compares each with
/// cuda.h where that is installed. Semantics: "CUDA Driver API Reference Manual".
///
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_CUDAAPI_H
#define MOE_RUNTIME_DRIVERS_CUDA_CUDAAPI_H

#include "moe/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace moe::drivers::cuda {

// CUresult, CUdevice, CUdeviceptr and the opaque handles of cuda.h.
using CuResult = int;
using CuDevice = int;
using CuAddress = unsigned long long;
using CuContext = struct CuContextObject *;
using CuModule = struct CuModuleObject *;
using CuFunction = struct CuFunctionObject *;
using CuStream = struct CuStreamObject *;
using CuEvent = struct CuEventObject *;
using CuGraph = struct CuGraphObject *;
using CuGraphExec = struct CuGraphExecObject *;
/// CUtensorMap: opaque, passed to kernels by value.
struct alignas(128) CuTensorMap {
  std::byte bytes[128];
};

/// CUlaunchAttribute: `value` is a union of 64 bytes, here as its integer.
struct CuLaunchAttribute {
  int id;
  alignas(8) int value;
  std::byte rest[60];
};
/// CUlaunchConfig.
struct CuLaunchConfig {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  CuStream stream;
  CuLaunchAttribute *attributes;
  unsigned numAttributes;
};

// Enumerators of cuda.h.
inline constexpr CuResult kSuccess = 0, kOutOfMemory = 2, kStubLibrary = 34, kNoDevice = 100, kInvalidImage = 200,
                          kNoBinaryForGpu = 209, kInvalidPtx = 218, kUnsupportedPtxVersion = 222, kNotFound = 500,
                          kIllegalAddress = 700, kLaunchTimeout = 702, kHardwareStackError = 714,
                          kIllegalInstruction = 715, kMisalignedAddress = 716, kLaunchFailed = 719;
inline constexpr int kMaxGridX = 5, kMaxGridY = 6, kMaxGridZ = 7, kMultiprocessors = 16, kCapabilityMajor = 75,
                     kCapabilityMinor = 76, kMaxSharedBytesOptIn = 97;                            // of a device
inline constexpr int kMaxThreadsPerBlock = 0, kStaticSharedBytes = 1, kMaxDynamicSharedBytes = 8; // of a function
inline constexpr int kJitErrorLog = 5, kJitErrorLogBytes = 6;                                     // of a JIT
inline constexpr int kCaptureThreadLocal = 1;                                                     // of a capture
inline constexpr int kProgrammaticStreamSerialization = 6;                                        // of a launch
inline constexpr unsigned kStreamNonBlocking = 1, kEventTiming = 0, kEventDisableTiming = 2;      // flags

// Of a tensor map: CUtensorMapDataType, -Interleave, -Swizzle (by the logarithm of its bytes), -L2promotion,
// -FloatOOBfill.
inline constexpr int kTensorMapU8 = 0, kTensorMapI32 = 3, kTensorMapI64 = 5, kTensorMapF16 = 6, kTensorMapF32 = 7,
                     kTensorMapF64 = 8, kTensorMapBF16 = 9, kInterleaveNone = 0, kSwizzleNone = 0, kSwizzle32 = 1,
                     kSwizzle64 = 2, kSwizzle128 = 3, kPromoteL2To256 = 3, kFillZeros = 0;

/// X(member, symbol, parameters) for every function. All return a CuResult.
#define MOE_CUDA_FUNCTIONS(X)                                                                                          \
  X(init, cuInit, (unsigned flags))                                                                                    \
  X(driverGetVersion, cuDriverGetVersion, (int *version))                                                              \
  X(getErrorName, cuGetErrorName, (CuResult error, const char **text))                                                 \
  X(getErrorString, cuGetErrorString, (CuResult error, const char **text))                                             \
  X(deviceGetCount, cuDeviceGetCount, (int *count))                                                                    \
  X(deviceGet, cuDeviceGet, (CuDevice * device, int ordinal))                                                          \
  X(deviceGetName, cuDeviceGetName, (char *name, int length, CuDevice device))                                         \
  X(deviceGetAttribute, cuDeviceGetAttribute, (int *value, int attribute, CuDevice device))                            \
  X(deviceGetPCIBusId, cuDeviceGetPCIBusId, (char *id, int length, CuDevice device))                                   \
  X(devicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (CuContext * context, CuDevice device))                          \
  X(devicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CuDevice device))                                          \
  X(ctxPushCurrent, cuCtxPushCurrent_v2, (CuContext context))                                                          \
  X(ctxPopCurrent, cuCtxPopCurrent_v2, (CuContext * context))                                                          \
  X(memGetInfo, cuMemGetInfo_v2, (std::size_t *free, std::size_t *total))                                              \
  X(memAlloc, cuMemAlloc_v2, (CuAddress * address, std::size_t bytes))                                                 \
  X(memFree, cuMemFree_v2, (CuAddress address))                                                                        \
  X(memHostAlloc, cuMemHostAlloc, (void **address, std::size_t bytes, unsigned flags))                                 \
  X(memFreeHost, cuMemFreeHost, (void *address))                                                                       \
  X(memsetD8Async, cuMemsetD8Async, (CuAddress to, unsigned char value, std::size_t count, CuStream stream))           \
  X(memsetD32Async, cuMemsetD32Async, (CuAddress to, unsigned value, std::size_t count, CuStream stream))              \
  X(memcpyDtoDAsync, cuMemcpyDtoDAsync_v2, (CuAddress to, CuAddress from, std::size_t bytes, CuStream stream))         \
  X(memcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (CuAddress to, const void *from, std::size_t bytes, CuStream stream))       \
  X(memcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void *to, CuAddress from, std::size_t bytes, CuStream stream))             \
  X(streamCreate, cuStreamCreate, (CuStream * stream, unsigned flags))                                                 \
  X(streamDestroy, cuStreamDestroy_v2, (CuStream stream))                                                              \
  X(streamSynchronize, cuStreamSynchronize, (CuStream stream))                                                         \
  X(streamBeginCapture, cuStreamBeginCapture_v2, (CuStream stream, int mode))                                          \
  X(streamEndCapture, cuStreamEndCapture, (CuStream stream, CuGraph * graph))                                          \
  X(graphInstantiate, cuGraphInstantiateWithFlags, (CuGraphExec * exec, CuGraph graph, unsigned long long flags))      \
  X(graphLaunch, cuGraphLaunch, (CuGraphExec exec, CuStream stream))                                                   \
  X(graphExecDestroy, cuGraphExecDestroy, (CuGraphExec exec))                                                          \
  X(graphDestroy, cuGraphDestroy, (CuGraph graph))                                                                     \
  X(eventCreate, cuEventCreate, (CuEvent * event, unsigned flags))                                                     \
  X(eventDestroy, cuEventDestroy_v2, (CuEvent event))                                                                  \
  X(eventRecord, cuEventRecord, (CuEvent event, CuStream stream))                                                      \
  X(eventSynchronize, cuEventSynchronize, (CuEvent event))                                                             \
  X(eventElapsedTime, cuEventElapsedTime, (float *milliseconds, CuEvent begin, CuEvent end))                           \
  X(moduleLoadDataEx, cuModuleLoadDataEx,                                                                              \
    (CuModule * module, const void *image, unsigned count, int *options, void **values))                               \
  X(moduleUnload, cuModuleUnload, (CuModule module))                                                                   \
  X(moduleGetFunction, cuModuleGetFunction, (CuFunction * function, CuModule module, const char *name))                \
  X(funcGetAttribute, cuFuncGetAttribute, (int *value, int attribute, CuFunction function))                            \
  X(funcSetAttribute, cuFuncSetAttribute, (CuFunction function, int attribute, int value))                             \
  X(launchKernel, cuLaunchKernelEx,                                                                                    \
    (const CuLaunchConfig *config, CuFunction function, void **parameters, void **extra))

/// Functions newer than the oldest driver that we accept; nullptr where they are missing.
#define MOE_CUDA_OPTIONAL_FUNCTIONS(X)                                                                                 \
  X(tensorMapEncodeTiled, cuTensorMapEncodeTiled,                                                                      \
    (CuTensorMap * map, int dtype, unsigned rank, void *address, const std::uint64_t *dims,                            \
     const std::uint64_t *strides, const std::uint32_t *box, const std::uint32_t *elementStrides, int interleave,      \
     int swizzle, int l2Promotion, int fill)) /* CUDA 12.0, where it knows Hopper */                                   \
  X(funcGetParamInfo, cuFuncGetParamInfo,                                                                              \
    (CuFunction function, std::size_t index, std::size_t *offset, std::size_t *size)) /* CUDA 12.4 */

/// libcuda, opened. Never closed: it does not survive that.
struct CudaApi {
  /// Opens `libcuda.so.1`, or the file that the environment variable MOE_CUDA_LIBRARY names, and initialises it.
  /// Errors: ErrorCode::unsupportedModel if there is no library, it is too old, or there is no GPU; says what to do.
  static Result<std::shared_ptr<const CudaApi>> open();

#define MOE_CUDA_MEMBER(member, symbol, parameters) CuResult(*member) parameters = nullptr;
  MOE_CUDA_FUNCTIONS(MOE_CUDA_MEMBER)
  MOE_CUDA_OPTIONAL_FUNCTIONS(MOE_CUDA_MEMBER)
#undef MOE_CUDA_MEMBER

  /// "an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)", with advice where there is some.
  std::string describe(CuResult result) const;
  /// Success, or `what` and the reason; ErrorCode::doesNotFit if memory ran out.
  Status check(CuResult result, const char *what) const;

  int version = 0; ///< 1000 · major + 10 · minor of the newest CUDA that the driver supports.
};

/// "12.4" from 12040.
std::string versionText(int version);

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_CUDAAPI_H

//===- CudaKernels.h - Hand-written GPU kernels for tests -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TEST_RUNTIME_CUDA_CUDAKERNELS_H
#define MOE_TEST_RUNTIME_CUDA_CUDAKERNELS_H

#include "test/runtime/TestArtifact.h"

#include <string>

namespace moe::test {

/// PTX with the kernels of ../Kernels.c, one thread an element, and `test_reverse`: b[i] = a[j], where j is i mirrored
/// within its block, through 64 KiB of dynamic shared memory and more.
extern const std::string kCudaKernels;
inline constexpr unsigned kReverseSharedBytes = (64 << 10) + 4 * 256;

/// exampleArtifact("cuda") with these kernels.
ArtifactBuilder exampleCudaArtifact();

/// The same, but with tensor maps for the operand and the result of the kernel that doubles, which the fake driver
/// alone can run.
ArtifactBuilder tensorMapArtifact();

/// Floats of every kind of instruction, with an intermediate in the workspace: `step` takes x[256 * 64] and computes
/// y[256] = reverse(row_sums(x + weight)), fills and copies on the way, and adds 1 to `weight`.
ArtifactBuilder rowSumsArtifact();
inline constexpr std::int64_t kRows = 256, kColumns = 64;

void setCode(ArtifactBuilder &builder, const std::string &ptx);

} // namespace moe::test

#endif // MOE_TEST_RUNTIME_CUDA_CUDAKERNELS_H

//===- Ranges.h - Named ranges for profilers --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// NVTX ranges on the host's timeline (https://github.com/NVIDIA/NVTX): Nsight Systems and others show them above the
/// kernels that were issued within. Without a profiler a range costs a comparison; a build without the NVTX headers has
/// none.
///
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_EXECUTOR_RANGES_H
#define MOE_RUNTIME_EXECUTOR_RANGES_H

namespace moe {

/// Whether this build has them.
bool hasProfilerRanges();

/// A range from construction to destruction; ranges nest.
class ProfilerRange {
public:
  explicit ProfilerRange(const char *name);
  ~ProfilerRange();
  ProfilerRange(const ProfilerRange &) = delete;
  ProfilerRange &operator=(const ProfilerRange &) = delete;
};

} // namespace moe

#endif // MOE_RUNTIME_EXECUTOR_RANGES_H

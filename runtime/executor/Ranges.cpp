//===- Ranges.cpp - Named ranges for profilers ----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/executor/Ranges.h"

#ifdef MOE_HAS_NVTX
#include <nvtx3/nvToolsExt.h>
#endif

namespace moe {

#ifdef MOE_HAS_NVTX
bool hasProfilerRanges() { return true; }
ProfilerRange::ProfilerRange(const char *name) { nvtxRangePushA(name); }
ProfilerRange::~ProfilerRange() { nvtxRangePop(); }
#else
bool hasProfilerRanges() { return false; }
ProfilerRange::ProfilerRange(const char *) {}
ProfilerRange::~ProfilerRange() = default;
#endif

} // namespace moe

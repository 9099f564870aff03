//===- SelfTest.h - Does the processor compute? -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CPU_SELFTEST_H
#define MOE_RUNTIME_DRIVERS_CPU_SELFTEST_H

#include "moe/Driver.h"
#include "runtime/drivers/cpu/ThreadPool.h"

#include <vector>

namespace moe::drivers::cpu {

/// Driver::selfTest: on all threads, copies memory and compares, and multiplies and adds with results known in advance.
/// Takes about a second.
Result<std::vector<DeviceFact>> testProcessor(ThreadPool &pool);

} // namespace moe::drivers::cpu

#endif // MOE_RUNTIME_DRIVERS_CPU_SELFTEST_H

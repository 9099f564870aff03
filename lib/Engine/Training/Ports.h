//===- Ports.h - Values that go into and come out of training entry points --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_PORTS_H
#define LIB_ENGINE_TRAINING_PORTS_H

#include "lib/Engine/Data/Batches.h"
#include "lib/Engine/Model/ModelInfo.h"
#include "lib/Engine/Training/ExpertLoad.h"

#include <initializer_list>

namespace moe::engine {

/// The first that is not ok.
Status firstError(std::initializer_list<Status> statuses);

/// Scalars are f32 on the device.
Status setScalar(EntryPoint &entry, std::string_view port, double value);
Status getScalar(EntryPoint &entry, std::string_view port, double &value);

/// `tokens`, `targets`, `weights`, and `positions` if the entry point has such an input.
Status setBatch(EntryPoint &entry, const Batch &batch);

/// Reads `load.<layer>` of every sparse layer after a run; layers without such an output are left out.
Result<std::vector<ExpertLoad>> readLoads(EntryPoint &entry, const ModelInfo &model);

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_PORTS_H

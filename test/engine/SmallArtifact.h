//===- SmallArtifact.h - A program of three instructions --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_ENGINE_SMALLARTIFACT_H
#define TEST_ENGINE_SMALLARTIFACT_H

#include "moe/Session.h"
#include "runtime/format/artifact_generated.h"

#include <memory>

namespace moe::test {

/// Producer, target and model of an artifact for the driver `null` with so many parameters, and nothing else.
format::ArtifactT emptyArtifact(std::int64_t parameters);

/// For the driver `null`. "apply": y = matmul(x, weight) through a temporary, whose place is then filled with zeros.
std::shared_ptr<const Artifact> smallArtifact();

} // namespace moe::test

#endif // TEST_ENGINE_SMALLARTIFACT_H

//===- TrainReport.h - Reports of training and evaluation -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_TRAINREPORT_H
#define LIB_ENGINE_REPORT_TRAINREPORT_H

#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Training/TrainRun.h"

#include <string>

namespace moe::engine {

/// What a run did: loss before and after, steps, where the checkpoint is, the table of expert load.
std::string formatTrainReport(const TrainReport &report);
Json trainReportToJson(const TrainReport &report);

std::string formatEvaluation(const Evaluation &evaluation, const std::vector<Document> &documents);
Json evaluationToJson(const Evaluation &evaluation, const std::vector<Document> &documents);

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_TRAINREPORT_H

//===- ModelInfo.cpp - Facts about a model that outlive its layer ops -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Layers/ModelInfo.h"

#include "mlir/IR/Builders.h"

namespace mlir::moe {

DictionaryAttr ModelInfo::toAttribute(ModelOp model, TrainingOp training, ServingOp serving) const {
  Builder builder(model.getContext());
  NamedAttrList info;
  auto set = [&](StringRef key, int64_t value) { info.set(key, builder.getI64IntegerAttr(value)); };
  info.set("name", model.getSymNameAttr());
  info.set("vocab_size", model.getVocabSizeAttr());
  info.set("hidden_size", model.getHiddenSizeAttr());
  set("num_layers", numLayers);
  info.set("sparse_layers", builder.getI64ArrayAttr(sparseLayers));
  set("num_experts", numExperts);
  set("top_k", topK);
  set("parameters", parameters);
  set("active_parameters", activeParameters);
  // Keys of the info are the names of the attributes.
  if (training) {
    NamedAttrList attributes(
        cast<DictionaryAttr>(training.getPropertiesAsAttr(builder.getContext(), training.getProperties())));
    // What the program was compiled to keep is in the program.
    attributes.erase(training.getActivationCheckpointingAttrName());
    info.set("training", attributes.getDictionary(builder.getContext()));
  }
  if (serving)
    info.set("serving", serving.getPropertiesAsAttr(builder.getContext(), serving.getProperties()));
  return info.getDictionary(builder.getContext());
}

} // namespace mlir::moe

//===- MoELayerAssembly.h - The assembly that all layer ops share -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   moe.name @symbol (key = value, key = value) attributes {...} { region }
//
// The symbol is there if the op has one, and so is the region. A value is an integer, a number, `true` or `false`, a
// quoted string or the keyword of an enumeration; which one, the constraint of the attribute in ODS decides.
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOE_IR_MOELAYERASSEMBLY_H
#define DIALECTS_MOE_IR_MOELAYERASSEMBLY_H

#include "mlir/IR/OpImplementation.h"

#include <string>

namespace mlir::moe {

/// What the assembly has to know of a layer op. A key without a default is required.
struct LayerOpSpec {
  ArrayRef<StringRef> keys;
  DictionaryAttr defaults;

  template <typename OpT> static LayerOpSpec of(MLIRContext *context) {
    typename OpT::Properties defaults;
    OpT::populateDefaultProperties(OperationName(OpT::getOperationName(), context), defaults);
    auto dictionary = dyn_cast_or_null<DictionaryAttr>(OpT::getPropertiesAsAttr(context, defaults));
    return {OpT::getKeys(), dictionary ? dictionary : DictionaryAttr::get(context)};
  }
};

/// Keys may come in any order. Fails with a located error for a key that is unknown (naming the known ones and the
/// nearest), given twice or missing, and for a value of the wrong kind.
ParseResult parseLayerOp(OpAsmParser &parser, OperationState &result, const LayerOpSpec &spec);

/// Prints keys in the order of `spec`, without those that have their default value, and breaks the line at column 100.
void printLayerOp(OpAsmPrinter &printer, Operation *op, const LayerOpSpec &spec);

/// The shortest decimal that reads back as `value`, always with a point: `0.02`, `10000.0`, `1.0e-5`.
std::string formatNumber(double value);

/// "; did you mean 'x'?" for the candidate nearest to `word`, or nothing if none is near.
std::string suggestNearest(StringRef word, ArrayRef<StringRef> candidates);

} // namespace mlir::moe

#endif // DIALECTS_MOE_IR_MOELAYERASSEMBLY_H

//===- KeywordAssembly.h - Enum attributes as bare keywords -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `custom<Keyword>($kind)` in an assembly format: prints an enum attribute as `ragged_rows`, not `<ragged_rows>`.
///
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_KEYWORDASSEMBLY_H
#define DIALECTS_KEYWORDASSEMBLY_H

#include "mlir/IR/OpImplementation.h"

namespace mlir {

template <typename EnumAttrT>
ParseResult parseKeyword(OpAsmParser &parser, EnumAttrT &attribute) {
  using Enum = decltype(attribute.getValue());
  FailureOr<Enum> value = FieldParser<Enum>::parse(parser);
  if (failed(value))
    return failure();
  attribute = EnumAttrT::get(parser.getContext(), *value);
  return success();
}

template <typename EnumAttrT>
void printKeyword(OpAsmPrinter &printer, Operation *, EnumAttrT attribute) {
  printer << attribute.getValue();
}

} // namespace mlir

#endif // DIALECTS_KEYWORDASSEMBLY_H

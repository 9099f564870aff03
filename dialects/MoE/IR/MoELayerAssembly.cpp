//===- MoELayerAssembly.cpp - The assembly that all layer ops share -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoELayerAssembly.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

#include <charconv>

namespace mlir::moe {

static constexpr unsigned lineLimit = 100;

//===----------------------------------------------------------------------===//
// Words and numbers
//===----------------------------------------------------------------------===//

std::string formatNumber(double value) {
  char buffer[400]; // -2^1023 in fixed notation has 309 digits
  char *end = std::to_chars(buffer, std::end(buffer), value, std::chars_format::scientific).ptr;
  auto [mantissa, exponentText] = StringRef(buffer, end - buffer).split('e');
  int exponent = 0;
  if (exponentText.consume_front("+"), exponentText.getAsInteger(10, exponent))
    return mantissa.str(); // inf, nan

  // Neither long rows of zeros nor an exponent where a person would not write one.
  if (exponent < -2 || exponent > 15)
    return (mantissa + (mantissa.contains('.') ? "e" : ".0e") + Twine(exponent)).str();
  end = std::to_chars(buffer, std::end(buffer), value, std::chars_format::fixed).ptr;
  StringRef fixed(buffer, end - buffer);
  return (fixed + (fixed.contains('.') ? "" : ".0")).str();
}

std::string suggestNearest(StringRef word, ArrayRef<StringRef> candidates) {
  StringRef nearest;
  unsigned nearestDistance = word.size() / 2 + 1; // further away is another word, not a slip
  for (StringRef candidate : candidates) {
    unsigned distance = word.edit_distance(candidate, /*AllowReplacements=*/true, nearestDistance);
    if (distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest.empty() ? "" : ("; did you mean '" + nearest + "'?").str();
}

/// The symbol name is an attribute in ODS but has its own place in the assembly.
static bool isSymbolKey(StringRef key) { return key == SymbolTable::getSymbolAttrName(); }

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Without the "custom op '…'" that the parser's own errors begin with.
static InFlightDiagnostic emitErrorAt(OpAsmParser &parser, SMLoc loc) {
  return emitError(parser.getEncodedSourceLoc(loc));
}

/// The keywords of the enumerations that layer ops use.
static SmallVector<std::pair<StringRef, Attribute>> getEnumKeywords(MLIRContext *context) {
  SmallVector<std::pair<StringRef, Attribute>> keywords;
  for (uint32_t value = 0; value <= getMaxEnumValForScoringFunc(); ++value)
    if (std::optional<ScoringFunc> scoring = symbolizeScoringFunc(value))
      keywords.emplace_back(stringifyScoringFunc(*scoring), ScoringFuncAttr::get(context, *scoring));
  for (uint32_t value = 0; value <= getMaxEnumValForActivationCheckpointing(); ++value)
    if (std::optional<ActivationCheckpointing> policy = symbolizeActivationCheckpointing(value))
      keywords.emplace_back(stringifyActivationCheckpointing(*policy),
                            ActivationCheckpointingAttr::get(context, *policy));
  for (uint32_t value = 0; value <= getMaxEnumValForDType(); ++value)
    if (std::optional<DType> dtype = symbolizeDType(value))
      keywords.emplace_back(stringifyDType(*dtype), DTypeAttr::get(context, *dtype));
  return keywords;
}

/// The value as the assembly has it: without type.
static std::string formatValue(Attribute value) {
  for (auto [keyword, known] : getEnumKeywords(value.getContext()))
    if (known == value)
      return keyword.str();
  if (auto number = dyn_cast<FloatAttr>(value))
    return formatNumber(number.getValueAsDouble());
  std::string text;
  llvm::raw_string_ostream stream(text);
  value.print(stream, /*elideType=*/true);
  return text;
}

/// Whether `value` satisfies the constraint that ODS gives attribute `key` of op `name`.
static bool satisfies(OperationName name, StringRef key, Attribute value) {
  NamedAttrList attributes;
  attributes.append(key, value);
  bool satisfied = true;
  (void)name.verifyInherentAttrs(attributes, [&] {
    satisfied = false;
    return InFlightDiagnostic(); // goes nowhere
  });
  return satisfied;
}

/// The keywords that attribute `key` of op `name` takes: none if it is not an enumeration.
static SmallVector<StringRef> getKeywordsFor(OperationName name, StringRef key) {
  SmallVector<StringRef> keywords;
  for (auto [keyword, value] : getEnumKeywords(name.getContext()))
    if (satisfies(name, key, value))
      keywords.push_back(keyword);
  return keywords;
}

/// What attribute `key` of op `name` takes, in words.
static std::string describeExpected(OperationName name, StringRef key) {
  Builder builder(name.getContext());
  if (satisfies(name, key, builder.getI64IntegerAttr(1)))
    return "an integer";
  if (satisfies(name, key, builder.getF64FloatAttr(1.0)))
    return "a number";
  if (satisfies(name, key, builder.getBoolAttr(true)))
    return "true or false";
  if (satisfies(name, key, builder.getStringAttr("")))
    return "a quoted string";
  return llvm::join(getKeywordsFor(name, key), " or ");
}

/// Parses the value of `key`, converting an integer where a number is wanted.
static Attribute parseValue(OpAsmParser &parser, OperationName name, StringRef key) {
  Builder &builder = parser.getBuilder();
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<Attribute> candidates;
  std::string text;
  StringRef keyword;
  if (succeeded(parser.parseOptionalKeyword(&keyword))) {
    text = keyword;
    if (keyword == "true" || keyword == "false")
      candidates.push_back(builder.getBoolAttr(keyword == "true"));
    for (auto [known, value] : getEnumKeywords(parser.getContext()))
      if (known == keyword)
        candidates.push_back(value);
  } else {
    Attribute literal;
    if (parser.parseAttribute(literal))
      return {};
    text = formatValue(literal);
    candidates.push_back(literal);
    if (auto integer = dyn_cast<IntegerAttr>(literal))
      candidates.push_back(builder.getF64FloatAttr(integer.getValue().roundToDouble(/*isSigned=*/true)));
  }
  for (Attribute candidate : candidates)
    if (satisfies(name, key, candidate))
      return candidate;
  emitErrorAt(parser, loc) << "attribute '" << key << "' of " << name << " takes " << describeExpected(name, key)
                           << ", not " << text << suggestNearest(keyword, getKeywordsFor(name, key));
  return {};
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// Parses `key = value` into `result`.
static ParseResult parseEntry(OpAsmParser &parser, OperationState &result, ArrayRef<StringRef> keys) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef key;
  if (failed(parser.parseOptionalKeyword(&key)))
    return emitErrorAt(parser, loc) << "expected the name of an attribute of " << result.name << ", one of "
                                    << llvm::join(keys, ", ");
  if (!llvm::is_contained(keys, key))
    return emitErrorAt(parser, loc) << "unknown attribute '" << key << "' of " << result.name
                                    << "; known: " << llvm::join(keys, ", ") << suggestNearest(key, keys);
  if (result.attributes.get(key))
    return emitErrorAt(parser, loc) << "attribute '" << key << "' of " << result.name << " is given twice";
  if (parser.parseEqual())
    return failure();
  Attribute value = parseValue(parser, result.name, key);
  if (!value)
    return failure();
  result.addAttribute(key, value);
  return success();
}

ParseResult parseLayerOp(OpAsmParser &parser, OperationState &result, const LayerOpSpec &spec) {
  SmallVector<StringRef> keys;
  for (StringRef key : spec.keys) {
    if (!isSymbolKey(key)) {
      keys.push_back(key);
      continue;
    }
    StringAttr symbol;
    if (parser.parseSymbolName(symbol, key, result.attributes))
      return failure();
  }
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&] { return parseEntry(parser, result, keys); }))
    return failure();

  SmallVector<StringRef> missing;
  for (StringRef key : keys)
    if (!result.attributes.get(key) && !spec.defaults.contains(key))
      missing.push_back(key);
  if (!missing.empty())
    return emitErrorAt(parser, parser.getNameLoc()) << result.name << " lacks the required attribute"
                                                    << (missing.size() == 1 ? " " : "s ") << llvm::join(missing, ", ");

  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  if (!result.name.hasTrait<OpTrait::OneRegion>())
    return success();
  Region *body = result.addRegion();
  if (parser.parseRegion(*body))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

void printLayerOp(OpAsmPrinter &printer, Operation *op, const LayerOpSpec &spec) {
  unsigned indent = 0; // of the op's line, as the printer has it: two columns a level
  for (Operation *parent = op->getParentOp(); parent; parent = parent->getParentOp())
    indent += 2;
  unsigned start = indent + op->getName().getStringRef().size();

  SmallVector<std::string> entries;
  for (StringRef key : spec.keys) {
    Attribute value = op->getInherentAttr(key).value_or(Attribute());
    if (isSymbolKey(key)) {
      StringRef symbol = cast<StringAttr>(value).getValue();
      printer << ' ';
      printer.printSymbolName(symbol);
      start += 2 + symbol.size();
    } else if (value && value != spec.defaults.get(key)) {
      entries.push_back((key + " = " + formatValue(value)).str());
    }
  }

  printer << " (";
  start += 2;
  unsigned column = start, closing = op->getNumRegions() ? 3 : 1; // ")" or ") {"
  for (auto [index, entry] : llvm::enumerate(entries)) {
    if (index != 0) {
      printer << ',';
      column += 2;
      if (column + entry.size() + closing > lineLimit) {
        printer.printNewline();
        printer.getStream().indent(start - indent);
        column = start;
      } else {
        printer << ' ';
      }
    }
    printer << entry;
    column += entry.size();
  }
  printer << ')';
  printer.printOptionalAttrDictWithKeyword(op->getDiscardableAttrDictionary().getValue());
  for (Region &region : op->getRegions()) {
    printer << ' ';
    printer.printRegion(region, /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/false);
  }
}

} // namespace mlir::moe

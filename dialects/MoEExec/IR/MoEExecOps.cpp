//===- MoEExecOps.cpp - Assembly and verifiers of moe_exec ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEExec/IR/BufferAssembly.h"
#include "dialects/MoEExec/IR/MoEExecOps.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"

using namespace mlir;
using namespace mlir::moe_exec;

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

ParseResult moe_exec::parseBuffer(AsmParser &parser, BufferAttr &buffer) {
  FlatSymbolRefAttr variable;
  Space space = Space::variable;
  uint32_t index = 0;
  if (OptionalParseResult symbol = parser.parseOptionalAttribute(variable); symbol.has_value()) {
    if (failed(*symbol))
      return failure();
  } else {
    StringRef keyword;
    SMLoc location = parser.getCurrentLocation();
    if (parser.parseKeyword(&keyword))
      return failure();
    std::optional<Space> parsed = symbolizeSpace(keyword);
    if (!parsed || *parsed == Space::variable)
      return parser.emitError(location) << "expected workspace, input, output or a variable's symbol";
    space = *parsed;
    if (space != Space::workspace && parser.parseInteger(index))
      return failure();
  }
  uint64_t offset, size;
  if (parser.parseLSquare() || parser.parseInteger(offset) || parser.parseColon() || parser.parseInteger(size) ||
      parser.parseRSquare())
    return failure();
  buffer = BufferAttr::get(parser.getContext(), space, variable, index, offset, size);
  return success();
}

void moe_exec::printBuffer(AsmPrinter &printer, BufferAttr buffer) {
  if (buffer.getSpace() == Space::variable)
    printer << buffer.getVariable();
  else
    printer << stringifySpace(buffer.getSpace());
  if (buffer.getSpace() == Space::input || buffer.getSpace() == Space::output)
    printer << ' ' << buffer.getIndex();
  printer << '[' << buffer.getOffset() << " : " << buffer.getSize() << ']';
}

ParseResult moe_exec::parseBuffers(AsmParser &parser, ArrayAttr &buffers) {
  SmallVector<Attribute> parsed;
  auto parseOne = [&]() -> ParseResult {
    BufferAttr buffer;
    if (parseBuffer(parser, buffer))
      return failure();
    parsed.push_back(buffer);
    return success();
  };
  // The list ends at the closing parenthesis; an empty one starts with it.
  if (succeeded(parser.parseOptionalKeyword("none"))) {
    buffers = ArrayAttr::get(parser.getContext(), {});
    return success();
  }
  if (parser.parseCommaSeparatedList(parseOne))
    return failure();
  buffers = ArrayAttr::get(parser.getContext(), parsed);
  return success();
}

void moe_exec::printBuffers(AsmPrinter &printer, ArrayAttr buffers) {
  if (buffers.empty())
    printer << "none";
  llvm::interleaveComma(buffers.getAsRange<BufferAttr>(), printer,
                        [&](BufferAttr buffer) { printBuffer(printer, buffer); });
}

Attribute BufferAttr::parse(AsmParser &parser, Type) {
  BufferAttr buffer;
  if (parser.parseLess() || parseBuffer(parser, buffer) || parser.parseGreater())
    return {};
  return buffer;
}

void BufferAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printBuffer(printer, *this);
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Tensor maps
//===----------------------------------------------------------------------===//

LogicalResult TensorMapAttr::verify(function_ref<InFlightDiagnostic()> emitError, uint32_t, Type elementType,
                                    ArrayRef<int64_t> dims, ArrayRef<int64_t> strides, ArrayRef<int64_t> box,
                                    int64_t swizzle) {
  constexpr int64_t kMostDims = 5, kMostInBox = 256, kAlignment = 16;
  constexpr int64_t kLargestDim = int64_t(1) << 32, kLargestStride = int64_t(1) << 40;
  if (!elementType.isIntOrFloat() || elementType.getIntOrFloatBitWidth() % 8 != 0)
    return emitError() << "has elements of type " << elementType << ", which are not whole bytes";
  int64_t elementBytes = elementType.getIntOrFloatBitWidth() / 8, rank = dims.size();
  if (rank > kMostDims || int64_t(strides.size()) != rank - 1 || int64_t(box.size()) != rank)
    return emitError() << "has " << rank << " dims, " << strides.size() << " strides and " << box.size()
                       << " extents of a box; n ≤ " << kMostDims << ", n - 1 and n belong together";
  for (int64_t dim : dims)
    if (dim < 1 || dim > kLargestDim)
      return emitError() << "has a dimension of " << dim << " elements; from 1 to 2^32 are possible";
  for (int64_t stride : strides)
    if (stride < kAlignment || stride % kAlignment != 0 || stride >= kLargestStride)
      return emitError() << "has a stride of " << stride << " bytes, which must be a multiple of " << kAlignment
                         << " below 2^40";
  for (int64_t extent : box)
    if (extent < 1 || extent > kMostInBox)
      return emitError() << "has a box of " << extent << " elements in a dimension; from 1 to " << kMostInBox
                         << " are possible";
  int64_t rowBytes = box.front() * elementBytes;
  if (rowBytes % kAlignment != 0)
    return emitError() << "has rows of " << rowBytes << " bytes in its box, which must be a multiple of " << kAlignment;
  if (!llvm::is_contained({0, 32, 64, 128}, swizzle))
    return emitError() << "is swizzled by " << swizzle << " bytes; 0, 32, 64 and 128 are possible";
  if (swizzle != 0 && rowBytes > swizzle)
    return emitError() << "has rows of " << rowBytes << " bytes in its box, but is swizzled by " << swizzle;
  return success();
}

LogicalResult KernelOp::verify() {
  int64_t numBuffers = getNumInputs() + getNumOutputs();
  if (std::optional<ArrayAttr> maps = getTensorMaps())
    for (auto [index, map] : llvm::enumerate(maps->getAsRange<TensorMapAttr>()))
      if (map.getBuffer() >= numBuffers)
        return emitOpError() << "has tensor map " << index << " of buffer " << map.getBuffer() << ", but "
                             << numBuffers << " buffers";
  for (int64_t input : getEarlyInputs().value_or(ArrayRef<int64_t>()))
    if (input < 0 || input >= int64_t(getNumInputs()))
      return emitOpError() << "reads operand " << input << " early, but has " << getNumInputs() << " operands";
  if (getEarlyInputs() && !getDependentLaunch())
    return emitOpError("reads operands early, but does not wait for the launch before it: dependent_launch is missing");
  return success();
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// Bytes of a tensor without padding.
static uint64_t sizeInBytes(Type type) {
  auto tensor = cast<ShapedType>(type);
  return tensor.getNumElements() * ((tensor.getElementTypeBitWidth() + 7) / 8);
}

/// The size of what `buffer` refers to, or nothing if there is no such thing.
static std::optional<uint64_t> extent(ProgramOp program, BufferAttr buffer) {
  auto port = [&](ArrayAttr types) -> std::optional<uint64_t> {
    if (buffer.getIndex() >= types.size())
      return std::nullopt;
    return sizeInBytes(cast<TypeAttr>(types[buffer.getIndex()]).getValue());
  };
  switch (buffer.getSpace()) {
  case Space::workspace:
    return program.getWorkspaceBytes();
  case Space::input:
    return port(program.getInputTypes());
  case Space::output:
    return port(program.getOutputTypes());
  case Space::variable:
    if (auto variable = SymbolTable::lookupNearestSymbolFrom<moe::VariableOp>(program, buffer.getVariable()))
      return sizeInBytes(variable.getType());
    return std::nullopt;
  }
  llvm_unreachable("all spaces are handled");
}

static LogicalResult verifyBuffer(ProgramOp program, Operation &instruction, BufferAttr buffer) {
  std::optional<uint64_t> available = extent(program, buffer);
  if (!available)
    return instruction.emitOpError() << "refers to " << buffer << ", which does not exist";
  if (buffer.getOffset() > *available || buffer.getSize() > *available - buffer.getOffset())
    return instruction.emitOpError() << "refers to " << buffer << ", which ends at byte "
                                     << buffer.getOffset() + buffer.getSize() << " of " << *available;
  return success();
}

LogicalResult ProgramOp::verify() {
  if (getInputNames().size() != getInputTypes().size() || getOutputNames().size() != getOutputTypes().size())
    return emitOpError() << "has " << getInputNames().size() << " input names for " << getInputTypes().size()
                         << " types and " << getOutputNames().size() << " output names for "
                         << getOutputTypes().size() << " types";
  for (Operation &instruction : getBody().front()) {
    if (!isa<LaunchOp, CopyOp, FillOp>(instruction))
      return instruction.emitOpError("is not an instruction of a moe_exec.program");
    for (NamedAttribute attribute : instruction.getAttrDictionary()) {
      if (auto buffer = dyn_cast<BufferAttr>(attribute.getValue()))
        if (failed(verifyBuffer(*this, instruction, buffer)))
          return failure();
      if (auto array = dyn_cast<ArrayAttr>(attribute.getValue()))
        for (auto buffer : array.getAsRange<BufferAttr>())
          if (failed(verifyBuffer(*this, instruction, buffer)))
            return failure();
    }
  }
  return success();
}

static bool overlap(BufferAttr lhs, BufferAttr rhs) {
  return lhs.getSpace() == rhs.getSpace() && lhs.getVariable() == rhs.getVariable() &&
         lhs.getIndex() == rhs.getIndex() && lhs.getOffset() < rhs.getOffset() + rhs.getSize() && rhs.getOffset() < lhs.getOffset() + lhs.getSize();
}

bool LaunchOp::isSettled(unsigned input) {
  auto buffer = cast<BufferAttr>(getInputs()[input]);
  for (Operation *before = (*this)->getPrevNode(); before; before = before->getPrevNode()) {
    if (auto launch = dyn_cast<LaunchOp>(before))
      return llvm::none_of(launch.getOutputs().getAsRange<BufferAttr>(),
                           [&](BufferAttr output) { return overlap(buffer, output); });
    // What comes after a copy or a fill waits for it; but one of no bytes is none.
    if (overlap(buffer, isa<CopyOp>(before) ? cast<CopyOp>(before).getDestination()
                                            : cast<FillOp>(before).getDestination()))
      return false;
  }
  return true;
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *kernel = symbols.lookupNearestSymbolFrom(*this, getKernelAttr());
  int64_t inputs, outputs;
  if (auto compiled = dyn_cast_or_null<KernelOp>(kernel)) {
    inputs = compiled.getNumInputs();
    outputs = compiled.getNumOutputs();
    for (int64_t input : compiled.getEarlyInputs().value_or(ArrayRef<int64_t>()))
      if (input >= 0 && input < int64_t(getInputs().size()) && !isSettled(input))
        return emitOpError() << "passes operand " << input << " to " << getKernelAttr()
                             << ", which reads it before it waits for the launch before it, but that writes it";
  } else if (auto source = dyn_cast_or_null<moe_kernel::KernelOp>(kernel)) {
    inputs = source.getArgumentTypes().size();
    outputs = source.getResultTypes().size();
  } else {
    return emitOpError() << "launches " << getKernelAttr() << ", which is not a kernel";
  }
  if (inputs != int64_t(getInputs().size()) || outputs != int64_t(getOutputs().size()))
    return emitOpError() << "passes " << getInputs().size() << " operands and " << getOutputs().size()
                         << " results to " << getKernelAttr() << ", which has " << inputs << " and " << outputs;
  return success();
}

LogicalResult CopyOp::verify() {
  if (getSource().getSize() != getDestination().getSize())
    return emitOpError() << "copies " << getSource().getSize() << " bytes to " << getDestination().getSize();
  return success();
}

LogicalResult ObjectOp::verify() {
  if (!llvm::is_contained({"elf", "ptx", "cubin"}, getKind()))
    return emitOpError() << "has kind '" << getKind() << "'; there are elf, ptx and cubin";
  return success();
}

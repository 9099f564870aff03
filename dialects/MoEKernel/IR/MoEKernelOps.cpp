//===- MoEKernelOps.cpp - Kernels, launches and their assembly --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"

#include "dialects/MoEKernel/IR/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace mlir::moe_kernel;

void YieldOp::build(OpBuilder &, OperationState &) {}

//===----------------------------------------------------------------------===//
// KernelOp
//===----------------------------------------------------------------------===//

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildFunctionType = [](Builder &builder, ArrayRef<Type> arguments, ArrayRef<Type> results,
                              function_interface_impl::VariadicFlag,
                              std::string &) { return builder.getFunctionType(arguments, results); };
  return function_interface_impl::parseFunctionOp(parser, result, /*allowVariadic=*/false,
                                                  getFunctionTypeAttrName(result.name), buildFunctionType,
                                                  getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

std::optional<unsigned> KernelOp::getTiedResult(unsigned index) {
  if (auto tied = getArgAttrOfType<IntegerAttr>(index, kTiedAttrName))
    return tied.getInt();
  return std::nullopt;
}

bool KernelOp::holdsLaunches() { return !isExternal() && isa<LaunchOp>(getBody().front().front()); }

static LogicalResult verifyTiedArguments(KernelOp kernel) {
  TypeRange results = kernel.getResultTypes();
  SmallVector<int64_t> tiedBy(results.size(), -1);
  for (auto [index, type] : llvm::enumerate(kernel.getArgumentTypes())) {
    Attribute attribute = kernel.getArgAttr(index, kTiedAttrName);
    if (!attribute)
      continue;
    auto tied = dyn_cast<IntegerAttr>(attribute);
    if (!tied)
      return kernel.emitOpError() << "argument " << index << ": '" << kTiedAttrName
                                  << "' must be the number of a result";
    int64_t result = tied.getInt();
    if (result < 0 || result >= static_cast<int64_t>(results.size()))
      return kernel.emitOpError() << "argument " << index << " is tied to result " << result << " but there are "
                                  << results.size() << " results";
    if (results[result] != type)
      return kernel.emitOpError() << "argument " << index << " of type " << type << " is tied to result " << result
                                  << " of type " << results[result];
    if (tiedBy[result] >= 0)
      return kernel.emitOpError() << "arguments " << tiedBy[result] << " and " << index << " are both tied to result "
                                  << result;
    tiedBy[result] = index;
  }
  return success();
}

static LogicalResult verifyStructuredBody(KernelOp kernel, Operation *structured, ReturnOp terminator) {
  Block &body = kernel.getBody().front();
  for (Operation &op : body.without_terminator())
    if (&op != structured)
      return op.emitOpError() << "stands beside '" << structured->getName() << "', which must be alone in its kernel";
  for (auto [index, operand] : llvm::enumerate(structured->getOperands()))
    if (!isa<BlockArgument>(operand))
      return structured->emitOpError() << "operand " << index << " is not an argument of the kernel";
  if (!llvm::equal(structured->getResults(), terminator.getValues()))
    return terminator.emitOpError() << "must return the " << structured->getNumResults() << " results of '"
                                    << structured->getName() << "' in order, but returns "
                                    << terminator.getNumOperands() << " values";
  return success();
}

/// What the launched kernels work on in place, and what they are, verifyLaunchInKernel compares, which may look at
/// them.
static LogicalResult verifyLaunchesBody(KernelOp kernel, ReturnOp terminator) {
  SmallVector<Value> results; // Those that are returned, and those that have to be.
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (!isa<LaunchOp>(op))
      return op.emitOpError() << "stands beside a launch; a kernel that launches others does nothing else";
    for (auto [index, operand] : llvm::enumerate(op.getOperands()))
      if (auto prologue = operand.getDefiningOp<LaunchOp>();
          prologue && !llvm::all_of(prologue.getInputs(), llvm::IsaPred<BlockArgument>))
        return op.emitOpError() << "operand " << index
                                << " is the result of a launch that reads another one's; only arguments of the kernel "
                                   "can be read in a prologue";
    for (Value result : op.getResults())
      if (result.use_empty() || llvm::is_contained(terminator.getValues(), result))
        results.push_back(result);
  }
  if (!llvm::equal(results, terminator.getValues()))
    return terminator.emitOpError() << "must return the results of the kernel's launches in order, but those that its "
                                       "launches read, if it likes: "
                                    << results.size() << " values, but returns " << terminator.getNumOperands();
  if (kernel.getConfigAttr())
    return kernel.emitOpError("has a config, but the kernels that it launches have theirs");
  return success();
}

static LogicalResult verifyRowsBody(KernelOp kernel) {
  linalg::GenericOp first;
  int64_t firstRows = 0;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (isa<linalg::FillOp, tensor::EmptyOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp, arith::ConstantOp>(op))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic)
      return op.emitOpError() << "cannot be in a kernel: one structured op or linalg.generic ops can";
    if (generic.getNumLoops() == 0 || generic.getIteratorTypesArray().front() != utils::IteratorType::parallel)
      return op.emitOpError() << "must have a parallel first loop, the rows of the kernel";
    SmallVector<int64_t> extents = generic.getStaticLoopRanges();
    int64_t rows = extents.front();
    if (generic->hasAttr(kAccumulatesAttrName)) {
      if (extents.size() < 3 || generic.getIteratorTypesArray()[1] != utils::IteratorType::reduction)
        return op.emitOpError()
               << "is marked '" << kAccumulatesAttrName
               << "' but does not reduce its second loop, the rows of a chunk, beside a loop over columns";
      if (rows != firstRows)
        rows *= extents[1];
    }
    if (first && rows != firstRows)
      return op.emitOpError() << "has " << rows << " rows but the kernel's first op has " << firstRows;
    if (!first) {
      first = generic;
      firstRows = rows;
    }
  }
  if (!first)
    return kernel.emitOpError() << "computes nothing: expected one structured op or linalg.generic ops";
  return success();
}

LogicalResult KernelOp::verify() {
  if (isExternal())
    return emitOpError() << "has no body";
  for (auto [index, type] : llvm::enumerate(getArgumentTypes()))
    if (auto tensor = dyn_cast<RankedTensorType>(type); !tensor || !tensor.hasStaticShape())
      return emitOpError() << "argument " << index << " must be a tensor of static shape, not " << type;

  auto terminator = dyn_cast<ReturnOp>(getBody().front().getTerminator());
  if (!terminator)
    return emitOpError() << "must end with '" << ReturnOp::getOperationName() << "'";
  TypeRange returned = terminator.getValues().getTypes();
  if (returned.size() != getResultTypes().size())
    return terminator.emitOpError() << "returns " << returned.size() << " values but the kernel has "
                                    << getResultTypes().size() << " results";
  for (auto [index, actual, declared] : llvm::enumerate(returned, getResultTypes()))
    if (actual != declared)
      return terminator.emitOpError() << "value " << index << " has type " << actual
                                      << " but the kernel's result has type " << declared;

  if (failed(verifyTiedArguments(*this)))
    return failure();
  if (holdsLaunches())
    return verifyLaunchesBody(*this, terminator);
  for (Operation &op : getBody().front())
    if (op.hasTrait<StructuredKernelOp>())
      return verifyStructuredBody(*this, &op, terminator);
  return verifyRowsBody(*this);
}

//===----------------------------------------------------------------------===//
// LaunchOp
//===----------------------------------------------------------------------===//

static LogicalResult verifySignature(LaunchOp launch, StringRef what, TypeRange actual, ArrayRef<Type> expected) {
  if (actual.size() != expected.size())
    return launch.emitOpError() << "has " << actual.size() << " " << what << "s but kernel " << launch.getKernelAttr()
                                << " has " << expected.size();
  for (auto [index, type, expectedType] : llvm::enumerate(actual, expected))
    if (type != expectedType)
      return launch.emitOpError() << what << " " << index << " has type " << type << " but kernel "
                                  << launch.getKernelAttr() << " has " << expectedType;
  return success();
}

static bool isStructured(LaunchOp launch, SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(launch, launch.getKernelAttr());
  return kernel && !kernel.isExternal() && kernel.getBody().front().front().hasTrait<StructuredKernelOp>();
}

/// Whether `launch`, of the kernel `launched`, can be a part of the kernel around it.
static LogicalResult verifyLaunchInKernel(LaunchOp launch, KernelOp launched, SymbolTableCollection &symbols) {
  auto kernel = cast<KernelOp>(launch->getParentOp());
  if (launched.holdsLaunches())
    return launch.emitOpError() << "in a kernel launches " << launch.getKernelAttr()
                                << ", which launches kernels itself";
  for (auto [index, operand] : llvm::enumerate(launch.getInputs())) {
    std::optional<unsigned> inner = launched.getTiedResult(index);
    auto argument = dyn_cast<BlockArgument>(operand);
    if (!argument && inner)
      return launch.emitOpError() << "works in place on operand " << index << ", which is no argument of the kernel";
    if (!argument && isStructured(operand.getDefiningOp<LaunchOp>(), symbols))
      return launch.emitOpError() << "operand " << index << " is computed by "
                                  << operand.getDefiningOp<LaunchOp>().getKernelAttr()
                                  << ", which is not a kernel of rows: launches of a kernel run at the same time";
    if (!argument)
      continue;
    std::optional<unsigned> outer = kernel.getTiedResult(argument.getArgNumber());
    Value tied = outer ? kernel.getBody().front().getTerminator()->getOperand(*outer) : Value();
    if (inner && (tied != launch.getResult(*inner) || !argument.hasOneUse()))
      return launch.emitOpError() << "works on operand " << index << " in place: the kernel's argument "
                                  << argument.getArgNumber()
                                  << " has to be tied to the same result and can have no other use";
    if (!inner && outer)
      return launch.emitOpError() << "does not work on operand " << index << " in place, but the kernel's argument "
                                  << argument.getArgNumber() << " is tied to result " << *outer;
  }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError() << "there is no kernel " << getKernelAttr();
  if (failed(verifySignature(*this, "operand", getInputs().getTypes(), kernel.getArgumentTypes())))
    return failure();
  if (failed(verifySignature(*this, "result", getResultTypes(), kernel.getResultTypes())))
    return failure();
  return isa<KernelOp>((*this)->getParentOp()) ? verifyLaunchInKernel(*this, kernel, symbols) : success();
}

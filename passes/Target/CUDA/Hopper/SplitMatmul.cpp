//===- SplitMatmul.cpp - Matmuls in two kernels where these are faster --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/SplitMatmul.h"
#include "passes/Target/CUDA/Hopper/MatmulPlan.h"
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

/// A kernel without a body, before `next`.
static KernelOp createKernel(KernelOp next, const Twine &name, TypeRange arguments, TypeRange results,
                             ArrayRef<DictionaryAttr> argumentAttributes = {}) {
  OpBuilder builder(next);
  auto kernel = KernelOp::create(builder, next.getLoc(), name.str(), builder.getFunctionType(arguments, results),
                                 /*arg_attrs=*/ArrayAttr(), /*res_attrs=*/ArrayAttr(), /*config=*/Attribute());
  if (!argumentAttributes.empty())
    kernel.setAllArgAttrs(argumentAttributes);
  Block &body = kernel.getBody().emplaceBlock();
  body.addArguments(arguments, SmallVector<Location>(arguments.size(), next.getLoc()));
  return kernel;
}

static DictionaryAttr getAttributes(KernelOp kernel, unsigned argument) {
  DictionaryAttr attributes = kernel.getArgAttrDict(argument);
  return attributes ? attributes : DictionaryAttr::get(kernel.getContext());
}

static SmallVector<LaunchOp> findLaunches(ModuleOp module, KernelOp kernel) {
  SmallVector<LaunchOp> launches;
  module.walk([&](LaunchOp launch) {
    if (launch.getKernel() == kernel.getSymName())
      launches.push_back(launch);
  });
  return launches;
}

static Value getInput(LaunchOp launch, Value argument) {
  return launch.getInputs()[cast<BlockArgument>(argument).getArgNumber()];
}

//===----------------------------------------------------------------------===//
// Gathers
//===----------------------------------------------------------------------===//

namespace {
/// A matmul that gathers, in its kernel.
struct Gather {
  KernelOp kernel;
  MatmulOp op;
  double saving; ///< Microseconds, if the rows are there.

  Value getTokens() { return op.getGatherRhs() ? op.getRhs() : op.getLhs(); }
  int64_t getRows() { return op.getRowIndex().getType().getNumElements(); }
};

class GatherSplitter {
public:
  GatherSplitter(ModuleOp module, const Capabilities &capabilities)
      : module(module), capabilities(capabilities), symbols(module) {}
  void run();

private:
  std::optional<Gather> findGather(KernelOp kernel);
  bool areInverse(Value permutation, Value inverse);
  Value findInverse(Value index, ArrayRef<int64_t> shape);
  KernelOp getCopy(Gather &gather);
  KernelOp getDispatch(Gather &gather, RankedTensorType inverse);
  KernelOp getMatmul(Gather &gather);
  void split(ArrayRef<std::pair<LaunchOp, Gather *>> launches);

  ModuleOp module;
  const Capabilities &capabilities;
  SymbolTable symbols;
  llvm::MapVector<StringAttr, Gather> gathers;
  DenseMap<Operation *, KernelOp> copies, dispatches, matmuls; ///< By the kernel that they are made from.
};
} // namespace

std::optional<Gather> GatherSplitter::findGather(KernelOp kernel) {
  auto op = dyn_cast_or_null<MatmulOp>(target::findStructuredOp(kernel));
  if (!op || !op.getRowIndex() || kernel.getConfigAttr())
    return std::nullopt;
  std::optional<MatmulPlan> inside = planMatmul(op, capabilities), outside = planMatmul(op, capabilities, false);
  if (!inside || !outside)
    return std::nullopt;
  Gather gather{kernel, op, inside->getTime() - outside->getTime()};
  // Both are arguments that nothing else reads.
  if (gather.saving <= 0 || !gather.getTokens().hasOneUse() || !op.getRowIndex().hasOneUse())
    return std::nullopt;
  return gather;
}

/// Whether the two are what one plan gives, also as what functions return or are called with.
bool GatherSplitter::areInverse(Value permutation, Value inverse) {
  if (auto argument = dyn_cast<BlockArgument>(permutation)) {
    auto other = dyn_cast<BlockArgument>(inverse);
    auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    if (!function || !function.isPrivate() || !other || other.getOwner() != argument.getOwner())
      return false;
    std::optional<SymbolTable::UseRange> uses = function.getSymbolUses(module);
    return uses && !uses->empty() && llvm::all_of(*uses, [&](SymbolTable::SymbolUse use) {
      auto call = dyn_cast<func::CallOp>(use.getUser());
      return call && areInverse(call.getOperand(argument.getArgNumber()), call.getOperand(other.getArgNumber()));
    });
  }
  auto result = cast<OpResult>(permutation), other = dyn_cast<OpResult>(inverse);
  if (!other || other.getOwner() != result.getOwner())
    return false;
  if (auto call = dyn_cast<func::CallOp>(result.getOwner())) {
    auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
    auto returned = callee.front().getTerminator()->getOperands();
    return areInverse(returned[result.getResultNumber()], returned[other.getResultNumber()]);
  }
  auto launch = dyn_cast<LaunchOp>(result.getOwner());
  auto kernel = launch ? symbols.lookup<KernelOp>(launch.getKernel()) : KernelOp();
  if (!kernel)
    return false;
  auto returned = kernel.getBody().front().getTerminator()->getOperands();
  auto isPlan = [&](auto op) {
    return returned[result.getResultNumber()] == op.getPermutation() &&
           returned[other.getResultNumber()] == op.getInverse();
  };
  return llvm::TypeSwitch<Operation *, bool>(target::findStructuredOp(kernel))
      .Case<PlanOp, RouterOp>(isPlan)
      .Default(false);
}

/// The inverse of `index`, of `shape`, where it is the permutation of a plan and there is one; else null.
Value GatherSplitter::findInverse(Value index, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, getElementTypeOrSelf(index));
  ValueRange candidates = isa<BlockArgument>(index) ? ValueRange(index.getParentBlock()->getArguments())
                                                    : ValueRange(index.getDefiningOp()->getResults());
  for (Value candidate : candidates)
    if (candidate.getType() == type && areInverse(index, candidate))
      return candidate;
  return {};
}

/// The copy of all tokens to the rows that they are gathered to.
KernelOp GatherSplitter::getDispatch(Gather &gather, RankedTensorType inverse) {
  KernelOp &dispatch = dispatches[gather.kernel];
  if (dispatch)
    return dispatch;
  auto tokens = cast<RankedTensorType>(gather.getTokens().getType());
  auto result = RankedTensorType::get({gather.getRows(), tokens.getDimSize(1)}, tokens.getElementType());
  dispatch = createKernel(gather.kernel, gather.kernel.getSymName() + "_rows", {tokens, inverse}, result);
  symbols.insert(dispatch);
  Block &body = dispatch.getBody().front();
  auto b = ImplicitLocOpBuilder::atBlockBegin(gather.op.getLoc(), &body);
  auto rows = DispatchOp::create(b, result, body.getArgument(0), body.getArgument(1));
  ReturnOp::create(b, rows.getResult());
  return dispatch;
}

/// rows[r, c] = tokens[index[r] / divisor, c].
KernelOp GatherSplitter::getCopy(Gather &gather) {
  KernelOp &copy = copies[gather.kernel];
  if (copy)
    return copy;
  auto tokens = cast<RankedTensorType>(gather.getTokens().getType());
  auto result = RankedTensorType::get({gather.getRows(), tokens.getDimSize(1)}, tokens.getElementType());
  copy = createKernel(gather.kernel, gather.kernel.getSymName() + "_rows",
                      {tokens, gather.op.getRowIndex().getType()}, result);
  symbols.insert(copy);
  Block &body = copy.getBody().front();
  auto b = ImplicitLocOpBuilder::atBlockBegin(gather.op.getLoc(), &body);
  Value init = tensor::EmptyOp::create(b, result.getShape(), result.getElementType());
  AffineMap all = b.getMultiDimIdentityMap(2), row = all.getMajorSubMap(1);
  using utils::IteratorType;
  auto rows = linalg::GenericOp::create(
      b, TypeRange(result), ValueRange(body.getArgument(1)), ValueRange(init), ArrayRef<AffineMap>{row, all},
      ArrayRef<IteratorType>{IteratorType::parallel, IteratorType::parallel},
      [&](OpBuilder &builder, Location loc, ValueRange elements) {
        Value entry = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), elements[0]);
        Value divisor = arith::ConstantIndexOp::create(builder, loc, gather.op.getRowDivisor());
        Value token = arith::DivUIOp::create(builder, loc, entry, divisor);
        Value column = linalg::IndexOp::create(builder, loc, 1);
        Value element = tensor::ExtractOp::create(builder, loc, body.getArgument(0), ValueRange{token, column});
        linalg::YieldOp::create(builder, loc, ValueRange(element));
      });
  ReturnOp::create(b, rows.getResults());
  return copy;
}

/// The same kernel with rows in place of tokens, and without their index as the last argument.
KernelOp GatherSplitter::getMatmul(Gather &gather) {
  KernelOp &matmul = matmuls[gather.kernel];
  if (matmul)
    return matmul;
  unsigned tokens = cast<BlockArgument>(gather.getTokens()).getArgNumber();
  unsigned index = cast<BlockArgument>(gather.op.getRowIndex()).getArgNumber();
  SmallVector<Type> types(gather.kernel.getArgumentTypes());
  auto type = cast<RankedTensorType>(types[tokens]);
  types[tokens] = RankedTensorType::get({gather.getRows(), type.getDimSize(1)}, type.getElementType());
  SmallVector<DictionaryAttr> attributes;
  for (unsigned i = 0; i < types.size(); ++i)
    attributes.push_back(getAttributes(gather.kernel, i));
  types.erase(types.begin() + index);
  attributes.erase(attributes.begin() + index);
  matmul = createKernel(gather.kernel, gather.kernel.getSymName() + "_of_rows", types, gather.kernel.getResultTypes(),
                        attributes);
  symbols.insert(matmul);

  Block &body = matmul.getBody().front();
  IRMapping mapping;
  for (BlockArgument argument : gather.kernel.getBody().getArguments())
    if (unsigned i = argument.getArgNumber(); i != index)
      mapping.map(argument, body.getArgument(i < index ? i : i - 1));
    else
      mapping.map(argument, argument); // Until it is erased below.
  auto builder = OpBuilder::atBlockEnd(&body);
  for (Operation &op : gather.kernel.getBody().front())
    if (auto clone = dyn_cast<MatmulOp>(builder.clone(op, mapping))) {
      clone.getRowIndexMutable().clear();
      clone.setGatherRhs(false);
      clone.setRowDivisor(1);
    }
  return matmul;
}

/// Launches of one block that gather the same rows, in order.
void GatherSplitter::split(ArrayRef<std::pair<LaunchOp, Gather *>> launches) {
  auto [first, gather] = launches.front();
  double saving = 0;
  for (auto [launch, gather] : launches)
    saving += gather->saving;
  auto tokens = cast<RankedTensorType>(gather->getTokens().getType());
  Value index = getInput(first, gather->op.getRowIndex());
  Value inverse = findInverse(index, {tokens.getDimSize(0), static_cast<int64_t>(gather->op.getRowDivisor())});
  double cost = getCopyTime(tokens.getDimSize(0), gather->getRows(), tokens.getDimSize(1), /*readsOnce=*/bool(inverse));
  bool isFaster = saving > cost;
  explain(gather->kernel, llvm::formatv("rows are {0}: a copy costs {1:F0} us and saves {2:F0} us in {3} launches",
                                        isFaster ? "copied first" : "gathered in the kernel", cost, saving,
                                        launches.size())
                              .str());
  if (!isFaster)
    return;
  OpBuilder builder(first);
  KernelOp copy = inverse ? getDispatch(*gather, cast<RankedTensorType>(inverse.getType())) : getCopy(*gather);
  SmallVector<Value> inputs{getInput(first, gather->getTokens()), inverse ? inverse : index};
  Value rows = LaunchOp::create(builder, first.getLoc(), copy.getResultTypes(), copy.getSymName(), inputs,
                                first.getLabelAttr())
                   .getResult(0);
  for (auto [launch, gather] : launches) {
    SmallVector<Value> inputs(launch.getInputs());
    inputs[cast<BlockArgument>(gather->getTokens()).getArgNumber()] = rows;
    inputs.erase(inputs.begin() + cast<BlockArgument>(gather->op.getRowIndex()).getArgNumber());
    builder.setInsertionPoint(launch);
    auto replacement = LaunchOp::create(builder, launch.getLoc(), launch.getResultTypes(),
                                        getMatmul(*gather).getSymName(), inputs, launch.getLabelAttr());
    launch.replaceAllUsesWith(replacement);
    launch.erase();
  }
}

void GatherSplitter::run() {
  for (auto kernel : module.getOps<KernelOp>())
    if (std::optional<Gather> gather = findGather(kernel))
      gathers.insert({kernel.getSymNameAttr(), *gather});
  if (gathers.empty())
    return;
  // Block, tokens, index and divisor; in the order of the first launch of each.
  using Rows = std::tuple<Block *, Value, Value, int64_t>;
  llvm::MapVector<Rows, SmallVector<std::pair<LaunchOp, Gather *>>> groups;
  module.walk([&](LaunchOp launch) {
    auto found = gathers.find(launch.getKernelAttr().getAttr());
    if (found == gathers.end())
      return;
    Gather &gather = found->second;
    Rows rows{launch->getBlock(), getInput(launch, gather.getTokens()), getInput(launch, gather.op.getRowIndex()),
              gather.op.getRowDivisor()};
    groups[rows].push_back({launch, &gather});
  });
  for (auto &[rows, launches] : groups)
    split(launches);
  for (auto &[name, gather] : gathers)
    if (matmuls.contains(gather.kernel) && findLaunches(module, gather.kernel).empty())
      gather.kernel.erase();
}

void splitGathers(ModuleOp module, const Capabilities &capabilities) { GatherSplitter(module, capabilities).run(); }

//===----------------------------------------------------------------------===//
// Contractions
//===----------------------------------------------------------------------===//

/// lhs, rhs → the parts of the product, of f32.
static KernelOp createParts(KernelOp kernel, MatmulOp op, int64_t parts) {
  auto type = cast<RankedTensorType>(op.getResult(0).getType());
  OpBuilder builder(kernel);
  auto result = RankedTensorType::get({parts, type.getDimSize(0), type.getDimSize(1)}, builder.getF32Type());
  KernelOp product = createKernel(kernel, kernel.getSymName() + "_parts", {op.getLhs().getType(), op.getRhs().getType()},
                                  result);
  Block &body = product.getBody().front();
  auto b = ImplicitLocOpBuilder::atBlockBegin(op.getLoc(), &body);
  auto full = TileExtentAttr::get(b.getContext(), TileExtent::full);
  auto matmul = MatmulOp::create(b, TypeRange(result), body.getArgument(0), body.getArgument(1), /*offsets=*/Value(),
                                 /*row_index=*/Value(), /*extras=*/ValueRange(), MatmulKind::dense,
                                 op.getTransposeLhs(), op.getTransposeRhs(), /*paired=*/false, /*gather_rhs=*/false,
                                 /*row_divisor=*/1, /*extra_extents=*/b.getArrayAttr({}),
                                 /*result_extents=*/b.getArrayAttr(full), parts);
  ReturnOp::create(b, matmul.getResults());
  Block &epilogue = matmul.getEpilogue().emplaceBlock();
  Value sum = epilogue.addArgument(b.getF32Type(), op.getLoc());
  b.setInsertionPointToEnd(&epilogue);
  YieldOp::create(b, sum);
  return product;
}

/// parts, then the arguments of `kernel` that are extras → its results.
static KernelOp createSum(KernelOp kernel, MatmulOp op, RankedTensorType partsType) {
  SmallVector<Type> types{partsType};
  SmallVector<DictionaryAttr> attributes{DictionaryAttr::get(kernel.getContext())};
  for (Value extra : op.getExtras()) {
    types.push_back(extra.getType());
    attributes.push_back(getAttributes(kernel, cast<BlockArgument>(extra).getArgNumber()));
  }
  KernelOp sum = createKernel(kernel, kernel.getSymName(), types, kernel.getResultTypes(), attributes);
  Block &body = sum.getBody().front();
  auto b = ImplicitLocOpBuilder::atBlockBegin(op.getLoc(), &body);
  using utils::IteratorType;

  Type f32 = b.getF32Type();
  auto sumType = RankedTensorType::get(partsType.getShape().drop_front(), f32);
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  Value init = tensor::EmptyOp::create(b, sumType.getShape(), f32);
  init = linalg::FillOp::create(b, zero, init).getResult(0);
  // (m, n, p) → (p, m, n) and (m, n).
  AffineExpr m = b.getAffineDimExpr(0), n = b.getAffineDimExpr(1), p = b.getAffineDimExpr(2);
  auto product = linalg::GenericOp::create(
      b, TypeRange(sumType), ValueRange(body.getArgument(0)), ValueRange(init),
      ArrayRef<AffineMap>{AffineMap::get(3, 0, {p, m, n}, b.getContext()), AffineMap::get(3, 0, {m, n}, b.getContext())},
      ArrayRef<IteratorType>{IteratorType::parallel, IteratorType::parallel, IteratorType::reduction},
      [](OpBuilder &builder, Location loc, ValueRange elements) {
        linalg::YieldOp::create(builder, loc,
                                ValueRange(arith::AddFOp::create(builder, loc, elements[1], elements[0])));
      });

  // The epilogue, over (m, n).
  SmallVector<Value> inputs{product.getResult(0)}, inits;
  AffineMap all = b.getMultiDimIdentityMap(2);
  SmallVector<AffineMap> maps{all};
  auto extents = op.getExtraExtents().getAsRange<TileExtentAttr>();
  for (auto [argument, extent] : llvm::zip_equal(body.getArguments().drop_front(), extents)) {
    inputs.push_back(argument);
    switch (extent.getValue()) {
    case TileExtent::scalar:
      maps.push_back(AffineMap::get(2, 0, b.getContext()));
      break;
    case TileExtent::row:
      maps.push_back(AffineMap::get(2, 0, m));
      break;
    case TileExtent::column:
      maps.push_back(AffineMap::get(2, 0, n));
      break;
    default:
      maps.push_back(all);
    }
  }
  for (Type type : kernel.getResultTypes()) {
    auto tensor = cast<RankedTensorType>(type);
    inits.push_back(tensor::EmptyOp::create(b, tensor.getShape(), tensor.getElementType()));
    maps.push_back(all);
  }
  auto results = linalg::GenericOp::create(
      b, kernel.getResultTypes(), inputs, inits, maps,
      ArrayRef<IteratorType>{IteratorType::parallel, IteratorType::parallel},
      [&](OpBuilder &builder, Location loc, ValueRange elements) {
        Block &epilogue = op.getEpilogue().front();
        IRMapping mapping;
        mapping.map(epilogue.getArguments(), elements.take_front(epilogue.getNumArguments()));
        for (Operation &inner : epilogue.without_terminator())
          builder.clone(inner, mapping);
        auto yielded = llvm::map_to_vector(epilogue.getTerminator()->getOperands(),
                                           [&](Value value) { return mapping.lookupOrDefault(value); });
        linalg::YieldOp::create(builder, loc, yielded);
      });
  ReturnOp::create(b, results.getResults());
  return sum;
}

static bool isElementwise(MatmulOp op) {
  auto isPair = [](TileExtentAttr extent) { return extent.getValue() == TileExtent::pair; };
  auto isFull = [](TileExtentAttr extent) { return extent.getValue() == TileExtent::full; };
  return llvm::none_of(op.getExtraExtents().getAsRange<TileExtentAttr>(), isPair) &&
         llvm::all_of(op.getResultExtents().getAsRange<TileExtentAttr>(), isFull) &&
         llvm::all_of(op.getExtras(), [](Value extra) { return extra.hasOneUse(); });
}

void splitContractions(ModuleOp module, const Capabilities &capabilities) {
  SymbolTable symbols(module);
  for (auto kernel : llvm::make_early_inc_range(module.getOps<KernelOp>())) {
    auto op = dyn_cast_or_null<MatmulOp>(target::findStructuredOp(kernel));
    if (!op || kernel.getConfigAttr() || !isElementwise(op))
      continue;
    PartsChoice choice = chooseParts(op, capabilities);
    if (choice.parts == 1)
      continue;
    explain(kernel, llvm::formatv("its contraction is summed in {0} parts: {1:F0} us instead of {2:F0} us", choice.parts,
                                  choice.time, choice.wholeTime)
                        .str());
    SmallVector<LaunchOp> launches = findLaunches(module, kernel);
    KernelOp product = createParts(kernel, op, choice.parts);
    symbols.insert(product);
    KernelOp sum = createSum(kernel, op, cast<RankedTensorType>(product.getResultTypes().front()));
    for (LaunchOp launch : launches) {
      OpBuilder builder(launch);
      SmallVector<Value> factors{getInput(launch, op.getLhs()), getInput(launch, op.getRhs())};
      auto partial = LaunchOp::create(builder, launch.getLoc(), product.getResultTypes(), product.getSymName(),
                                      factors, launch.getLabelAttr());
      SmallVector<Value> inputs{partial.getResult(0)};
      for (Value extra : op.getExtras())
        inputs.push_back(getInput(launch, extra));
      auto replacement = LaunchOp::create(builder, launch.getLoc(), launch.getResultTypes(), sum.getSymName(), inputs,
                                          launch.getLabelAttr());
      launch.replaceAllUsesWith(replacement);
      launch.erase();
    }
    kernel.erase();
  }
}

} // namespace mlir::moe::cuda

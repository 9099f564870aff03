//===- FuseRouter.cpp - A router in one launch ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/FuseRouter.h"
#include "passes/Target/CUDA/RouterShape.h"
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {
namespace {

/// The launches of a router: a matmul, a route and, if there is one, a plan.
struct Chain {
  LaunchOp linear, route, plan;
  MatmulOp matmul;
  RouteOp routeOp;
  PlanOp planOp;
};

class RouterFusion {
public:
  RouterFusion(ModuleOp module, const Capabilities &capabilities)
      : capabilities(capabilities), symbols(module), builder(module.getContext()) {}

  bool fuse(LaunchOp route);

private:
  template <typename OpT> OpT findStructured(LaunchOp launch) {
    auto kernel = launch ? symbols.lookup<KernelOp>(launch.getKernel()) : KernelOp();
    return kernel ? dyn_cast_or_null<OpT>(target::findStructuredOp(kernel)) : OpT();
  }
  /// What the launch passes for `operand` of its kernel's op, and gives for a result of that.
  static Value getInput(LaunchOp launch, Value operand) {
    return launch.getInputs()[cast<BlockArgument>(operand).getArgNumber()];
  }
  static Value getResult(LaunchOp launch, Value result) {
    return launch.getResult(result.getUses().begin()->getOperandNumber());
  }
  std::optional<Chain> findChain(LaunchOp route);
  KernelOp createRouter(Chain &chain, bool hasScores, const RouterShape &shape);
  KernelOp createPlan(Chain &chain, const RouterShape &shape);
  KernelOp getKernel(const Twine &name, function_ref<KernelOp()> create);
  KernelOp createKernel(KernelOp next, StringRef name, TypeRange arguments);
  static void finish(KernelOp kernel, Operation *op);

  const Capabilities &capabilities;
  SymbolTable symbols;
  OpBuilder builder;
  llvm::StringMap<KernelOp> created; ///< By what they were made of.
};

/// Whether what is stored is the accumulator.
bool storesAccumulator(MatmulOp op) {
  Block &epilogue = op.getEpilogue().front();
  return llvm::hasSingleElement(epilogue) && op.getNumResults() == 1 &&
         epilogue.getTerminator()->getOperands() == epilogue.getArguments();
}

bool isRouter(MatmulOp op) {
  return op.getKind() == MatmulKind::dense && op.getTransposeRhs() && !op.getTransposeLhs() && !op.getPaired() &&
         !op.getRowIndex() && op.getExtras().empty() && storesAccumulator(op) &&
         getElementTypeOrSelf(op.getResult(0)).isF32() && canRoute(op.getLhs().getType(), op.getRhs().getType());
}

} // namespace

std::optional<Chain> RouterFusion::findChain(LaunchOp route) {
  Chain chain;
  chain.route = route;
  chain.routeOp = findStructured<RouteOp>(route);
  if (!chain.routeOp)
    return std::nullopt;
  Value logits = getInput(route, chain.routeOp.getLogits());
  chain.linear = logits.getDefiningOp<LaunchOp>();
  chain.matmul = findStructured<MatmulOp>(chain.linear);
  if (!chain.matmul || !logits.hasOneUse() || !isRouter(chain.matmul))
    return std::nullopt;
  for (Operation *user : getResult(route, chain.routeOp.getIndices()).getUsers())
    if (auto launch = dyn_cast<LaunchOp>(user); launch && launch->getBlock() == route->getBlock())
      if (auto plan = findStructured<PlanOp>(launch); plan && !plan.getCounts()) {
        chain.plan = launch;
        chain.planOp = plan;
        break;
      }
  return chain;
}

KernelOp RouterFusion::getKernel(const Twine &name, function_ref<KernelOp()> create) {
  KernelOp &kernel = created[name.str()];
  if (!kernel)
    kernel = create();
  return kernel;
}

/// Before `next`, with an empty body.
KernelOp RouterFusion::createKernel(KernelOp next, StringRef name, TypeRange arguments) {
  builder.setInsertionPoint(next);
  auto kernel = KernelOp::create(builder, next.getLoc(), name, builder.getFunctionType(arguments, {}),
                                 /*arg_attrs=*/ArrayAttr(), /*res_attrs=*/ArrayAttr(), /*config=*/Attribute());
  Block &body = kernel.getBody().emplaceBlock();
  body.addArguments(arguments, SmallVector<Location>(arguments.size(), next.getLoc()));
  builder.setInsertionPointToStart(&body);
  symbols.insert(kernel);
  return kernel;
}

/// Returns what `op`, the kernel's structured op, computes.
void RouterFusion::finish(KernelOp kernel, Operation *op) {
  OpBuilder builder(kernel.getContext());
  builder.setInsertionPointAfter(op);
  ReturnOp::create(builder, op->getLoc(), op->getResults());
  kernel.setFunctionType(builder.getFunctionType(kernel.getArgumentTypes(), op->getResultTypes()));
}

KernelOp RouterFusion::createRouter(Chain &chain, bool hasScores, const RouterShape &shape) {
  RouteOp route = chain.routeOp;
  bool makesPlan = chain.plan && chain.planOp.getIndices().getType().getNumElements() <= kMostPlannedEntries;
  bool counts = chain.plan && !makesPlan;
  std::string name = ("linear_" + chain.route.getKernel()).str();
  name += makesPlan ? "_plan" : counts ? "_counts" : "";
  // Symbols say what they are of; those of the same name differ in what else they are made of.
  std::string key = (name + " " + chain.linear.getKernel() + (hasScores ? " scores" : "")).str();
  return getKernel(key, [&] {
    SmallVector<Type> types{chain.matmul.getLhs().getType(), chain.matmul.getRhs().getType()};
    if (Value bias = route.getSelectionBias())
      types.push_back(bias.getType());
    KernelOp kernel = createKernel(symbols.lookup<KernelOp>(chain.route.getKernel()), name, types);
    int64_t tokens = route.getLogits().getType().getDimSize(0), experts = route.getLogits().getType().getDimSize(1);
    auto typeIf = [](bool exists, Type type) { return exists ? type : Type(); };
    auto chunks = RankedTensorType::get({static_cast<int64_t>(llvm::divideCeil(tokens, shape.rows)), experts},
                                        builder.getI32Type());
    auto planType = [&](unsigned number) {
      return typeIf(makesPlan, makesPlan ? chain.planOp->getResult(number).getType() : Type());
    };
    auto arguments = kernel.getArguments();
    auto router = RouterOp::create(builder, route.getLoc(), typeIf(hasScores, route.getScores().getType()),
                                   route.getWeights().getType(), route.getIndices().getType(), typeIf(counts, chunks),
                                   planType(0), planType(1), planType(2), arguments[0], arguments[1],
                                   arguments.size() > 2 ? Value(arguments[2]) : Value(), route.getTopK(),
                                   route.getScoring(), route.getNormTopkProb(), route.getRoutedScalingFactor(),
                                   counts ? builder.getI64IntegerAttr(shape.rows) : IntegerAttr());
    finish(kernel, router);
    return kernel;
  });
}

KernelOp RouterFusion::createPlan(Chain &chain, const RouterShape &shape) {
  std::string name = (chain.plan.getKernel() + "_counts").str();
  return getKernel(name + " " + Twine(shape.rows), [&] {
    PlanOp plan = chain.planOp;
    int64_t tokens = plan.getIndices().getType().getDimSize(0);
    int64_t experts = plan.getOffsets().getType().getNumElements() - 1;
    auto counts = RankedTensorType::get({static_cast<int64_t>(llvm::divideCeil(tokens, shape.rows)), experts},
                                        builder.getI32Type());
    KernelOp kernel =
        createKernel(symbols.lookup<KernelOp>(chain.plan.getKernel()), name, {plan.getIndices().getType(), counts});
    auto copy = PlanOp::create(builder, plan.getLoc(), plan.getResultTypes(), kernel.getArgument(0),
                               kernel.getArgument(1), builder.getI64IntegerAttr(shape.rows));
    finish(kernel, copy);
    return kernel;
  });
}

bool RouterFusion::fuse(LaunchOp route) {
  std::optional<Chain> chain = findChain(route);
  if (!chain)
    return false;
  auto input = chain->matmul.getLhs().getType();
  int64_t experts = chain->matmul.getRhs().getType().getDimSize(0);
  auto shape = RouterShape::choose(input.getDimSize(0), input.getDimSize(1), experts, capabilities);
  RouteOp routeOp = chain->routeOp;
  Value scores = getResult(route, routeOp.getScores());
  KernelOp kernel = createRouter(*chain, !scores.use_empty() || shape.experts < experts, shape);
  auto router = cast<RouterOp>(target::findStructuredOp(kernel));

  SmallVector<Value> inputs{getInput(chain->linear, chain->matmul.getLhs()),
                            getInput(chain->linear, chain->matmul.getRhs())};
  if (Value bias = routeOp.getSelectionBias())
    inputs.push_back(getInput(route, bias));
  builder.setInsertionPoint(route);
  auto launch = LaunchOp::create(builder, route.getLoc(), kernel.getResultTypes(), kernel.getSymName(), inputs,
                                 route.getLabelAttr());
  auto replace = [&](Value old, Value result) { old.replaceAllUsesWith(getResult(launch, result)); };
  if (router.getScores())
    replace(scores, router.getScores());
  replace(getResult(route, routeOp.getWeights()), router.getWeights());
  replace(getResult(route, routeOp.getIndices()), router.getIndices());
  if (router.getOffsets()) {
    PlanOp plan = chain->planOp;
    replace(getResult(chain->plan, plan.getOffsets()), router.getOffsets());
    replace(getResult(chain->plan, plan.getPermutation()), router.getPermutation());
    replace(getResult(chain->plan, plan.getInverse()), router.getInverse());
    chain->plan.erase();
  } else if (router.getCounts()) {
    KernelOp planKernel = createPlan(*chain, shape);
    builder.setInsertionPoint(chain->plan);
    SmallVector<Value> planInputs{getResult(launch, router.getIndices()), getResult(launch, router.getCounts())};
    auto plan = LaunchOp::create(builder, chain->plan.getLoc(), planKernel.getResultTypes(), planKernel.getSymName(),
                                 planInputs, chain->plan.getLabelAttr());
    chain->plan.replaceAllUsesWith(plan);
    chain->plan.erase();
  }
  route.erase();
  chain->linear.erase();
  return true;
}

void fuseRouters(ModuleOp module, const Capabilities &capabilities) {
  RouterFusion fusion(module, capabilities);
  SmallVector<LaunchOp> launches;
  module.walk([&](LaunchOp launch) { launches.push_back(launch); });
  llvm::DenseSet<StringAttr> before;
  for (LaunchOp launch : launches)
    before.insert(launch.getKernelAttr().getAttr());
  bool anyFused = false;
  SmallVector<LaunchOp> routes = llvm::filter_to_vector(launches, [&](LaunchOp launch) {
    auto kernel = module.lookupSymbol<KernelOp>(launch.getKernel());
    return kernel && isa_and_nonnull<RouteOp>(target::findStructuredOp(kernel));
  });
  for (LaunchOp route : routes)
    anyFused |= fusion.fuse(route);
  if (!anyFused)
    return;
  // Kernels that were launched before and are no longer.
  llvm::DenseSet<StringAttr> after;
  module.walk([&](LaunchOp launch) { after.insert(launch.getKernelAttr().getAttr()); });
  for (auto kernel : llvm::make_early_inc_range(module.getOps<KernelOp>()))
    if (before.contains(kernel.getSymNameAttr()) && !after.contains(kernel.getSymNameAttr()))
      kernel.erase();
}

} // namespace mlir::moe::cuda

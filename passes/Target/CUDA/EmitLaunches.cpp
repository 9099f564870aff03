//===- EmitLaunches.cpp - Kernels that launch others ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/EmitLaunches.h"
#include "passes/Target/CUDA/DependentLaunch.h"
#include "passes/Target/CUDA/RowsShape.h"
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>
#include <set>

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

/// Multiplications of a launch, where they may take longer than reading the operands; 0 elsewhere.
static int64_t getProducts(KernelOp kernel) {
  auto matmul = dyn_cast_or_null<MatmulOp>(target::findStructuredOp(kernel));
  if (!matmul)
    return 0;
  int64_t depth = matmul.getLhs().getType().getShape()[matmul.getTransposeLhs() ? 0 : 1];
  return depth * cast<ShapedType>(matmul.getResult(0).getType()).getNumElements() * (matmul.getPaired() ? 2 : 1);
}

/// About five microseconds of an H100. What takes longer has little to gain.
static constexpr int64_t kMostBytes = 16 << 20;

/// Whether the emitter of `reader`, configured by `config`, reads operand number `operand` by ops that shared memory
/// has, too.
static bool canReadShared(KernelOp reader, CUDAConfigAttr config, unsigned operand) {
  auto isOperand = [&](Value value) { return cast<BlockArgument>(value).getArgNumber() == operand; };
  return llvm::TypeSwitch<Operation *, bool>(target::findStructuredOp(reader))
      .Case([&](MatmulOp op) {
        return config.getUnit() == CUDAUnit::stream && op.getKind() == MatmulKind::dense && isOperand(op.getLhs());
      })
      .Case([&](RouterOp op) { return config.getUnit() != CUDAUnit::wgmma && isOperand(op.getInput()); })
      .Case([&](CacheAppendOp op) { return isOperand(op.getRows()); })
      .Default(false);
}

CUDAConfigAttr configurePrologue(KernelOp rows, KernelOp reader, unsigned operand) {
  // Each block reads them again, from the second-level cache, and keeps them beside what is its own.
  constexpr int64_t kMostRowBytes = 24 << 10;
  auto config = dyn_cast_or_null<CUDAConfigAttr>(rows.getConfigAttr());
  auto readerConfig = dyn_cast_or_null<CUDAConfigAttr>(reader.getConfigAttr());
  if (!config || !readerConfig || target::findStructuredOp(rows) || !target::findStructuredOp(reader) ||
      !canReadShared(reader, readerConfig, operand) || target::getCompulsoryBytes(rows) > kMostRowBytes ||
      target::getCompulsoryBytes(reader) > kMostBytes)
    return {};
  FailureOr<target::RowsPlan> plan = planRows(rows);
  if (failed(plan) || plan->kind != target::RowsPlan::Kind::rows)
    return {};
  // As many threads for a row as before: sums keep their order.
  int64_t threadsPerRow = config.getThreads() / config.getTileM();
  int64_t count = std::max<int64_t>(config.getTileM(), llvm::PowerOf2Ceil(plan->extent));
  if ((count > 1 && threadsPerRow > Capabilities::kWarpSize) || count * threadsPerRow > readerConfig.getThreads())
    return {};
  return CUDAConfigAttr::get(rows.getContext(), count * threadsPerRow, count, config.getTileN(), config.getTileK(),
                             config.getStages(), config.getUnit());
}

bool fusesHorizontally(ArrayRef<KernelOp> kernels) {
  constexpr int64_t kMostProducts = 64 << 20;
  // Parameters are 4 KB, of which tensor maps would take 128 bytes each.
  constexpr unsigned kMostKernels = 4, kMostBuffers = 96;
  // Threads that end at once still need a place on the multiprocessor.
  constexpr int64_t kMostThreadRatio = 8;
  int64_t bytes = 0, products = 0, fewestThreads = Capabilities::kMostThreads, mostThreads = 1;
  unsigned buffers = 0;
  for (KernelOp kernel : kernels) {
    bytes += target::getCompulsoryBytes(kernel);
    buffers += kernel.getNumArguments() + kernel.getNumResults();
    SmallVector<KernelOp> parts = target::getParts(kernel);
    // Of a prologue and what reads it, what reads it.
    KernelOp main = parts.empty() ? kernel : parts.back();
    auto config = dyn_cast_or_null<CUDAConfigAttr>(main.getConfigAttr());
    // Warpgroups share out the registers of whole blocks, and are for much work.
    if (!config || config.getUnit() == CUDAUnit::wgmma)
      return false;
    // Few blocks that go over the same data again and again, or that are long for other reasons; and clusters of
    // blocks, of which a grid would have to be made.
    if (isa_and_nonnull<AttentionOp, AttentionBackwardOp, ScatterAddOp, RouterOp>(target::findStructuredOp(main)))
      return false;
    products += getProducts(main);
    fewestThreads = std::min<int64_t>(fewestThreads, config.getThreads());
    mostThreads = std::max<int64_t>(mostThreads, config.getThreads());
  }
  return kernels.size() <= kMostKernels && buffers <= kMostBuffers && bytes <= kMostBytes &&
         products <= kMostProducts && mostThreads <= kMostThreadRatio * fewestThreads;
}

//===----------------------------------------------------------------------===//
// How
//===----------------------------------------------------------------------===//

namespace {
class LaunchesEmitter {
public:
  LaunchesEmitter(EmitterContext &context, function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitCode,
                  function_ref<LogicalResult(Block *, EmitterContext &, const LaunchShape &)> finish)
      : context(context), builder(context.builder), emitCode(emitCode), finish(finish) {}

  FailureOr<LaunchShape> emit();

private:
  /// Rows that a part reads, and where it finds them.
  struct Prologue {
    LaunchOp launch;
    Value memory;
  };
  LogicalResult emit(LaunchOp launch, KernelOp part);
  LogicalResult emitPrologue(const Prologue &prologue, Value number, EmitterContext &reader);
  void copyToResult(Value memory, Value result, int64_t partThreads);
  void adaptBlocks(Block *body, Value number, int64_t barrier, int64_t partThreads);
  /// What `launch` gets from, and gives to, the kernel's buffers.
  SmallVector<Value> getArguments(LaunchOp launch);
  Value getResult(Value result);

  Value index(int64_t value) { return arith::ConstantIndexOp::create(builder, value); }
  Value isBelow(Value number, Value limit) {
    return arith::CmpIOp::create(builder, arith::CmpIPredicate::ult, number, limit);
  }

  EmitterContext &context;
  ImplicitLocOpBuilder &builder;
  function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitCode;
  function_ref<LogicalResult(Block *, EmitterContext &, const LaunchShape &)> finish;
  Value block, thread;
  int64_t blocks = 0, threads = 1, flops = 0;
  std::set<int64_t> earlyInputs;    ///< Of any part.
  llvm::DenseSet<Value> isReturned; ///< Results of prologues that have been written to the kernel's.
};
} // namespace

/// Null for the rows of a prologue.
SmallVector<Value> LaunchesEmitter::getArguments(LaunchOp launch) {
  return llvm::map_to_vector(launch.getInputs(),
                             [&](Value input) { return isa<BlockArgument>(input) ? context.lookup(input) : Value(); });
}

/// Null if the kernel does not return it.
Value LaunchesEmitter::getResult(Value result) {
  OperandRange returned = context.kernel.getBody().front().getTerminator()->getOperands();
  auto found = llvm::find(returned, result);
  return found == returned.end() ? Value() : context.results[found - returned.begin()];
}

LogicalResult LaunchesEmitter::emit(LaunchOp launch, KernelOp part) {
  auto config = cast<CUDAConfigAttr>(part.getConfigAttr());
  Value number = blocks > 0 ? arith::SubIOp::create(builder, block, index(blocks)).getResult() : block;
  auto count = arith::ConstantIndexOp::create(builder, 0); // Known when the part is emitted.
  Value isHere = isBelow(number, count);
  if (config.getThreads() < threads)
    isHere = arith::AndIOp::create(builder, isHere, isBelow(thread, index(config.getThreads())));
  auto branch = scf::IfOp::create(builder, isHere, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());

  EmitterContext inner{builder, part, config, getArguments(launch),
                       llvm::map_to_vector(launch.getResults(), [&](Value result) { return getResult(result); })};
  inner.tensorMaps = std::move(context.tensorMaps);
  inner.settled.resize(launch.getInputs().size());
  SmallVector<Prologue> prologues;
  for (auto [operand, input] : llvm::enumerate(launch.getInputs())) {
    if (auto rows = input.getDefiningOp<LaunchOp>()) {
      auto type = cast<RankedTensorType>(input.getType());
      auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
      inner.arguments[operand] = inner.allocateShared(
          MemRefType::get(type.getShape(), type.getElementType(), MemRefLayoutAttrInterface(), space));
      prologues.push_back({rows, inner.arguments[operand]});
    } else {
      inner.settled[operand] = context.isSettled(input);
    }
  }
  bool prologuesFailed = false;
  if (!prologues.empty())
    inner.prologue = [&] {
      for (const Prologue &prologue : prologues)
        prologuesFailed |= failed(emitPrologue(prologue, number, inner));
      gpu::BarrierOp::create(builder);
    };
  Operation *beforeCode = prologues.empty() ? nullptr : prologues.back().memory.getDefiningOp();
  FailureOr<LaunchShape> shape = emitCode(inner);
  if (inner.prologue) { // The emitter leaves it to others when the kernel waits: then that is before everything else.
    builder.setInsertionPointAfter(beforeCode);
    inner.prologue();
  }
  context.tensorMaps = std::move(inner.tensorMaps);
  for (const Prologue &prologue : prologues)
    for (Value input : LaunchOp(prologue.launch).getInputs())
      if (context.isSettled(input))
        prefetch(branch.thenBlock(), context.lookup(input));
  if (failed(shape) || prologuesFailed || failed(finish(branch.thenBlock(), inner, *shape)))
    return failure();
  assert(shape->grid[1] * shape->grid[2] == 1 && shape->block[0] == config.getThreads() && "blocks lie along x");
  for (int64_t operand : inner.earlyInputs)
    earlyInputs.insert(cast<BlockArgument>(launch.getInputs()[operand]).getArgNumber());
  count.setValueAttr(builder.getIndexAttr(shape->grid[0]));
  adaptBlocks(branch.thenBlock(), number, /*barrier=*/0, config.getThreads());
  context.sharedBytes = std::max(context.sharedBytes, inner.sharedBytes);
  blocks += shape->grid[0];
  flops += shape->flops;
  return success();
}

/// By the first threads of the block, as if they were the only one of a launch.
LogicalResult LaunchesEmitter::emitPrologue(const Prologue &prologue, Value number, EmitterContext &reader) {
  LaunchOp launch = prologue.launch;
  auto rows = SymbolTable::lookupNearestSymbolFrom<KernelOp>(launch, launch.getKernelAttr());
  auto config = cast<CUDAConfigAttr>(rows.getConfigAttr());
  int64_t readerThreads = reader.config.getThreads();
  auto branch = scf::IfOp::create(builder, isBelow(thread, index(config.getThreads())), /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    EmitterContext inner{builder, rows, config, getArguments(launch), {prologue.memory}};
    inner.sharedBytes = reader.sharedBytes;
    FailureOr<LaunchShape> shape = emitCode(inner);
    if (failed(shape))
      return failure();
    if (shape->grid[0] != 1 || config.getThreads() > readerThreads)
      return rows.emitOpError() << "takes " << shape->grid[0] << " blocks of " << config.getThreads()
                                << " threads, but is the prologue of a kernel with " << readerThreads
                                << " threads, each block of which has to compute it";
    reader.sharedBytes = inner.sharedBytes;
    // The other threads may be waiting at barrier 0 already; the last one is nobody's.
    builder.setInsertionPointToStart(branch.thenBlock());
    adaptBlocks(branch.thenBlock(), index(0), /*barrier=*/15, config.getThreads());
  }
  Value result = getResult(launch.getResult(0));
  if (!result || !isReturned.insert(result).second)
    return success();
  gpu::BarrierOp::create(builder);
  Value isFirst = arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, number, index(0));
  auto first = scf::IfOp::create(builder, isFirst, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(first.thenBlock());
  copyToResult(prologue.memory, result, readerThreads);
  return success();
}

/// By all threads of a block.
void LaunchesEmitter::copyToResult(Value memory, Value result, int64_t partThreads) {
  auto type = cast<MemRefType>(memory.getType());
  int64_t count = type.getNumElements(), bytes = type.getElementTypeBitWidth() / 8;
  int64_t width = std::gcd(count, Capabilities::kVectorBytes / bytes);
  auto flatten = [&](Value memory) -> Value {
    auto type = cast<MemRefType>(memory.getType());
    auto flat = MemRefType::get(count, type.getElementType(), MemRefLayoutAttrInterface(), type.getMemorySpace());
    return memref::ReinterpretCastOp::create(builder, flat, memory, /*offset=*/0, ArrayRef<int64_t>{count},
                                             ArrayRef<int64_t>{1});
  };
  Value source = flatten(memory), target = flatten(result);
  Value first = arith::MulIOp::create(builder, thread, index(width));
  auto loop = scf::ForOp::create(builder, first, index(count), index(partThreads * width));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  auto vector = VectorType::get(width, type.getElementType());
  llvm::MaybeAlign alignment(width * bytes);
  Value elements = vector::LoadOp::create(builder, vector, source, ValueRange{loop.getInductionVar()},
                                          /*nontemporal=*/false, alignment);
  vector::StoreOp::create(builder, elements, target, ValueRange{loop.getInductionVar()}, /*nontemporal=*/false,
                          alignment);
}

/// Blocks are numbered from 0 in each part, and only its own threads meet at barriers.
void LaunchesEmitter::adaptBlocks(Block *body, Value number, int64_t barrier, int64_t partThreads) {
  body->walk([&](Operation *op) {
    if (isa<gpu::BlockIdOp>(op)) {
      op->replaceAllUsesWith(ValueRange{number});
      op->erase();
    } else if (isa<gpu::BarrierOp>(op) && partThreads < threads) {
      ImplicitLocOpBuilder before(op->getLoc(), op);
      auto i32 = [&](int64_t value) -> Value {
        return arith::ConstantIntOp::create(before, before.getI32Type(), value);
      };
      NVVM::BarrierOp::create(before, TypeRange(), i32(barrier), i32(partThreads), NVVM::BarrierReductionAttr(),
                              Value());
      op->erase();
    }
  });
}

FailureOr<LaunchShape> LaunchesEmitter::emit() {
  SmallVector<std::pair<LaunchOp, KernelOp>> parts;
  for (auto [launch, kernel] :
       llvm::zip_equal(context.kernel.getBody().getOps<LaunchOp>(), target::getParts(context.kernel)))
    if (llvm::none_of(launch->getUsers(), llvm::IsaPred<LaunchOp>)) // Else it is a prologue.
      parts.emplace_back(launch, kernel);
  for (auto [launch, kernel] : parts)
    threads = std::max<int64_t>(threads, cast<CUDAConfigAttr>(kernel.getConfigAttr()).getThreads());
  block = gpu::BlockIdOp::create(builder, gpu::Dimension::x);
  thread = gpu::ThreadIdOp::create(builder, gpu::Dimension::x);
  for (auto [launch, kernel] : parts)
    if (failed(emit(launch, kernel)))
      return failure();
  auto function = builder.getInsertionBlock()->getParent()->getParentOfType<gpu::GPUFuncOp>();
  if (parts.size() > 1 && function->hasAttr(NVVM::NVVMDialect::getClusterDimAttrName()))
    return context.kernel.emitOpError("launches a kernel whose blocks are in clusters beside others");
  context.earlyInputs.assign(earlyInputs.begin(), earlyInputs.end());
  return LaunchShape{{blocks, 1, 1}, {threads, 1, 1}, flops};
}

FailureOr<LaunchShape>
emitLaunches(EmitterContext &context, function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitCode,
             function_ref<LogicalResult(Block *, EmitterContext &, const LaunchShape &)> finish) {
  return LaunchesEmitter(context, emitCode, finish).emit();
}

} // namespace mlir::moe::cuda

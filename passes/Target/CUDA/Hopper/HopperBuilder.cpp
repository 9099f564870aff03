//===- HopperBuilder.cpp - What emitters for sm_90a write with --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/HopperBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda {

using LLVM::LLVMPointerType;

static constexpr unsigned kGlobalSpace = static_cast<unsigned>(NVVM::NVVMMemorySpace::Global);
static constexpr unsigned kSharedSpace = static_cast<unsigned>(NVVM::NVVMMemorySpace::Shared);
static constexpr unsigned kSharedClusterSpace = static_cast<unsigned>(NVVM::NVVMMemorySpace::SharedCluster);

//===----------------------------------------------------------------------===//
// Operand tiles
//===----------------------------------------------------------------------===//

static constexpr int64_t kElementsPerRow = kSwizzleBytes / 2; // 64 of bf16.
static constexpr int64_t kUnit = 16;                          // Descriptors count 16 bytes.

/// From one group of 8 rows of 128 bytes to the next.
static constexpr int64_t kGroupBytes = 8 * kSwizzleBytes;

uint64_t OperandTile::getDescriptorBits() const {
  constexpr uint64_t kSwizzle128 = uint64_t(1) << 62;
  // The leading offset separates chunks of 64 outer elements; a contraction-major operand has none and ignores it.
  uint64_t leading = major == Major::outer ? kSwizzleBytes * depth / kUnit : 1;
  uint64_t stride = kGroupBytes / kUnit;
  return kSwizzle128 | stride << 32 | leading << 16;
}

int64_t OperandTile::getStepOffset(int64_t step) const {
  if (major == Major::outer)
    return step * kMatmulDepth * kSwizzleBytes / kUnit;
  int64_t element = step * kMatmulDepth;
  int64_t blockBytes = outer * kSwizzleBytes; // One block of 64 contraction elements.
  return (element / kElementsPerRow * blockBytes + element % kElementsPerRow * 2) / kUnit;
}

int64_t OperandTile::getRowOffset(int64_t row) const {
  assert(row % kElementsPerRow == 0 && "whole chunks");
  return row * kSwizzleBytes * (major == Major::outer ? depth / kElementsPerRow : 1) / kUnit;
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

static Expr getWarpgroup(BlockBuilder &b) {
  return b.shuffle((b.thread / kWarpgroupSize).toI32(), b.i32(0));
}

HopperBuilder::HopperBuilder(EmitterContext &context)
    : BlockBuilder(context), warpgroup(getWarpgroup(*this)), threadInGroup((thread % kWarpgroupSize).toI32()) {
  auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
  Value all = gpu::DynamicSharedMemoryOp::create(
      builder, MemRefType::get({ShapedType::kDynamic}, builder.getI8Type(), MemRefLayoutAttrInterface(), space));
  sharedBase = wrap(memref::ExtractAlignedPointerAsIndexOp::create(builder, all)).toI32();
}

Expr HopperBuilder::allocateBytes(int64_t bytes, int64_t alignment) {
  context.sharedBytes = llvm::alignTo(context.sharedBytes, alignment);
  Expr address = sharedBase + context.sharedBytes;
  context.sharedBytes += bytes;
  return address;
}

Value HopperBuilder::pointer(Expr address) {
  return LLVM::IntToPtrOp::create(builder, LLVMPointerType::get(builder.getContext(), kSharedSpace), Value(address));
}

static Value inlineAsm(ImplicitLocOpBuilder &builder, Type result, ValueRange operands, const Twine &text,
                       StringRef constraints, bool hasSideEffects) {
  auto op = LLVM::InlineAsmOp::create(
      builder, result ? TypeRange(result) : TypeRange(), operands, text.str(), constraints, hasSideEffects,
      /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT), /*operand_attrs=*/ArrayAttr());
  return result ? op->getResult(0) : Value();
}

Expr HopperBuilder::opaque(Expr address) {
  return wrap(inlineAsm(builder, address.getType(), Value(address), "mov.b32 $0, $1;", "=r,r", true));
}

void HopperBuilder::storeWord(Expr value, Expr address) { LLVM::StoreOp::create(builder, value, pointer(address), 4); }

void HopperBuilder::storeVector(ArrayRef<Expr> words, Expr address) {
  auto values = llvm::map_to_vector(words, [](Expr word) -> Value { return word; });
  auto type = VectorType::get(words.size(), words.front().getType());
  LLVM::StoreOp::create(builder, vector::FromElementsOp::create(builder, type, values), pointer(address),
                        words.size() * 4);
}

Expr HopperBuilder::loadReal(Expr address) {
  return wrap(LLVM::LoadOp::create(builder, builder.getF32Type(), pointer(address), 4));
}

Expr HopperBuilder::loadInteger(Expr address) {
  return wrap(LLVM::LoadOp::create(builder, builder.getI32Type(), pointer(address), 4));
}

void HopperBuilder::moveVectorToGlobal(Expr address, Value destination) {
  constexpr unsigned kBytes = 16;
  Value words = LLVM::LoadOp::create(builder, VectorType::get(kBytes / 4, builder.getI32Type()), pointer(address), kBytes);
  LLVM::StoreOp::create(builder, words, destination, kBytes);
}

SmallVector<Expr> HopperBuilder::loadWords(Expr address, int64_t count, Type type) {
  Expr vector = wrap(LLVM::LoadOp::create(builder, VectorType::get(count, type), pointer(address), 4 * count));
  return llvm::map_to_vector(llvm::seq<int64_t>(count), [&](int64_t i) { return vector.extract(i); });
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

void HopperBuilder::initBarrier(Expr barrier, int64_t arrivals) {
  NVVM::MBarrierInitOp::create(builder, pointer(barrier), i32(arrivals), /*predicate=*/Value());
}

void HopperBuilder::publishBarriers() {
  NVVM::FenceMbarrierInitOp::create(builder);
  fenceAsyncProxy();
  this->barrier();
}

void HopperBuilder::arrive(Expr barrier) {
  NVVM::MBarrierArriveOp::create(builder, /*res=*/Type(), pointer(barrier), /*count=*/Value());
}

void HopperBuilder::arriveExpecting(Expr barrier, Expr bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(builder, /*res=*/Type(), pointer(barrier), bytes,
                                         NVVM::MemScopeKind::CTA, /*relaxed=*/false, /*predicate=*/Value());
}

void HopperBuilder::wait(Expr barrier, Expr parity) {
  constexpr int64_t kSuspendNanoseconds = 10'000'000; // A hint: the op repeats until the phase is complete.
  NVVM::MBarrierTryWaitParityOp::create(builder, pointer(barrier), parity, i32(kSuspendNanoseconds));
}

void HopperBuilder::syncNamed(int64_t id, int64_t threads) { syncNamed(i32(id), threads); }
void HopperBuilder::syncNamed(Expr id, int64_t threads) {
  NVVM::BarrierOp::create(builder, TypeRange(), id, i32(threads), NVVM::BarrierReductionAttr(), Value());
}
void HopperBuilder::arriveNamed(Expr id, int64_t threads) {
  NVVM::BarrierArriveOp::create(builder, id, i32(threads));
}

void HopperBuilder::fenceAsyncProxy() {
  NVVM::FenceProxyOp::create(
      builder, NVVM::ProxyKindAttr::get(builder.getContext(), NVVM::ProxyKind::async_shared),
      NVVM::SharedSpaceAttr::get(builder.getContext(), NVVM::SharedSpace::shared_cta));
}

Expr HopperBuilder::elect() {
  return wrap(NVVM::ElectSyncOp::create(builder, builder.getI1Type(), /*membermask=*/Value()));
}

void HopperBuilder::setRegisters(int64_t count, bool increase) {
  NVVM::SetMaxRegisterOp::create(builder, count,
                                 increase ? NVVM::SetMaxRegisterAction::increase
                                          : NVVM::SetMaxRegisterAction::decrease);
}

//===----------------------------------------------------------------------===//
// Bulk copies
//===----------------------------------------------------------------------===//

static SmallVector<Value> toValues(ArrayRef<Expr> values) {
  return llvm::map_to_vector(values, [](Expr value) -> Value { return value; });
}

/// Shared memory as the cluster sees it, which bulk copies write to.
static Value toClusterSpace(ImplicitLocOpBuilder &builder, Value pointer) {
  return LLVM::AddrSpaceCastOp::create(builder, LLVMPointerType::get(builder.getContext(), kSharedClusterSpace),
                                       pointer);
}

void HopperBuilder::copyBoxToShared(Value map, ArrayRef<Expr> coordinates, Expr address, Expr barrier) {
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      builder, toClusterSpace(builder, pointer(address)), map, toValues(coordinates), pointer(barrier),
      /*im2colOffsets=*/ValueRange(), /*multicastMask=*/Value(), /*l2CacheHint=*/Value(), NVVM::TMALoadMode::TILE,
      /*isCTAOnly=*/false, /*group=*/NVVM::CTAGroupKindAttr(), /*predicate=*/Value());
}

void HopperBuilder::copyBoxToGlobal(Value map, ArrayRef<Expr> coordinates, Expr address) {
  NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(builder, map, pointer(address), toValues(coordinates),
                                                     /*l2CacheHint=*/Value(), NVVM::TMAStoreMode::TILE,
                                                     /*predicate=*/Value());
}

void HopperBuilder::copyBytesToShared(Value source, int64_t bytes, Expr address, Expr barrier) {
  NVVM::CpAsyncBulkGlobalToSharedClusterOp::create(builder, toClusterSpace(builder, pointer(address)), source,
                                                   pointer(barrier), i32(bytes), /*multicastMask=*/Value(),
                                                   /*l2CacheHint=*/Value());
}

void HopperBuilder::commitCopies() { NVVM::CpAsyncBulkCommitGroupOp::create(builder); }
void HopperBuilder::waitForCopiesToRead(int64_t pending) {
  NVVM::CpAsyncBulkWaitGroupOp::create(builder, builder.getI32IntegerAttr(pending), builder.getUnitAttr());
}
void HopperBuilder::waitForCopies(int64_t pending) {
  NVVM::CpAsyncBulkWaitGroupOp::create(builder, builder.getI32IntegerAttr(pending), /*read=*/UnitAttr());
}

void HopperBuilder::copyAsync(Value source, Expr address, Expr valid) {
  constexpr int64_t kBytes = 16;
  // Copies as many bytes as are valid and fills the rest with zeros.
  Value bytes = valid ? Value(select(valid, i32(kBytes), i32(0))) : Value();
  NVVM::CpAsyncOp::create(builder, pointer(address), source, kBytes, NVVM::LoadCacheModifierKind::CG, bytes);
}

void HopperBuilder::arriveAfterCopies(Expr barrier) {
  NVVM::CpAsyncMBarrierArriveOp::create(builder, pointer(barrier), /*noinc=*/true);
}

Value HopperBuilder::globalPointer(Value memory, Expr offset) {
  auto type = cast<MemRefType>(memory.getType());
  Expr start = wrap(memref::ExtractAlignedPointerAsIndexOp::create(builder, memory));
  Expr address = start + offset * (type.getElementTypeBitWidth() / 8);
  Value number = arith::IndexCastOp::create(builder, builder.getI64Type(), address);
  return LLVM::IntToPtrOp::create(builder, LLVMPointerType::get(builder.getContext(), kGlobalSpace), number);
}

Value HopperBuilder::globalPointer(Value memory, Expr offset, Expr bytes) {
  Expr start = wrap(LLVM::PtrToIntOp::create(builder, builder.getI64Type(), globalPointer(memory, offset)));
  Expr further = wrap(arith::ExtUIOp::create(builder, builder.getI64Type(), bytes));
  return LLVM::IntToPtrOp::create(builder, LLVMPointerType::get(builder.getContext(), kGlobalSpace), Value(start + further));
}

//===----------------------------------------------------------------------===//
// Warpgroup matmuls
//===----------------------------------------------------------------------===//

Type HopperBuilder::getAccumulatorType(int64_t n) {
  return LLVM::LLVMStructType::getLiteral(builder.getContext(), SmallVector<Type>(n / 2, builder.getF32Type()));
}

static int64_t countElements(Value accumulators) {
  return cast<LLVM::LLVMStructType>(accumulators.getType()).getBody().size();
}

Value HopperBuilder::undefinedAccumulators(int64_t n) { return LLVM::UndefOp::create(builder, getAccumulatorType(n)); }
Value HopperBuilder::zeroAccumulators(int64_t n) { return LLVM::ZeroOp::create(builder, getAccumulatorType(n)); }

SmallVector<Expr> HopperBuilder::unpack(Value accumulators) {
  return llvm::map_to_vector(llvm::seq<int64_t>(countElements(accumulators)),
                             [&](int64_t i) { return wrap(LLVM::ExtractValueOp::create(builder, accumulators, i)); });
}

Value HopperBuilder::pack(ArrayRef<Expr> values) {
  Value accumulators = undefinedAccumulators(2 * values.size());
  for (auto [i, value] : llvm::enumerate(values))
    accumulators = LLVM::InsertValueOp::create(builder, accumulators, value, i);
  return accumulators;
}

Expr HopperBuilder::descriptor(const OperandTile &tile, Expr address) {
  // The address in units of 16 bytes; 14 bits reach all of shared memory.
  Expr units = wrap(arith::ExtUIOp::create(builder, builder.getI64Type(), (address & 0x3FFFF) / kUnit));
  Value bits = arith::ConstantOp::create(
      builder, builder.getIntegerAttr(builder.getI64Type(), APInt(64, tile.getDescriptorBits())));
  return wrap(arith::OrIOp::create(builder, units, bits));
}

void HopperBuilder::fenceMatmuls() { NVVM::WgmmaFenceAlignedOp::create(builder); }
void HopperBuilder::commitMatmuls() { NVVM::WgmmaGroupSyncAlignedOp::create(builder); }
void HopperBuilder::waitForMatmuls(int64_t pending) { NVVM::WgmmaWaitGroupSyncOp::create(builder, pending); }

/// `text` with the floats of `accumulators` as operands that it reads and writes in place; gives them back.
static SmallVector<Value> tieToAsm(HopperBuilder &b, const Twine &text, ArrayRef<Value> accumulators) {
  SmallVector<Value> operands;
  for (Value value : accumulators)
    llvm::append_range(operands, toValues(b.unpack(value)));
  std::string constraints = llvm::join(SmallVector<std::string>(operands.size(), "=f"), ",");
  for (size_t i = 0; i < operands.size(); ++i)
    constraints += "," + std::to_string(i);
  Value all = inlineAsm(b.builder, b.getAccumulatorType(2 * operands.size()), operands, text, constraints, true);
  SmallVector<Expr> elements = b.unpack(all);
  SmallVector<Value> tied;
  ArrayRef<Expr> rest = elements;
  for (Value value : accumulators) {
    tied.push_back(b.pack(rest.take_front(countElements(value))));
    rest = rest.drop_front(countElements(value));
  }
  return tied;
}

Value HopperBuilder::pin(Value accumulators) { return tieToAsm(*this, "", accumulators).front(); }
Value HopperBuilder::fenceMatmuls(Value accumulators) { return fenceMatmuls(ArrayRef<Value>(accumulators)).front(); }
SmallVector<Value> HopperBuilder::fenceMatmuls(ArrayRef<Value> accumulators) {
  return tieToAsm(*this, "wgmma.fence.sync.aligned;", accumulators);
}

SmallVector<Value> HopperBuilder::waitForMatmuls(int64_t pending, ArrayRef<Value> accumulators) {
  return tieToAsm(*this, "wgmma.wait_group.sync.aligned " + Twine(pending) + ";", accumulators);
}

Value HopperBuilder::matmul(Value accumulators, Expr lhs, Major lhsMajor, Expr rhs, Major rhsMajor, bool accumulate) {
  using namespace NVVM;
  MLIRContext *context = builder.getContext();
  auto layoutA = lhsMajor == Major::contraction ? MMALayout::row : MMALayout::col;
  auto layoutB = rhsMajor == Major::contraction ? MMALayout::col : MMALayout::row;
  auto one = WGMMAScaleInAttr::get(context, WGMMAScaleIn::one);
  auto bf16 = WGMMATypesAttr::get(context, WGMMATypes::bf16);
  return WgmmaMmaAsyncOp::create(
      builder, accumulators.getType(), accumulators, lhs, rhs,
      MMAShapeAttr::get(context, kWarpgroupRows, 2 * countElements(accumulators), kMatmulDepth), bf16, bf16,
      WGMMATypesAttr::get(context, WGMMATypes::f32),
      WGMMAScaleOutAttr::get(context, accumulate ? WGMMAScaleOut::one : WGMMAScaleOut::zero), one, one,
      MMALayoutAttr::get(context, layoutA), MMALayoutAttr::get(context, layoutB), MMAIntOverflowAttr());
}

// The op of NVVM takes descriptors only.
Value HopperBuilder::matmul(Value accumulators, ArrayRef<Expr> lhs, Expr rhs, Major rhsMajor) {
  assert(lhs.size() == 4 && "16 columns of bf16");
  int64_t count = countElements(accumulators);
  SmallVector<Value> operands = toValues(unpack(accumulators));
  llvm::append_range(operands, toValues(lhs));
  operands.push_back(rhs);
  std::string constraints = llvm::join(SmallVector<std::string>(count, "=f"), ",");
  for (int64_t i = 0; i < count; ++i)
    constraints += "," + std::to_string(i);
  constraints += ",r,r,r,r,l";

  // Operands are numbered: results, the inputs tied to them, then A and the descriptor of B.
  auto list = [](int64_t first, int64_t size) {
    return "{" +
           llvm::join(llvm::map_range(llvm::seq(first, first + size),
                                      [](int64_t i) { return "$" + std::to_string(i); }),
                      ", ") +
           "}";
  };
  std::string text = "{ .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n" +
                     std::to_string(2 * count) + "k16.f32.bf16.bf16 " + list(0, count) + ", " + list(2 * count, 4) +
                     ", $" + std::to_string(2 * count + 4) + ", p, 1, 1, " + (rhsMajor == Major::outer ? "1" : "0") +
                     "; }";
  return inlineAsm(builder, accumulators.getType(), operands, text, constraints, true);
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

Expr HopperBuilder::packHalves(Expr low, Expr high) {
  auto floats = VectorType::get(2, builder.getF32Type()), halves = VectorType::get(2, builder.getBF16Type());
  Value pair = vector::FromElementsOp::create(builder, floats, ValueRange{low, high});
  Value rounded = arith::TruncFOp::create(builder, halves, pair);
  return wrap(LLVM::BitcastOp::create(builder, builder.getI32Type(), rounded));
}

void HopperBuilder::storeMatrices(ArrayRef<Expr> words, Expr address, bool transpose) {
  using namespace NVVM;
  MLIRContext *context = builder.getContext();
  StMatrixOp::create(builder, pointer(address), toValues(words),
                     MMALayoutAttr::get(context, transpose ? MMALayout::col : MMALayout::row),
                     LdStMatrixShapeAttr::get(context, 8, 8),
                     LdStMatrixEltTypeAttr::get(context, LdStMatrixEltType::B16));
}

SmallVector<Expr> HopperBuilder::loadMatrices(Expr address) {
  using namespace NVVM;
  constexpr int64_t kMatrices = 4;
  MLIRContext *context = builder.getContext();
  auto type = LLVM::LLVMStructType::getLiteral(context, SmallVector<Type>(kMatrices, builder.getI32Type()));
  Value words = LdMatrixOp::create(builder, type, pointer(address), kMatrices, MMALayout::row,
                                   LdStMatrixShapeAttr::get(context, 8, 8), LdStMatrixEltType::B16);
  return unpack(words);
}

Expr HopperBuilder::exp2Fast(Expr x) {
  return wrap(inlineAsm(builder, x.getType(), Value(x), "ex2.approx.ftz.f32 $0, $1;", "=f,f", false));
}
Expr HopperBuilder::reciprocalFast(Expr x) {
  return wrap(inlineAsm(builder, x.getType(), Value(x), "rcp.approx.ftz.f32 $0, $1;", "=f,f", false));
}
Expr HopperBuilder::log2Fast(Expr x) {
  return wrap(inlineAsm(builder, x.getType(), Value(x), "lg2.approx.ftz.f32 $0, $1;", "=f,f", false));
}

} // namespace mlir::moe::cuda

//===- MoEKernelDialect.td - The moe_kernel dialect -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOEKERNEL_IR_MOEKERNELDIALECT_TD
#define DIALECTS_MOEKERNEL_IR_MOEKERNELDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/AttrTypeBase.td"

def MoEKernel_Dialect : Dialect {
  let name = "moe_kernel";
  let cppNamespace = "::mlir::moe_kernel";
  let summary = "How one fused kernel works";
  let description = [{
    A `moe_kernel.kernel` is a function on tensors that becomes one launch. Its body is either **one structured op**
    (matmul, attention, route, …), which a target's emitter knows how to run, or only `linalg.generic` ops over rows
    and elements, which every target lowers in one generic way.

    Fusion is in the IR, not in the emitters: what happens to a matmul's result before it is stored is the op's
    *epilogue region*, scalar arith and math ops that an emitter clones at its own vector width.

    The stage `fuse` makes kernels, `configure` puts a `config` on them, `codegen` compiles them.
  }];
  let useDefaultAttributePrinterParser = 1;
}

class MoEKernel_Op<string mnemonic, list<Trait> traits = []> : Op<MoEKernel_Dialect, mnemonic, traits>;

class MoEKernel_Enum<string name, string summary, list<I32EnumCase> cases>
    : I32Enum<name, summary, cases> {
  let cppNamespace = "::mlir::moe_kernel";
}
class MoEKernel_EnumAttr<EnumInfo enum, string mnemonic> : EnumAttr<MoEKernel_Dialect, enum, mnemonic> {
  let assemblyFormat = "`<` $value `>`";
}

def MoEKernel_MatmulKind : MoEKernel_Enum<"MatmulKind", "which dimension offsets divide", [
  I32EnumCase<"dense", 0>, I32EnumCase<"ragged_rows", 1>, I32EnumCase<"ragged_contraction", 2>]>;
def MoEKernel_MatmulKindAttr : MoEKernel_EnumAttr<MoEKernel_MatmulKind, "matmul_kind">;

def MoEKernel_TileExtent : MoEKernel_Enum<"TileExtent", "how a tensor meets the accumulator tile", [
  I32EnumCase<"scalar", 0>, I32EnumCase<"row", 1>, I32EnumCase<"column", 2>, I32EnumCase<"full", 3>,
  I32EnumCase<"pair", 4>, I32EnumCase<"row_sum", 5>]>;
def MoEKernel_TileExtentAttr : MoEKernel_EnumAttr<MoEKernel_TileExtent, "extent">;
def MoEKernel_TileExtentArrayAttr : TypedArrayAttrBase<MoEKernel_TileExtentAttr, "array of tile extents">;

def MoEKernel_ScoringFunc : MoEKernel_Enum<"RouteScoring", "router logits to scores", [
  I32EnumCase<"softmax", 0>, I32EnumCase<"sigmoid", 1>, I32EnumCase<"identity", 2>]>;
def MoEKernel_ScoringFuncAttr : MoEKernel_EnumAttr<MoEKernel_ScoringFunc, "scoring">;

/// What `configure` decided for a CPU kernel.
def MoEKernel_CPUConfigAttr : AttrDef<MoEKernel_Dialect, "CPUConfig"> {
  let mnemonic = "cpu_config";
  let summary = "how the CPU emitter runs a kernel";
  let description = [{
    * `tile_m` × `tile_n`: the register tile of accumulators; tile_n is a multiple of `vector_width` (float32 lanes).
    * `block_m`: rows per work item of a matmul, or rows (elements, for flat loops) per work item of a rows kernel;
      query rows per block of attention.
    * `block_n`: columns per work item of a matmul; keys per block of attention.
  }];
  let parameters = (ins "int64_t":$vector_width, "int64_t":$tile_m, "int64_t":$tile_n, "int64_t":$block_m,
                    "int64_t":$block_n);
  let assemblyFormat = "`<` struct(params) `>`";
}

def MoEKernel_CUDAUnit : MoEKernel_Enum<"CUDAUnit", "what forms the products of a kernel", [
  I32EnumCase<"fma", 0>, I32EnumCase<"mma", 1>, I32EnumCase<"wgmma", 2>,
  I32EnumCase<"stream", 3>]>;

/// What `configure` decided for a CUDA kernel.
def MoEKernel_CUDAConfigAttr : AttrDef<MoEKernel_Dialect, "CUDAConfig"> {
  let mnemonic = "cuda_config";
  let summary = "how the CUDA emitters run a kernel";
  let description = [{
    * `threads`: threads per block, a multiple of 32.
    * `tile_m` × `tile_n`: the accumulator tile of a block (matmul), or rows and columns (elements) that a block covers.
    * `tile_k`: the contraction extent of one pipeline stage; of reductions over columns' rows, the parts that groups of
      threads take.
    * `stages`: how many of them are in flight.
    * `unit`: `fma` (CUDA cores, exact float32), `mma` (`mma.sync`, sm_80), `wgmma` (`wgmma.mma_async`, sm_90a) or
      `stream` (`mma.sync` on few rows, each warp with a part of the contraction, sm_80).
  }];
  let parameters = (ins "int64_t":$threads, "int64_t":$tile_m, "int64_t":$tile_n, "int64_t":$tile_k,
                    "int64_t":$stages,
                    DefaultValuedParameter<"::mlir::moe_kernel::CUDAUnit", "::mlir::moe_kernel::CUDAUnit::fma">:$unit);
  let assemblyFormat = "`<` struct(params) `>`";
}

#endif // DIALECTS_MOEKERNEL_IR_MOEKERNELDIALECT_TD

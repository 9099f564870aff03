//===- MoEDialect.td - The moe dialect -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOE_IR_MOEDIALECT_TD
#define DIALECTS_MOE_IR_MOEDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"

def MoE_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::mlir::moe";
  let summary = "What a Mixture-of-Experts transformer computes";
  let description = [{
    The `moe` dialect says *what* is computed: value tensors, no memory, no device.

    It has two tiers. **Layer ops** are what a person writes and what an importer emits; a model reads like its
    configuration, and they are gone after the stage `layers`. **Tensor ops** are what passes work on: they are
    differentiated in the stage `objective` and become kernels in the stage `fuse`.

    Shapes are static. Ragged data (the rows of each expert) is a plain tensor plus an `offsets` operand with one entry
    more than there are experts. Parameters are symbols (`moe.variable`); their bytes never enter the IR.

    Notation in the tensor ops: T tokens, d hidden size, H heads, D head size, E experts, K experts per token,
    R = T·K routed rows, B sequences, S tokens per sequence, V vocabulary.
  }];
  let useDefaultAttributePrinterParser = 1;
}

class MoE_Op<string mnemonic, list<Trait> traits = []> : Op<MoE_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Enumerations
//===----------------------------------------------------------------------===//

class MoE_I32Enum<string name, string summary, list<I32EnumCase> cases> : I32Enum<name, summary, cases> {
  let cppNamespace = "::mlir::moe";
}

class MoE_EnumAttr<EnumInfo enum, string mnemonic> : EnumAttr<MoE_Dialect, enum, mnemonic> {
  let assemblyFormat = "`<` $value `>`";
}

def MoE_VariableRole : MoE_I32Enum<"VariableRole", "what a variable is for", [
  I32EnumCase<"parameter", 0>, I32EnumCase<"optimizer", 1>, I32EnumCase<"buffer", 2>, I32EnumCase<"cache", 3>]>;
def MoE_VariableRoleAttr : MoE_EnumAttr<MoE_VariableRole, "role">;

def MoE_InitializerKind : MoE_I32Enum<"InitializerKind", "how a variable starts", [
  I32EnumCase<"zeros", 0>, I32EnumCase<"ones", 1>, I32EnumCase<"normal", 2>,
  I32EnumCase<"copy", 3>]>;
def MoE_InitializerKindAttr : MoE_EnumAttr<MoE_InitializerKind, "initializer">;

def MoE_ScoringFunc : MoE_I32Enum<"ScoringFunc", "router logits to scores", [
  I32EnumCase<"softmax", 0>, I32EnumCase<"sigmoid", 1>]>;
def MoE_ScoringFuncAttr : MoE_EnumAttr<MoE_ScoringFunc, "scoring_func">;

def MoE_DType : MoE_I32Enum<"DType", "the type that a model's parameters, activations and caches are stored in", [
  I32EnumCase<"f32", 0>, I32EnumCase<"bf16", 1>]>;
def MoE_DTypeAttr : MoE_EnumAttr<MoE_DType, "dtype">;

def MoE_RaggedDim : MoE_I32Enum<"RaggedDim", "the dimension of a grouped matmul that offsets divide", [
  I32EnumCase<"rows", 0>, I32EnumCase<"contraction", 1>]>;
def MoE_RaggedDimAttr : MoE_EnumAttr<MoE_RaggedDim, "ragged">;

def MoE_ActivationCheckpointing : MoE_I32Enum<"ActivationCheckpointing", "what a layer keeps for its backward pass", [
  I32EnumCase<"none", 0>, I32EnumCase<"selective", 1>, I32EnumCase<"full", 2>]>;
def MoE_ActivationCheckpointingAttr : MoE_EnumAttr<MoE_ActivationCheckpointing, "activation_checkpointing">;

def MoE_EntryKind : MoE_I32Enum<"EntryKind", "an entry point of the artifact", [
  I32EnumCase<"train_step", 0>, I32EnumCase<"evaluate", 1>, I32EnumCase<"prefill", 2>, I32EnumCase<"decode_step", 3>]>;
/// On a func.func as `moe.entry`. Such a function is compiled to an entry point of the artifact of the same name; its
/// arguments and results carry `moe.name`. An entry point of another name, which no part of the engine looks for, has
/// the unit attribute instead.
def MoE_EntryKindAttr : MoE_EnumAttr<MoE_EntryKind, "entry">;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// Data that can have a gradient. Statically shaped.
def MoE_FloatTensor : StaticShapeTensorOf<[F32, BF16, F64]>;
/// Router scores, softmax statistics and losses are always float32 (float64 where a test asks for it).
def MoE_StatTensor : StaticShapeTensorOf<[F32, F64]>;
def MoE_Scalar : TypeConstraint<And<[MoE_StatTensor.predicate,
    CPred<"::llvm::cast<::mlir::ShapedType>($_self).getRank() == 0">]>, "float tensor of rank 0", "::mlir::TensorType">;
def MoE_IndexTensor : StaticShapeTensorOf<[I32]>;
def MoE_Vector : TypeConstraint<And<[MoE_FloatTensor.predicate,
    CPred<"::llvm::cast<::mlir::ShapedType>($_self).getRank() == 1">]>, "float tensor of rank 1", "::mlir::TensorType">;
def MoE_Matrix : TypeConstraint<And<[MoE_FloatTensor.predicate,
    CPred<"::llvm::cast<::mlir::ShapedType>($_self).getRank() == 2">]>, "float tensor of rank 2", "::mlir::TensorType">;
def MoE_Stack : TypeConstraint<And<[MoE_FloatTensor.predicate,
    CPred<"::llvm::cast<::mlir::ShapedType>($_self).getRank() == 3">]>, "float tensor of rank 3", "::mlir::TensorType">;

#endif // DIALECTS_MOE_IR_MOEDIALECT_TD

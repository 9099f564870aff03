//===- MoEExecOps.td - The moe_exec dialect -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOEEXEC_IR_MOEEXECOPS_TD
#define DIALECTS_MOEEXEC_IR_MOEEXECOPS_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/SymbolInterfaces.td"

def MoEExec_Dialect : Dialect {
  let name = "moe_exec";
  let cppNamespace = "::mlir::moe_exec";
  let summary = "When and where: buffers with planned offsets, launches and copies";
  let description = [{
    A `moe_exec.program` is a flat list, executed in order, and is serialised into the artifact as it stands: each op
    and attribute here has its counterpart in `runtime/format/artifact.fbs`. There are no values, only buffers.
  }];
  let useDefaultAttributePrinterParser = 1;
}

class MoEExec_Op<string mnemonic, list<Trait> traits = []> : Op<MoEExec_Dialect, mnemonic, traits>;

/// One entry of a program: belongs to a moe_exec.program, and says with `label` which part of the model it is for.
class MoEExec_Instruction<string mnemonic, list<Trait> traits = []>
    : MoEExec_Op<mnemonic, [HasParent<"ProgramOp">] # traits>;

def MoEExec_Space : I32Enum<"Space", "where a buffer lies", [
  I32EnumCase<"workspace", 0>, I32EnumCase<"variable", 1>, I32EnumCase<"input", 2>, I32EnumCase<"output", 3>]> {
  let cppNamespace = "::mlir::moe_exec";
}

def MoEExec_BufferAttr : AttrDef<MoEExec_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "bytes of memory that an instruction reads or writes";
  let description = [{
    Offset and size in bytes, relative to the workspace, a variable, an input or an output:

    ```mlir
    #moe_exec.buffer<workspace[256 : 4096]>
    #moe_exec.buffer<@model.norm.weight[0 : 512]>
    #moe_exec.buffer<input 0[0 : 4096]>
    #moe_exec.buffer<output 2[0 : 4]>
    ```
    Instructions print the part between the angle brackets. Workspace offsets are multiples of 256.
  }];
  let parameters = (ins "::mlir::moe_exec::Space":$space, "::mlir::FlatSymbolRefAttr":$variable,
                    "uint32_t":$index, "uint64_t":$offset, "uint64_t":$size);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    static BufferAttr getWorkspace(::mlir::MLIRContext *context, uint64_t offset, uint64_t size) {
      return get(context, Space::workspace, {}, 0, offset, size);
    }
  }];
}
def MoEExec_BufferArrayAttr : TypedArrayAttrBase<MoEExec_BufferAttr, "array of buffers">;

def MoEExec_TensorMapAttr : AttrDef<MoEExec_Dialect, "TensorMap"> {
  let mnemonic = "tensor_map";
  let summary = "a box of a buffer that one instruction moves to shared memory or back (TMA)";
  let description = [{
    The tensor in buffer `buffer` (the kernel's operands are numbered first, then its results) has the extents `dims`,
    the fastest dimension first; `strides` are the distances in bytes between neighbours of the other dimensions. An
    instruction moves `box` elements; what lies outside `dims` is read as zero and not written. In shared memory the
    box is permuted within groups of 8 × `swizzle` bytes (0: not at all).

    ```mlir
    #moe_exec.tensor_map<buffer 1 : bf16, dims[768, 4096] strides[1536], box[64, 128], swizzle 128>
    ```
    The driver encodes it for the buffers of a launch and passes it to the kernel after all buffers. What is allowed:
    "CUDA Driver API Reference Manual", Tensor Map Object Management.
  }];
  let parameters = (ins "uint32_t":$buffer, "::mlir::Type":$element_type, ArrayRefParameter<"int64_t">:$dims,
                    OptionalArrayRefParameter<"int64_t">:$strides, ArrayRefParameter<"int64_t">:$box,
                    "int64_t":$swizzle);
  let assemblyFormat = [{
    `<` `buffer` $buffer `:` $element_type `,` `dims` `[` $dims `]` (`strides` `[` $strides^ `]`)? `,`
    `box` `[` $box `]` `,` `swizzle` $swizzle `>`}];
  let genVerifyDecl = 1;
}
def MoEExec_TensorMapArrayAttr : TypedArrayAttrBase<MoEExec_TensorMapAttr, "array of tensor maps">;

def MoEExec_ProgramOp : MoEExec_Op<"program", [Symbol, SingleBlock, NoTerminator, NoRegionArguments,
    HasParent<"::mlir::ModuleOp">]> {
  let summary = "the instructions of one entry point";
  let description = [{
    `input_names`/`input_types` and `output_names`/`output_types` are the signature; `workspace_bytes` is the size that
    all workspace buffers fit in. The verifier checks that every buffer lies inside what it refers to.

    ```mlir
    moe_exec.program @evaluate workspace(8192) inputs(["tokens"] : [tensor<8x128xi32>])
        outputs(["loss_sum"] : [tensor<f32>]) {
      moe_exec.launch @embedding(@table[0 : 131072], input 0[0 : 4096]) -> (workspace[0 : 8192])
      ...
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$workspace_bytes, StrArrayAttr:$input_names,
    TypeArrayAttr:$input_types, StrArrayAttr:$output_names, TypeArrayAttr:$output_types);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `workspace` `(` $workspace_bytes `)` `inputs` `(` $input_names `:` $input_types `)`
    `outputs` `(` $output_names `:` $output_types `)` attr-dict-with-keyword $body}];
  let hasVerifier = 1;
}

def MoEExec_LaunchOp : MoEExec_Instruction<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs a kernel on buffers: its operands, then its results";
  let description = [{
    The verifier checks the numbers of operands and results, and that no `early_inputs` of the kernel are written by the
    launch before this one.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, MoEExec_BufferArrayAttr:$inputs, MoEExec_BufferArrayAttr:$outputs,
    OptionalAttr<StrAttr>:$label);
  let assemblyFormat = "$kernel `(` custom<Buffers>($inputs) `)` `->` `(` custom<Buffers>($outputs) `)` attr-dict";
  let extraClassDeclaration = [{
    /// Whether operand `input` is left alone by the launch before this one, and by what lies between: so its contents
    /// are settled when that launch begins, if it begins after all before it have ended. True in the first launch.
    bool isSettled(unsigned input);
  }];
}
def MoEExec_CopyOp : MoEExec_Instruction<"copy"> {
  let summary = "copies a buffer to another of the same size";
  let arguments = (ins MoEExec_BufferAttr:$source, MoEExec_BufferAttr:$destination, OptionalAttr<StrAttr>:$label);
  let assemblyFormat = "custom<Buffer>($source) `->` custom<Buffer>($destination) attr-dict";
  let hasVerifier = 1;
}
def MoEExec_FillOp : MoEExec_Instruction<"fill"> {
  let summary = "sets every byte of a buffer";
  let arguments = (ins I8Attr:$value, MoEExec_BufferAttr:$destination, OptionalAttr<StrAttr>:$label);
  let assemblyFormat = "custom<Buffer>($destination) `with` $value attr-dict";
}

def MoEExec_KernelOp : MoEExec_Op<"kernel", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "a compiled kernel: its launch geometry and the object that holds its code";
  let description = [{
    See table `Kernel` of runtime/format/artifact.fbs. A kernel with `dependent_launch` waits by itself for the launch
    before it. Before it waits it may read the operands `early_inputs`: in every program they are settled by then. This
    is for the verifier alone, and not in the artifact.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$object, DenseI64ArrayAttr:$grid,
    DenseI64ArrayAttr:$block, I64Attr:$shared_bytes, I64Attr:$scratch_bytes, I64Attr:$num_inputs,
    I64Attr:$num_outputs, I64Attr:$flops, I64Attr:$bytes, OptionalAttr<MoEExec_TensorMapArrayAttr>:$tensor_maps,
    UnitAttr:$dependent_launch, OptionalAttr<DenseI64ArrayAttr>:$early_inputs);
  let assemblyFormat = "$sym_name `in` $object attr-dict";
  let hasVerifier = 1;
}

def MoEExec_ObjectOp : MoEExec_Op<"object", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "compiled code for a target";
  let description = [{
    `kind` is `elf`, `ptx` or `cubin`; `target`, `arch` and `features` say what may run it; `data` are the bytes. A
    cubin that was assembled from the PTX of another object names that as its `source`: kernels name the PTX, and the
    runtime takes the cubin instead where it fits.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$kind, StrAttr:$target, StrAttr:$arch,
    StrArrayAttr:$features, StrAttr:$data, OptionalAttr<FlatSymbolRefAttr>:$source);
  let hasVerifier = 1;
  let assemblyFormat = "$sym_name $kind `for` $target $arch attr-dict";
}

#endif // DIALECTS_MOEEXEC_IR_MOEEXECOPS_TD

// DEFINE: %{stage} =
// DEFINE: %{part} =
// DEFINE: %{check} = not %moe-opt %t/%{part}.mlir -moe-verify-stage=stage=%{stage} -o /dev/null 2>&1 | FileCheck %t/%{part}.mlir -check-prefix=%{stage}
//
// RUN: split-file %s %t
// REDEFINE: %{part} = description
// REDEFINE: %{stage} = layers
// RUN: %{check}
// REDEFINE: %{stage} = artefact
// RUN: %{check}
// REDEFINE: %{part} = tensors
// REDEFINE: %{stage} = objective
// RUN: %{check}
// REDEFINE: %{stage} = fuse
// RUN: %{check}
// REDEFINE: %{stage} = schedule
// RUN: %{check}
// REDEFINE: %{part} = kernels
// REDEFINE: %{stage} = configure
// RUN: %{check}
// REDEFINE: %{stage} = codegen
// RUN: %{check}
// REDEFINE: %{part} = unknown
// REDEFINE: %{stage} = input
// RUN: %{check}

//--- description.mlir

// All that is left is listed at once, with the place of the first and the number of the others.
// layers:      error: after the stage 'layers', 6 kinds of ops are left over
// layers:      description.mlir:[[#MODEL:]]:1: note: moe.model: moe-expand-layers turns layer ops into tensor ops
// layers:      description.mlir:[[#MODEL + 1]]:3: note: moe.layers and 1 more: moe-expand-layers turns layer ops into tensor ops
// layers:      description.mlir:[[#MODEL + 2]]:5: note: moe.self_attention and 1 more: moe-expand-layers
// layers:      description.mlir:[[#MODEL + 3]]:5: note: moe.mlp: moe-expand-layers
// layers:      description.mlir:[[#MODEL + 7]]:5: note: moe.sparse_mlp: moe-expand-layers
// layers:      note: moe.serving: moe-expand-layers builds the entry points that it asks for, if there is a moe.model
// layers-NOT:  note:

// artefact: error: moe-verify-stage: there is no stage 'artefact'; there are: input, layers, objective, shard, fuse, configure, schedule, codegen, artifact

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
    moe.mlp (intermediate_size = 16)
  }
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
    moe.sparse_mlp (num_experts = 2, top_k = 1, moe_intermediate_size = 16)
  }
}
moe.training (batch_size = 1, sequence_length = 1)
moe.serving (prompt_length = 1, context_length = 1)

//--- tensors.mlir

// objective:     error: after the stage 'objective', 1 kind of op is left over
// objective:     note: moe.training: moe-apply-optimizer builds the step that it asks for
// objective-NOT: note:

// fuse:          error: after the stage 'fuse', 4 kinds of ops are left over
// fuse:          note: moe.training: moe-apply-optimizer builds the step that it asks for
// fuse:          note: arith.constant: moe-outline-kernels moves constants into kernels
// fuse:          note: moe.add and 1 more: moe-outline-kernels has no kernel for it
// fuse:          note: moe.negate: moe-outline-kernels has no kernel for it
// fuse-NOT:      note:

// schedule:      error: after the stage 'schedule', 8 kinds of ops are left over
// schedule-DAG:  note: moe.read: moe-schedule gives every variable a buffer
// schedule-DAG:  note: moe.write: moe-schedule gives every variable a buffer
// schedule-DAG:  note: func.func: moe-schedule flattens functions into programs
// schedule-DAG:  note: func.return: moe-schedule flattens functions into programs

moe.training (batch_size = 1, sequence_length = 1)
moe.variable @w parameter ones : tensor<4xf32>
func.func @train_step() {
  %0 = moe.read @w : tensor<4xf32>
  %1 = arith.constant dense<1.0> : tensor<4xf32>
  %2 = moe.add %0, %1 : tensor<4xf32>
  %3 = moe.add %2, %1 : tensor<4xf32>
  %4 = moe.negate %3 : tensor<4xf32>
  moe.write %4, @w : tensor<4xf32>
  return
}

//--- kernels.mlir

// A kernel needs its configuration, and a variable has one value in the end.
// configure:     error: after the stage 'configure', 2 kinds of ops are left over
// configure:     note: moe_kernel.kernel: moe-configure has not configured it
// configure:     note: moe.write: its variable is written before in the same function
// configure-NOT: note:

// codegen:       note: moe_kernel.kernel and 1 more: the target's code generator has no emitter for it

#id = affine_map<(i) -> (i)>
moe.variable @w parameter ones : tensor<64xf32>
moe_kernel.kernel @configured(%x: tensor<64xf32>) -> tensor<64xf32> attributes {config = "any"} {
  %0 = tensor.empty() : tensor<64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<64xf32>) outs(%0 : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<64xf32>
  moe_kernel.return %1 : tensor<64xf32>
}
moe_kernel.kernel @bare(%x: tensor<64xf32>) -> tensor<64xf32> {
  %0 = tensor.empty() : tensor<64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<64xf32>) outs(%0 : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<64xf32>
  moe_kernel.return %1 : tensor<64xf32>
}
func.func @evaluate() {
  %0 = moe.read @w : tensor<64xf32>
  %1 = moe_kernel.launch @configured(%0) : (tensor<64xf32>) -> tensor<64xf32>
  %2 = moe_kernel.launch @bare(%1) : (tensor<64xf32>) -> tensor<64xf32>
  moe.write %1, @w : tensor<64xf32>
  moe.write %2, @w : tensor<64xf32>
  return
}

//--- unknown.mlir

// input: note: tensor.empty: no stage knows what to do with it
// input: note: linalg.exp and 1 more: no stage knows what to do with it

func.func @evaluate(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tensor.empty() : tensor<4xf32>
  %1 = linalg.exp ins(%x : tensor<4xf32>) outs(%0 : tensor<4xf32>) -> tensor<4xf32>
  %2 = linalg.exp ins(%1 : tensor<4xf32>) outs(%0 : tensor<4xf32>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

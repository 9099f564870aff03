// RUN: %moe-opt %s | %moe-opt | FileCheck %s
// RUN: %moe-opt %s --mlir-print-op-generic | %moe-opt | FileCheck %s

moe.variable @w parameter ones : tensor<4xf32>

// CHECK: moe_exec.object @code "elf" for "cpu" "x86-64-v3"
moe_exec.object @code "elf" for "cpu" "x86-64-v3" {data = "\7FELF", features = ["avx2", "fma"]}

// CHECK: moe_exec.kernel @add in @code
moe_exec.kernel @add in @code {grid = array<i64: 4>, block = array<i64>, shared_bytes = 0 : i64, scratch_bytes = 64 : i64,
  num_inputs = 2 : i64, num_outputs = 1 : i64, flops = 4 : i64, bytes = 48 : i64}

// Every space a buffer can lie in, and every instruction.
// CHECK-LABEL: moe_exec.program @step workspace(512) inputs(["x"] : [tensor<4xf32>]) outputs(["y"] : [tensor<4xf32>])
moe_exec.program @step workspace(512) inputs(["x"] : [tensor<4xf32>]) outputs(["y"] : [tensor<4xf32>]) {
  // CHECK-NEXT: moe_exec.fill workspace[0 : 16] with 0
  moe_exec.fill workspace[0 : 16] with 0
  // CHECK-NEXT: moe_exec.launch @add(input 0[0 : 16], @w[0 : 16]) -> (workspace[256 : 16]) {label = "layers.0/norm"}
  moe_exec.launch @add(input 0[0 : 16], @w[0 : 16]) -> (workspace[256 : 16]) {label = "layers.0/norm"}
  // CHECK-NEXT: moe_exec.copy workspace[256 : 16] -> output 0[0 : 16]
  moe_exec.copy workspace[256 : 16] -> output 0[0 : 16]
}

// Maps of a kernel's buffers that TMA reads and writes by.
// CHECK: moe_exec.kernel @load in @code
// CHECK-SAME: tensor_maps = [#moe_exec.tensor_map<buffer 0 : bf16, dims[768, 4096] strides[1536], box[64, 128], swizzle 128>,
// CHECK-SAME: #moe_exec.tensor_map<buffer 1 : f32, dims[32], box[32], swizzle 0>]
moe_exec.kernel @load in @code {grid = array<i64: 132>, block = array<i64: 384>, shared_bytes = 0 : i64, scratch_bytes = 0 : i64,
  num_inputs = 1 : i64, num_outputs = 1 : i64, flops = 0 : i64, bytes = 0 : i64, tensor_maps = [
    #moe_exec.tensor_map<buffer 0 : bf16, dims[768, 4096] strides[1536], box[64, 128], swizzle 128>,
    #moe_exec.tensor_map<buffer 1 : f32, dims[32], box[32], swizzle 0>]}

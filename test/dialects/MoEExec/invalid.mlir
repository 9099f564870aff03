// RUN: %moe-opt %s -split-input-file -verify-diagnostics

moe_exec.program @past_the_end workspace(16) inputs([] : []) outputs([] : []) {
  // expected-error @+1 {{refers to #moe_exec.buffer<workspace[8 : 16]>, which ends at byte 24 of 16}}
  moe_exec.fill workspace[8 : 16] with 0
}

// -----

moe_exec.program @no_such_port workspace(16) inputs([] : []) outputs(["y"] : [tensor<4xf32>]) {
  // expected-error @+1 {{refers to #moe_exec.buffer<output 1[0 : 16]>, which does not exist}}
  moe_exec.copy workspace[0 : 16] -> output 1[0 : 16]
}

// -----

moe_exec.program @no_such_variable workspace(16) inputs([] : []) outputs([] : []) {
  // expected-error @+1 {{refers to #moe_exec.buffer<@w[0 : 16]>, which does not exist}}
  moe_exec.copy workspace[0 : 16] -> @w[0 : 16]
}

// -----

moe_exec.program @sizes workspace(64) inputs([] : []) outputs([] : []) {
  // expected-error @+1 {{copies 16 bytes to 8}}
  moe_exec.copy workspace[0 : 16] -> workspace[16 : 8]
}

// -----

moe_exec.program @no_kernel workspace(64) inputs([] : []) outputs([] : []) {
  // expected-error @+1 {{launches @f, which is not a kernel}}
  moe_exec.launch @f(workspace[0 : 16]) -> (workspace[16 : 16])
}

// -----

moe_kernel.kernel @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%x : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<4xf32>
  moe_kernel.return %0 : tensor<4xf32>
}
moe_exec.program @operand_count workspace(64) inputs([] : []) outputs([] : []) {
  // expected-error @+1 {{passes 2 operands and 1 results to @f, which has 1 and 1}}
  moe_exec.launch @f(workspace[0 : 16], workspace[0 : 16]) -> (workspace[16 : 16])
}

// -----

// expected-error @+1 {{has 1 input names for 0 types and 0 output names for 0 types}}
moe_exec.program @names workspace(64) inputs(["x"] : []) outputs([] : []) {
}

// -----

// expected-error @+1 {{has kind 'exe'; there are elf, ptx and cubin}}
moe_exec.object @code "exe" for "cpu" "x86-64-v3" {data = "", features = []}

// -----

moe_exec.program @space workspace(16) inputs([] : []) outputs([] : []) {
  // expected-error @+1 {{expected workspace, input, output or a variable's symbol}}
  moe_exec.fill register[0 : 16] with 0
}

// -----

// expected-error @+1 {{has elements of type 'i1', which are not whole bytes}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : i1, dims[64], box[64], swizzle 0>} {}

// -----

// expected-error @+1 {{has 2 dims, 0 strides and 2 extents of a box; n ≤ 5, n - 1 and n belong together}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : bf16, dims[64, 64], box[64, 64], swizzle 0>} {}

// -----

// expected-error @+1 {{has a dimension of 0 elements; from 1 to 2^32 are possible}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : bf16, dims[0], box[64], swizzle 0>} {}

// -----

// expected-error @+1 {{has a stride of 8 bytes, which must be a multiple of 16 below 2^40}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : bf16, dims[4, 4] strides[8], box[8, 8], swizzle 0>} {}

// -----

// expected-error @+1 {{has a box of 257 elements in a dimension; from 1 to 256 are possible}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : bf16, dims[64], box[257], swizzle 0>} {}

// -----

// expected-error @+1 {{has rows of 8 bytes in its box, which must be a multiple of 16}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : bf16, dims[64], box[4], swizzle 0>} {}

// -----

// expected-error @+1 {{is swizzled by 16 bytes; 0, 32, 64 and 128 are possible}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : bf16, dims[64], box[64], swizzle 16>} {}

// -----

// expected-error @+1 {{has rows of 256 bytes in its box, but is swizzled by 128}}
module attributes {moe.map = #moe_exec.tensor_map<buffer 0 : bf16, dims[128], box[128], swizzle 128>} {}

// -----

// expected-error @+1 {{has tensor map 0 of buffer 2, but 2 buffers}}
moe_exec.kernel @load in @code {grid = array<i64: 1>, block = array<i64: 384>, shared_bytes = 0 : i64, scratch_bytes = 0 : i64,
  num_inputs = 1 : i64, num_outputs = 1 : i64, flops = 0 : i64, bytes = 0 : i64, tensor_maps = [
    #moe_exec.tensor_map<buffer 2 : bf16, dims[64], box[64], swizzle 128>]}

// -----

// expected-error @+1 {{reads operand 1 early, but has 1 operands}}
moe_exec.kernel @early in @code {grid = array<i64: 1>, block = array<i64: 32>, shared_bytes = 0 : i64, scratch_bytes = 0 : i64,
  num_inputs = 1 : i64, num_outputs = 1 : i64, flops = 0 : i64, bytes = 0 : i64, dependent_launch, early_inputs = array<i64: 1>}

// -----

// expected-error @+1 {{reads operands early, but does not wait for the launch before it}}
moe_exec.kernel @early in @code {grid = array<i64: 1>, block = array<i64: 32>, shared_bytes = 0 : i64, scratch_bytes = 0 : i64,
  num_inputs = 1 : i64, num_outputs = 1 : i64, flops = 0 : i64, bytes = 0 : i64, early_inputs = array<i64: 0>}

// -----

// What the first launch writes is settled for the third, and for the second where that reads other bytes.
moe_exec.kernel @early in @code {grid = array<i64: 1>, block = array<i64: 32>, shared_bytes = 0 : i64, scratch_bytes = 0 : i64,
  num_inputs = 1 : i64, num_outputs = 1 : i64, flops = 0 : i64, bytes = 0 : i64, dependent_launch, early_inputs = array<i64: 0>}
moe_exec.program @settled workspace(1024) inputs([] : []) outputs([] : []) {
  moe_exec.launch @early(workspace[512 : 256]) -> (workspace[0 : 256])
  moe_exec.launch @early(workspace[256 : 256]) -> (workspace[512 : 256])
  moe_exec.launch @early(workspace[0 : 256]) -> (workspace[768 : 256])
}
moe_exec.program @written_just_before workspace(1024) inputs([] : []) outputs([] : []) {
  moe_exec.launch @early(workspace[512 : 256]) -> (workspace[0 : 256])
  // expected-error @+1 {{passes operand 0 to @early, which reads it before it waits for the launch before it, but that writes it}}
  moe_exec.launch @early(workspace[128 : 256]) -> (workspace[512 : 256])
}

// -----

// A copy ends all before it, but one of no bytes is none: it is looked behind.
moe_exec.kernel @early in @code {grid = array<i64: 1>, block = array<i64: 32>, shared_bytes = 0 : i64, scratch_bytes = 0 : i64,
  num_inputs = 1 : i64, num_outputs = 1 : i64, flops = 0 : i64, bytes = 0 : i64, dependent_launch, early_inputs = array<i64: 0>}
moe_exec.program @behind_a_copy workspace(1024) inputs([] : []) outputs([] : []) {
  moe_exec.launch @early(workspace[512 : 256]) -> (workspace[0 : 256])
  moe_exec.copy workspace[0 : 0] -> workspace[256 : 0]
  // expected-error @+1 {{passes operand 0 to @early}}
  moe_exec.launch @early(workspace[0 : 256]) -> (workspace[512 : 256])
}

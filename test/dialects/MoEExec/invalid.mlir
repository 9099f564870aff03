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

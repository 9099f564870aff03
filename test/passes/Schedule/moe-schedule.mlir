// RUN: %moe-opt %s -split-input-file -moe-schedule | FileCheck %s

#id = affine_map<(i) -> (i)>

moe_kernel.kernel @negate(%x: tensor<64xf32>) -> tensor<64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<64xf32>
  moe_kernel.return %0 : tensor<64xf32>
}

func.func private @layer(%x: tensor<64xf32>) -> tensor<64xf32> {
  %0 = moe_kernel.launch @negate(%x) {label = "norm"} : (tensor<64xf32>) -> tensor<64xf32>
  %1 = moe_kernel.launch @negate(%0) : (tensor<64xf32>) -> tensor<64xf32>
  return %1 : tensor<64xf32>
}

// A function called twice is inlined twice, with the layer in the label; a value's memory is reused after its last use;
// what is returned is computed in the output.
// CHECK-LABEL: moe_exec.program @evaluate workspace(512)
// CHECK-SAME:    inputs(["x"] : [tensor<64xf32>]) outputs(["y"] : [tensor<64xf32>])
// CHECK-NEXT:    moe_exec.launch @negate(input 0[0 : 256]) -> (workspace[0 : 256]) {label = "layers.0/norm"}
// CHECK-NEXT:    moe_exec.launch @negate(workspace[0 : 256]) -> (workspace[256 : 256]) {label = "layers.0"}
// CHECK-NEXT:    moe_exec.launch @negate(workspace[256 : 256]) -> (workspace[0 : 256]) {label = "layers.1/norm"}
// CHECK-NEXT:    moe_exec.launch @negate(workspace[0 : 256]) -> (output 0[0 : 256]) {label = "layers.1"}
// CHECK-NOT:   func.func
func.func @evaluate(%x: tensor<64xf32> {moe.name = "x"}) -> (tensor<64xf32> {moe.name = "y"})
    attributes {moe.entry = #moe.entry<evaluate>} {
  %0 = call @layer(%x) {moe.layer = 0 : i64} : (tensor<64xf32>) -> tensor<64xf32>
  %1 = call @layer(%0) {moe.layer = 1 : i64} : (tensor<64xf32>) -> tensor<64xf32>
  return %1 : tensor<64xf32>
}

// -----

#id = affine_map<(i) -> (i)>

moe.variable @w parameter ones : tensor<64xf32>
moe.variable @m optimizer zeros : tensor<64xf32>

moe_kernel.kernel @add_in_place(%x: tensor<64xf32> {moe_kernel.tied = 0 : i64}, %y: tensor<64xf32>) -> tensor<64xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%y : tensor<64xf32>) outs(%x : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.addf %a, %b : f32
    linalg.yield %n : f32
  } -> tensor<64xf32>
  moe_kernel.return %0 : tensor<64xf32>
}

// The update of @w happens in its own memory.
// CHECK-LABEL: moe_exec.program @train_step workspace(0)
// CHECK-NEXT:    moe_exec.launch @add_in_place(@w[0 : 256], input 0[0 : 256]) -> (@w[0 : 256])
// CHECK-NEXT:  }
func.func @train_step(%g: tensor<64xf32> {moe.name = "g"}) attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<64xf32>
  %new = moe_kernel.launch @add_in_place(%w, %g) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  moe.write %new, @w : tensor<64xf32>
  return
}

// The old @w is still needed when the new one is computed: it is computed elsewhere, from a copy, and copied at the end.
// CHECK-LABEL: moe_exec.program @prefill workspace(256)
// CHECK-NEXT:    moe_exec.copy @w[0 : 256] -> workspace[0 : 256]
// CHECK-NEXT:    moe_exec.launch @add_in_place(workspace[0 : 256], input 0[0 : 256]) -> (workspace[0 : 256])
// CHECK-NEXT:    moe_exec.launch @add_in_place(@m[0 : 256], @w[0 : 256]) -> (@m[0 : 256])
// CHECK-NEXT:    moe_exec.copy workspace[0 : 256] -> @w[0 : 256]
func.func @prefill(%g: tensor<64xf32> {moe.name = "g"}) attributes {moe.entry = #moe.entry<prefill>} {
  %w = moe.read @w : tensor<64xf32>
  %m = moe.read @m : tensor<64xf32>
  %new = moe_kernel.launch @add_in_place(%w, %g) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  moe.write %new, @w : tensor<64xf32>
  %other = moe_kernel.launch @add_in_place(%m, %w) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  moe.write %other, @m : tensor<64xf32>
  return
}

// The same value twice in a launch: the tied operand becomes a copy, the other one stays what it was. A variable that is
// only passed on is copied; a constant is a fill.
// CHECK-LABEL: moe_exec.program @decode_step workspace(4)
// CHECK-NEXT:    moe_exec.fill workspace[0 : 4] with 0
// CHECK-NEXT:    moe_exec.copy input 0[0 : 256] -> output 0[0 : 256]
// CHECK-NEXT:    moe_exec.launch @add_in_place(output 0[0 : 256], input 0[0 : 256]) -> (output 0[0 : 256])
// CHECK-NEXT:    moe_exec.copy @w[0 : 256] -> output 1[0 : 256]
// CHECK-NEXT:    moe_exec.copy workspace[0 : 4] -> output 2[0 : 4]
func.func @decode_step(%g: tensor<64xf32> {moe.name = "g"})
    -> (tensor<64xf32> {moe.name = "sum"}, tensor<64xf32> {moe.name = "w"}, tensor<f32> {moe.name = "zero"})
    attributes {moe.entry = #moe.entry<decode_step>} {
  %w = moe.read @w : tensor<64xf32>
  %zero = arith.constant dense<0.0> : tensor<f32>
  %new = moe_kernel.launch @add_in_place(%g, %g) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  return %new, %w, %zero : tensor<64xf32>, tensor<64xf32>, tensor<f32>
}

// -----

#id = affine_map<(i) -> (i)>

moe.variable @w parameter ones : tensor<128xf32>

moe_kernel.kernel @negate(%x: tensor<64xf32>) -> tensor<64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<64xf32>
  moe_kernel.return %0 : tensor<64xf32>
}

moe_kernel.kernel @add_in_place(%x: tensor<64xf32> {moe_kernel.tied = 0 : i64}, %y: tensor<64xf32>) -> tensor<64xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%y : tensor<64xf32>) outs(%x : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.addf %a, %b : f32
    linalg.yield %n : f32
  } -> tensor<64xf32>
  moe_kernel.return %0 : tensor<64xf32>
}

// Parts are read where they are, of a variable and of what is in the workspace, and computed where the whole lies. The
// whole takes memory from its first part's computation (launch 0) to the last use of any part.
// CHECK-LABEL: moe_exec.program @evaluate workspace(768)
// CHECK-NEXT:    moe_exec.launch @negate(@w[0 : 256]) -> (workspace[0 : 256])
// CHECK-NEXT:    moe_exec.launch @negate(@w[256 : 256]) -> (workspace[256 : 256])
// CHECK-NEXT:    moe_exec.launch @negate(workspace[256 : 256]) -> (workspace[512 : 256])
// CHECK-NEXT:    moe_exec.copy workspace[512 : 256] -> output 0[0 : 256]
// CHECK-NEXT:    moe_exec.launch @add_in_place(output 0[0 : 256], workspace[0 : 256]) -> (output 0[0 : 256])
// CHECK-NEXT:    }
func.func @evaluate() -> (tensor<64xf32> {moe.name = "y"}) attributes {moe.entry = #moe.entry<evaluate>} {
  %w = moe.read @w : tensor<128xf32>
  %w0 = moe_kernel.slice %w[0] : tensor<128xf32> -> tensor<64xf32>
  %w1 = moe_kernel.slice %w[64] : tensor<128xf32> -> tensor<64xf32>
  %a = moe_kernel.launch @negate(%w0) : (tensor<64xf32>) -> tensor<64xf32>
  %b = moe_kernel.launch @negate(%w1) : (tensor<64xf32>) -> tensor<64xf32>
  %whole = moe_kernel.concat %a, %b : (tensor<64xf32>, tensor<64xf32>) -> tensor<2x64xf32>
  %again = moe_kernel.slice %whole[64] : tensor<2x64xf32> -> tensor<64xf32>
  %c = moe_kernel.launch @negate(%again) : (tensor<64xf32>) -> tensor<64xf32>
  %first = moe_kernel.slice %whole[0] : tensor<2x64xf32> -> tensor<64xf32>
  %d = moe_kernel.launch @add_in_place(%c, %first) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  return %d : tensor<64xf32>
}

// A whole that is an output is computed there. A part is never taken over by a kernel that works in place, as the rest
// of its whole may live on: it is copied. What is returned as a part is copied too.
// CHECK-LABEL: moe_exec.program @prefill workspace(0)
// CHECK-NEXT:    moe_exec.launch @negate(input 0[0 : 256]) -> (output 0[0 : 256])
// CHECK-NEXT:    moe_exec.copy output 0[0 : 256] -> output 0[256 : 256]
// CHECK-NEXT:    moe_exec.launch @add_in_place(output 0[256 : 256], input 0[256 : 256]) -> (output 0[256 : 256])
// CHECK-NEXT:    moe_exec.copy input 0[256 : 256] -> output 1[0 : 256]
func.func @prefill(%x: tensor<2x64xf32> {moe.name = "x"})
    -> (tensor<128xf32> {moe.name = "whole"}, tensor<64xf32> {moe.name = "part"})
    attributes {moe.entry = #moe.entry<prefill>} {
  %x0 = moe_kernel.slice %x[0] : tensor<2x64xf32> -> tensor<64xf32>
  %x1 = moe_kernel.slice %x[64] : tensor<2x64xf32> -> tensor<64xf32>
  %a = moe_kernel.launch @negate(%x0) : (tensor<64xf32>) -> tensor<64xf32>
  %b = moe_kernel.launch @add_in_place(%a, %x1) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  %whole = moe_kernel.concat %a, %b : (tensor<64xf32>, tensor<64xf32>) -> tensor<128xf32>
  return %whole, %x1 : tensor<128xf32>, tensor<64xf32>
}

// A variable of which a part is still read cannot be overwritten.
// CHECK-LABEL: moe_exec.program @train_step workspace(512)
// CHECK-NEXT:    moe_exec.launch @negate(@w[256 : 256]) -> (workspace[0 : 256])
// CHECK-NEXT:    moe_exec.launch @negate(@w[0 : 256]) -> (workspace[256 : 256])
// CHECK-NEXT:    moe_exec.copy workspace[0 : 512] -> @w[0 : 512]
func.func @train_step() attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<128xf32>
  %w0 = moe_kernel.slice %w[0] : tensor<128xf32> -> tensor<64xf32>
  %w1 = moe_kernel.slice %w[64] : tensor<128xf32> -> tensor<64xf32>
  %a = moe_kernel.launch @negate(%w1) : (tensor<64xf32>) -> tensor<64xf32>
  %b = moe_kernel.launch @negate(%w0) : (tensor<64xf32>) -> tensor<64xf32>
  %whole = moe_kernel.concat %a, %b : (tensor<64xf32>, tensor<64xf32>) -> tensor<128xf32>
  moe.write %whole, @w : tensor<128xf32>
  return
}

// -----

#id = affine_map<(i) -> (i)>

moe_kernel.kernel @negate(%x: tensor<64xf32>) -> tensor<64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<64xf32>
  moe_kernel.return %0 : tensor<64xf32>
}

moe_kernel.kernel @negate_and_negate(%x: tensor<64xf32>, %y: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
  %0 = moe_kernel.launch @negate(%x) : (tensor<64xf32>) -> tensor<64xf32>
  %1 = moe_kernel.launch @negate(%y) : (tensor<64xf32>) -> tensor<64xf32>
  moe_kernel.return %0, %1 : tensor<64xf32>, tensor<64xf32>
}

// Launches of a kernel are one instruction, all of whose buffers live at the same time; the kernels that it launches stay.
// CHECK: moe_kernel.kernel @negate(
// CHECK: moe_kernel.kernel @negate_and_negate(
// CHECK-LABEL: moe_exec.program @evaluate workspace(1024)
// CHECK-NEXT:    moe_exec.launch @negate_and_negate(input 0[0 : 256], input 0[0 : 256]) -> (workspace[0 : 256], workspace[256 : 256])
// CHECK-NEXT:    moe_exec.launch @negate_and_negate(workspace[0 : 256], workspace[256 : 256]) -> (workspace[512 : 256], workspace[768 : 256])
// CHECK-NEXT:    moe_exec.launch @negate_and_negate(workspace[512 : 256], workspace[768 : 256]) -> (output 0[0 : 256], output 1[0 : 256])
func.func @evaluate(%x: tensor<64xf32> {moe.name = "x"}) -> (tensor<64xf32> {moe.name = "y"}, tensor<64xf32> {moe.name = "z"})
    attributes {moe.entry = #moe.entry<evaluate>} {
  %0:2 = moe_kernel.launch @negate_and_negate(%x, %x) : (tensor<64xf32>, tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>)
  %1:2 = moe_kernel.launch @negate_and_negate(%0#0, %0#1) : (tensor<64xf32>, tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>)
  %2:2 = moe_kernel.launch @negate_and_negate(%1#0, %1#1) : (tensor<64xf32>, tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>)
  return %2#0, %2#1 : tensor<64xf32>, tensor<64xf32>
}

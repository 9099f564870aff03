// RUN: %moe-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{argument 0 must be a tensor of static shape, not 'f32'}}
moe_kernel.kernel @argument(%x: f32) {
  moe_kernel.return
}

// -----

// expected-error @+1 {{computes nothing: expected one structured op or linalg.generic ops}}
moe_kernel.kernel @empty(%x: tensor<4xf32>) -> tensor<4xf32> {
  moe_kernel.return %x : tensor<4xf32>
}

// -----

moe_kernel.kernel @stranger(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'arith.addf' op cannot be in a kernel: one structured op or linalg.generic ops can}}
  %0 = arith.addf %x, %x : tensor<4xf32>
  moe_kernel.return %0 : tensor<4xf32>
}

// -----

moe_kernel.kernel @results(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>) {
  %o, %p, %inverse = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  // expected-error @+1 {{returns 3 values but the kernel has 2 results}}
  moe_kernel.return %o, %p, %inverse : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

// -----

moe_kernel.kernel @result_type(%i: tensor<4xi32>, %x: tensor<4x8xf32>) -> tensor<16x4xf32> {
  %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<16x8xf32>
  // expected-error @+1 {{value 0 has type 'tensor<16x8xf32>' but the kernel's result has type 'tensor<16x4xf32>'}}
  moe_kernel.return %0 : tensor<16x8xf32>
}

// -----

moe_kernel.kernel @all_results(%i: tensor<8x2xi32>) -> (tensor<16xi32>, tensor<5xi32>) {
  %o, %p, %inverse = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  // expected-error @+1 {{must return the 3 results of 'moe_kernel.plan' in order, but returns 2 values}}
  moe_kernel.return %p, %o : tensor<16xi32>, tensor<5xi32>
}

// -----

moe_kernel.kernel @two(%i: tensor<4xi32>, %x: tensor<4x8xf32>) -> tensor<16x8xf32> {
  %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<16x8xf32>
  // expected-error @+1 {{stands beside 'moe_kernel.scatter_add', which must be alone in its kernel}}
  %1 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<16x8xf32>
  moe_kernel.return %0 : tensor<16x8xf32>
}

// -----

#i = affine_map<(i) -> (i)>
moe_kernel.kernel @rows(%x: tensor<4xf32>, %y: tensor<8xf32>) -> (tensor<4xf32>, tensor<8xf32>) {
  %0 = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%x : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<4xf32>
  // expected-error @+1 {{has 8 rows but the kernel's first op has 4}}
  %1 = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%y : tensor<8xf32>) outs(%y : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<8xf32>
  moe_kernel.return %0, %1 : tensor<4xf32>, tensor<8xf32>
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#i_of_ij = affine_map<(i, j) -> (i)>
moe_kernel.kernel @accumulates_columns(%x: tensor<4x8xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{is marked 'moe_kernel.accumulates' but does not reduce its second loop, the rows of a chunk, beside a loop over columns}}
  %0 = linalg.generic {indexing_maps = [#ij, #i_of_ij], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%y : tensor<4xf32>) attrs = {moe_kernel.accumulates} {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  moe_kernel.return %0 : tensor<4xf32>
}

// -----

moe_kernel.kernel @no_rows(%x: tensor<4xf32>, %y: tensor<f32>) -> tensor<f32> {
  // expected-error @+1 {{must have a parallel first loop, the rows of the kernel}}
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%y : tensor<f32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<f32>
  moe_kernel.return %0 : tensor<f32>
}

// -----

// expected-error @+1 {{argument 0 is tied to result 1 but there are 1 results}}
moe_kernel.kernel @tied_number(%i: tensor<4xi32> {moe_kernel.tied = 1 : i64}, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  moe_kernel.return %0 : tensor<4x8xf32>
}

// -----

// expected-error @+1 {{argument 0 of type 'tensor<4xi32>' is tied to result 0 of type 'tensor<4x8xf32>'}}
moe_kernel.kernel @tied_type(%i: tensor<4xi32> {moe_kernel.tied = 0 : i64}, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  moe_kernel.return %0 : tensor<4x8xf32>
}

// -----

moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %inverse = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %inverse : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

func.func @operands(%i: tensor<8x2xi32>) {
  // expected-error @+1 {{has 2 operands but kernel @plan has 1}}
  %0:3 = moe_kernel.launch @plan(%i, %i) : (tensor<8x2xi32>, tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  return
}
// -----

moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %inverse = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %inverse : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

func.func @types(%i: tensor<8x2xi32>) {
  // expected-error @+1 {{result 0 has type 'tensor<4xi32>' but kernel @plan has 'tensor<5xi32>'}}
  %0:3 = moe_kernel.launch @plan(%i) : (tensor<8x2xi32>) -> (tensor<4xi32>, tensor<16xi32>, tensor<8x2xi32>)
  return
}
// -----

moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %inverse = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %inverse : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

func.func @unknown(%i: tensor<8x2xi32>) {
  // expected-error @+1 {{there is no kernel @nobody}}
  %0 = moe_kernel.launch @nobody(%i) : (tensor<8x2xi32>) -> tensor<5xi32>
  return
}

// -----

// Launches in a kernel.
moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %n = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %n : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}
moe_kernel.kernel @beside(%i: tensor<8x2xi32>, %x: tensor<4x8xf32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %0:3 = moe_kernel.launch @plan(%i) : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  // expected-error @+1 {{'arith.addf' op stands beside a launch; a kernel that launches others does nothing else}}
  %1 = arith.addf %x, %x : tensor<4x8xf32>
  moe_kernel.return %0#0, %0#1, %0#2 : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

// -----

moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %n = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %n : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}
moe_kernel.kernel @dependent(%i: tensor<8x2xi32>)
    -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>, tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %0:3 = moe_kernel.launch @plan(%i) : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  // expected-error @+1 {{operand 0 is computed by @plan, which is not a kernel of rows: launches of a kernel run at the same time}}
  %1:3 = moe_kernel.launch @plan(%0#2) : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %0#0, %0#1, %0#2, %1#0, %1#1, %1#2
      : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>, tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

// -----

moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %n = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %n : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}
moe_kernel.kernel @all_results(%i: tensor<8x2xi32>) -> tensor<16xi32> {
  %0:3 = moe_kernel.launch @plan(%i) : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  // expected-error @+1 {{must return the results of the kernel's launches in order, but those that its launches read, if it likes: 3 values, but returns 1}}
  moe_kernel.return %0#1 : tensor<16xi32>
}

// -----

moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %n = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %n : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}
// expected-error @+1 {{has a config, but the kernels that it launches have theirs}}
moe_kernel.kernel @configured(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) attributes {config = 1 : i64} {
  %0:3 = moe_kernel.launch @plan(%i) : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %0#0, %0#1, %0#2 : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

// -----

moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %o, %p, %n = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %n : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}
moe_kernel.kernel @inner(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  %0:3 = moe_kernel.launch @plan(%i) : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %0#0, %0#1, %0#2 : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}
moe_kernel.kernel @outer(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  // expected-error @+1 {{in a kernel launches @inner, which launches kernels itself}}
  %0:3 = moe_kernel.launch @inner(%i) : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %0#0, %0#1, %0#2 : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

// -----

moe_kernel.kernel @append(%c: tensor<1x8x4xf32> {moe_kernel.tied = 0 : i64}, %x: tensor<1x4xf32>, %p: tensor<1x1xi32>) -> tensor<1x8x4xf32> {
  %0 = moe_kernel.cache_append %c, %x, %p : (tensor<1x8x4xf32>, tensor<1x4xf32>, tensor<1x1xi32>) -> tensor<1x8x4xf32>
  moe_kernel.return %0 : tensor<1x8x4xf32>
}
moe_kernel.kernel @not_tied(%c: tensor<1x8x4xf32>, %x: tensor<1x4xf32>, %p: tensor<1x1xi32>) -> tensor<1x8x4xf32> {
  // expected-error @+1 {{works on operand 0 in place: the kernel's argument 0 has to be tied to the same result and can have no other use}}
  %0 = moe_kernel.launch @append(%c, %x, %p) : (tensor<1x8x4xf32>, tensor<1x4xf32>, tensor<1x1xi32>) -> tensor<1x8x4xf32>
  moe_kernel.return %0 : tensor<1x8x4xf32>
}

// -----

moe_kernel.kernel @attend(%q: tensor<1x4xf32>, %k: tensor<1x8x4xf32>, %v: tensor<1x8x4xf32>, %p: tensor<1x1xi32>) -> tensor<1x4xf32> {
  %0 = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 1 : i64, num_kv_heads = 1 : i64}
      : (tensor<1x4xf32>, tensor<1x8x4xf32>, tensor<1x8x4xf32>, tensor<1x1xi32>) -> tensor<1x4xf32>
  moe_kernel.return %0 : tensor<1x4xf32>
}
moe_kernel.kernel @tied(%q: tensor<1x4xf32> {moe_kernel.tied = 0 : i64}, %k: tensor<1x8x4xf32>, %v: tensor<1x8x4xf32>, %p: tensor<1x1xi32>) -> tensor<1x4xf32> {
  // expected-error @+1 {{does not work on operand 0 in place, but the kernel's argument 0 is tied to result 0}}
  %0 = moe_kernel.launch @attend(%q, %k, %v, %p) : (tensor<1x4xf32>, tensor<1x8x4xf32>, tensor<1x8x4xf32>, tensor<1x1xi32>) -> tensor<1x4xf32>
  moe_kernel.return %0 : tensor<1x4xf32>
}

// -----

#i = affine_map<(i) -> (i)>
moe_kernel.kernel @negate(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %0 = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  moe_kernel.return %0 : tensor<4xf32>
}
moe_kernel.kernel @chain(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = moe_kernel.launch @negate(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = moe_kernel.launch @negate(%0) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @+1 {{operand 0 is the result of a launch that reads another one's; only arguments of the kernel can be read in a prologue}}
  %2 = moe_kernel.launch @negate(%1) : (tensor<4xf32>) -> tensor<4xf32>
  moe_kernel.return %2 : tensor<4xf32>
}

// -----

#i = affine_map<(i) -> (i)>
moe_kernel.kernel @negate(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %0 = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  moe_kernel.return %0 : tensor<4xf32>
}
moe_kernel.kernel @in_place(%x: tensor<4xf32> {moe_kernel.tied = 0 : i64}) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %0 = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  moe_kernel.return %0 : tensor<4xf32>
}
moe_kernel.kernel @overwrites(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = moe_kernel.launch @negate(%x) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @+1 {{works in place on operand 0, which is no argument of the kernel}}
  %1 = moe_kernel.launch @in_place(%0) : (tensor<4xf32>) -> tensor<4xf32>
  moe_kernel.return %1 : tensor<4xf32>
}

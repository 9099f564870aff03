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

// RUN: %moe-opt %s -moe-to-moe-kernel -moe-to-linalg -moe-fuse-elementwise -moe-fold-reshapes -moe-outline-kernels | FileCheck %s

// Combine and what is added to it are one kernel: a row of the sum needs the same row of the combination.
// CHECK-LABEL: func.func @combine_add(
// CHECK-SAME: %[[ROWS:.*]]: tensor<16x4xf32>, %{{.*}}: tensor<16xi32>, %[[INVERSE:.*]]: tensor<8x2xi32>, %[[WEIGHTS:.*]]: tensor<8x2xf32>, %[[SHARED:.*]]: tensor<8x4xf32>, %[[X:.*]]: tensor<8x4xf32>)
func.func @combine_add(%rows: tensor<16x4xf32>, %p: tensor<16xi32>, %inverse: tensor<8x2xi32>, %weights: tensor<8x2xf32>,
                       %shared: tensor<8x4xf32>, %x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.launch @combine_add_8x4(%[[ROWS]], %[[INVERSE]], %[[WEIGHTS]], %{{.*}}, %{{.*}})
  // CHECK-NEXT: return %[[R]]
  %c = moe.combine %rows plan(%p, %inverse) weights(%weights) : (tensor<16x4xf32>, tensor<16xi32>, tensor<8x2xi32>, tensor<8x2xf32>) -> tensor<8x4xf32>
  %0 = moe.add %c, %shared : tensor<8x4xf32>
  %1 = moe.add %x, %0 : tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// A residual sum and the norm after it are one kernel, which returns both.
// CHECK-LABEL: func.func @add_norm(
func.func @add_norm(%x: tensor<8x4xf32>, %y: tensor<8x4xf32>, %w: tensor<4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  // CHECK-NEXT: %[[R:.*]]:2 = moe_kernel.launch @add_rms_norm_8x4(
  // CHECK-NEXT: return %[[R]]#0, %[[R]]#1
  %0 = moe.add %x, %y : tensor<8x4xf32>
  %1 = moe.rms_norm %0, %w {eps = 1.0e-5 : f64} : (tensor<8x4xf32>, tensor<4xf32>) -> tensor<8x4xf32>
  return %0, %1 : tensor<8x4xf32>, tensor<8x4xf32>
}

// Heads are normalised and rotated by one kernel, of one token as of many: the other half that a rotation reads is of the
// same row. Between the two the kernel still rounds.
// CHECK-LABEL: func.func @norm_rope(
// CHECK-SAME: %[[X:.*]]: tensor<8x32xbf16>, %[[X1:.*]]: tensor<1x32xbf16>, %[[W:.*]]: tensor<16xbf16>, %[[C:.*]]: tensor<8x8xf32>, %[[S:.*]]: tensor<8x8xf32>, %[[C1:.*]]: tensor<1x8xf32>, %[[S1:.*]]: tensor<1x8xf32>)
func.func @norm_rope(%x: tensor<8x32xbf16>, %x1: tensor<1x32xbf16>, %w: tensor<16xbf16>, %c: tensor<8x8xf32>,
    %s: tensor<8x8xf32>, %c1: tensor<1x8xf32>, %s1: tensor<1x8xf32>) -> (tensor<8x32xbf16>, tensor<1x32xbf16>) {
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.launch @rms_norm_rope_8x32(%[[X]], %[[W]], %[[C]], %[[S]])
  // CHECK-NEXT: %[[R1:.*]] = moe_kernel.launch @rms_norm_rope_1x32(%[[X1]], %[[W]], %[[C1]], %[[S1]])
  // CHECK-NEXT: return %[[R]], %[[R1]]
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<8x32xbf16>, tensor<16xbf16>) -> tensor<8x32xbf16>
  %y = moe.rope %n, %c, %s : (tensor<8x32xbf16>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x32xbf16>
  %n1 = moe.rms_norm %x1, %w {eps = 1.0e-5 : f64} : (tensor<1x32xbf16>, tensor<16xbf16>) -> tensor<1x32xbf16>
  %y1 = moe.rope %n1, %c1, %s1 : (tensor<1x32xbf16>, tensor<1x8xf32>, tensor<1x8xf32>) -> tensor<1x32xbf16>
  return %y, %y1 : tensor<8x32xbf16>, tensor<1x32xbf16>
}

// What is normalised for something else as well is a result of the kernel beside the rotated heads.
// CHECK-LABEL: func.func @norm_read_twice(
func.func @norm_read_twice(%x: tensor<8x32xbf16>, %w: tensor<16xbf16>, %c: tensor<8x8xf32>, %s: tensor<8x8xf32>)
    -> (tensor<8x32xbf16>, tensor<8x32xbf16>) {
  // CHECK-NEXT: %[[R:.*]]:2 = moe_kernel.launch @rms_norm_rope_8x32_0(
  // CHECK-NEXT: return %[[R]]#0, %[[R]]#1
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<8x32xbf16>, tensor<16xbf16>) -> tensor<8x32xbf16>
  %y = moe.rope %n, %c, %s : (tensor<8x32xbf16>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x32xbf16>
  return %n, %y : tensor<8x32xbf16>, tensor<8x32xbf16>
}

// The gradients of a norm and what is added to the input's are one kernel, which also adds up what the weight gets from the
// rows of each chunk; the chunks are added up by another one. The same behind a rotation that is undone.
// CHECK-LABEL: func.func @norm_gradients(
func.func @norm_gradients(%x: tensor<64x32xbf16>, %w: tensor<32xbf16>, %h: tensor<16xbf16>, %c: tensor<64x8xf32>,
    %s: tensor<64x8xf32>, %d: tensor<64x32xbf16>, %z: tensor<64x32xbf16>)
    -> (tensor<64x32xbf16>, tensor<32xbf16>, tensor<64x32xbf16>, tensor<16xbf16>) {
  // CHECK-NEXT: %[[A:.*]]:2 = moe_kernel.launch @rms_norm_backward_add_64x32(
  // CHECK-SAME: -> (tensor<2x32xf32>, tensor<64x32xbf16>)
  // CHECK-NEXT: %[[B:.*]]:2 = moe_kernel.launch @rope_inverse_rms_norm_backward_64x32(
  // CHECK-SAME: -> (tensor<64x32xbf16>, tensor<2x16xf32>)
  // CHECK-NEXT: %[[BW:.*]] = moe_kernel.launch @sum_chunks_16(%[[B]]#1)
  // CHECK-NEXT: %[[AW:.*]] = moe_kernel.launch @sum_chunks_32(%[[A]]#0)
  // CHECK-NEXT: return %[[A]]#1, %[[AW]], %[[B]]#0, %[[BW]]
  %0, %1 = moe.rms_norm_backward %x, %w, %d {eps = 1.0e-5 : f64} : (tensor<64x32xbf16>, tensor<32xbf16>, tensor<64x32xbf16>) -> (tensor<64x32xbf16>, tensor<32xbf16>)
  %2 = moe.add %z, %0 : tensor<64x32xbf16>
  %3 = moe.rope %d, %c, %s {inverse} : (tensor<64x32xbf16>, tensor<64x8xf32>, tensor<64x8xf32>) -> tensor<64x32xbf16>
  %4, %5 = moe.rms_norm_backward %x, %h, %3 {eps = 1.0e-5 : f64} : (tensor<64x32xbf16>, tensor<16xbf16>, tensor<64x32xbf16>) -> (tensor<64x32xbf16>, tensor<16xbf16>)
  return %2, %1, %4, %5 : tensor<64x32xbf16>, tensor<32xbf16>, tensor<64x32xbf16>, tensor<16xbf16>
}

// Σ over the tokens reads all rows: a kernel of its own. What is scalar after it shares that one.
// CHECK-LABEL: func.func @loss(
func.func @loss(%logits: tensor<8x16xf32>, %targets: tensor<2x4xi32>, %weights: tensor<2x4xf32>, %count: tensor<f32>)
    -> (tensor<f32>, tensor<8xf32>) {
  // CHECK-NEXT: %[[TOKENS:.*]]:2 = moe_kernel.launch @cross_entropy_8(
  // CHECK-NEXT: %[[LOSS:.*]] = moe_kernel.launch @sum_divide_1x8(%[[TOKENS]]#1, %{{.*}}) : (tensor<8xf32>, tensor<f32>) -> tensor<f32>
  // CHECK-NEXT: return %[[LOSS]], %[[TOKENS]]#0
  %sum, %lse = moe.cross_entropy %logits, %targets, %weights : (tensor<8x16xf32>, tensor<2x4xi32>, tensor<2x4xf32>) -> (tensor<f32>, tensor<8xf32>)
  %loss = moe.divide %sum, %count : tensor<f32>
  return %loss, %lse : tensor<f32>, tensor<8xf32>
}

// What one op computes of the same rows is one kernel, though none of it needs what another part computes. In the order of
// the tokens is another kernel.
// CHECK-LABEL: func.func @weighted_gated_activation_backward(
// CHECK-SAME: %[[H:.*]]: tensor<16x6xf32>, %[[D:.*]]: tensor<16x3xf32>, %[[P:.*]]: tensor<16xi32>, %[[I:.*]]: tensor<8x2xi32>, %[[W:.*]]: tensor<8x2xf32>)
func.func @weighted_gated_activation_backward(%h: tensor<16x6xf32>, %d: tensor<16x3xf32>, %p: tensor<16xi32>,
    %inverse: tensor<8x2xi32>, %w: tensor<8x2xf32>) -> (tensor<16x3xf32>, tensor<16x6xf32>, tensor<8x2xf32>) {
  // CHECK-NEXT: %[[ROWS:.*]]:3 = moe_kernel.launch @weighted_gated_activation_backward_16x6(%[[H]], %[[D]], %[[W]], %[[P]])
  // CHECK-SAME: -> (tensor<16xf32>, tensor<16x3xf32>, tensor<16x6xf32>)
  // CHECK-NEXT: %[[DW:.*]] = moe_kernel.launch @weights_gradient_8x2(%[[ROWS]]#0, %[[I]])
  // CHECK-NEXT: return %[[ROWS]]#1, %[[ROWS]]#2, %[[DW]]
  %y, %dh, %dw = moe.weighted_gated_activation_backward %h, %d plan(%p, %inverse) weights(%w)
      : (tensor<16x6xf32>, tensor<16x3xf32>, tensor<16xi32>, tensor<8x2xi32>, tensor<8x2xf32>)
      -> (tensor<16x3xf32>, tensor<16x6xf32>, tensor<8x2xf32>)
  return %y, %dh, %dw : tensor<16x3xf32>, tensor<16x6xf32>, tensor<8x2xf32>
}

// A gather of rows that another kernel computes needs them all first.
// CHECK-LABEL: func.func @gather(
func.func @gather(%x: tensor<8x4xf32>, %p: tensor<16xi32>, %inverse: tensor<8x2xi32>) -> tensor<16x4xf32> {
  // CHECK-NEXT: %[[N:.*]] = moe_kernel.launch @negate_8x4(
  // CHECK-NEXT: moe_kernel.launch @dispatch_unweighted_16x4(%[[N]],
  %0 = moe.negate %x : tensor<8x4xf32>
  %1 = moe.dispatch %0 plan(%p, %inverse) : (tensor<8x4xf32>, tensor<16xi32>, tensor<8x2xi32>) -> tensor<16x4xf32>
  return %1 : tensor<16x4xf32>
}

// The matmul lies between the two row ops, so they cannot be one kernel although the last reads the first's rows.
// CHECK-LABEL: func.func @between(
func.func @between(%x: tensor<8x4xf32>, %w: tensor<4x4xf32>) -> tensor<8x4xf32> {
  // CHECK-NEXT: %[[N:.*]] = moe_kernel.launch @negate_8x4{{.*}}(
  // CHECK-NEXT: %[[Y:.*]] = moe_kernel.launch @linear_8x4x4{{.*}}(%[[N]],
  // CHECK-NEXT: moe_kernel.launch @multiply_8x4{{.*}}(%[[N]], %[[Y]])
  %0 = moe.negate %x : tensor<8x4xf32>
  %1 = moe.linear %0, %w : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
  %2 = moe.multiply %0, %1 : tensor<8x4xf32>
  return %2 : tensor<8x4xf32>
}

// Two kernels must not wait for each other: if the second product joined the kernel of %a, that kernel and the one of %b
// would each need a matmul of the other one's result.
// CHECK-LABEL: func.func @no_cycle(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[Y:.*]]: tensor<8x4xf32>, %[[W:.*]]: tensor<4x4xf32>)
func.func @no_cycle(%x: tensor<8x4xf32>, %y: tensor<8x4xf32>, %w: tensor<4x4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  // CHECK-NEXT: %[[A:.*]] = moe_kernel.launch @negate_8x4{{.*}}(%[[X]])
  // CHECK-NEXT: %[[AW:.*]] = moe_kernel.launch @linear_8x4x4{{.*}}(%[[A]], %[[W]])
  // CHECK-NEXT: %[[B:.*]]:2 = moe_kernel.launch @negate_multiply_8x4{{.*}}(%[[Y]], %[[AW]])
  // CHECK-NEXT: %[[BW:.*]] = moe_kernel.launch @linear_8x4x4{{.*}}(%[[B]]#0, %[[W]])
  // CHECK-NEXT: moe_kernel.launch @multiply_8x4{{.*}}(%[[A]], %[[BW]])
  %b = moe.negate %y : tensor<8x4xf32>
  %a = moe.negate %x : tensor<8x4xf32>
  %aw = moe.linear %a, %w : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
  %0 = moe.multiply %b, %aw : tensor<8x4xf32>
  %bw = moe.linear %b, %w : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
  %1 = moe.multiply %a, %bw : tensor<8x4xf32>
  return %0, %1 : tensor<8x4xf32>, tensor<8x4xf32>
}

// Parameter and moments are updated in place, whatever their rank.
// CHECK-LABEL: func.func @adamw(
func.func @adamw(%p: tensor<2x3x4xf32>, %g: tensor<2x3x4xf32>, %m: tensor<2x3x4xf32>, %v: tensor<2x3x4xf32>, %s: tensor<f32>)
    -> (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>) {
  %0:3 = moe.adamw %p, %g, %m, %v, %s, %s, %s, %s {beta1 = 0.9 : f64, beta2 = 0.95 : f64, epsilon = 1.0e-8 : f64, weight_decay = 0.1 : f64, max_grad_norm = 1.0 : f64}
      : (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
      -> (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>)
  return %0#0, %0#1, %0#2 : tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>
}

// Updates of parameters of one type share a kernel; those of another type have their own.
// CHECK-LABEL: func.func @batch(
func.func @batch(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>, %c: tensor<16xf32>, %s: tensor<f32>) {
  // CHECK: %[[C:.*]] = moe_kernel.launch @adamw_16(
  // CHECK: moe.write %[[C]], @c
  // CHECK: %[[AB:.*]]:2 = moe_kernel.launch @adamw_of2_4x4(
  // CHECK-DAG: moe.write %[[AB]]#0, @a
  // CHECK-DAG: moe.write %[[AB]]#1, @b
  // CHECK-NOT: moe_kernel.launch
  %0:3 = moe.adamw %a, %a, %a, %a, %s, %s, %s, %s {beta1 = 0.9 : f64, beta2 = 0.95 : f64, epsilon = 1.0e-8 : f64, weight_decay = 0.1 : f64, max_grad_norm = 1.0 : f64}
      : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
      -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>)
  moe.write %0#0, @a : tensor<4x4xf32>
  %1:3 = moe.adamw %c, %c, %c, %c, %s, %s, %s, %s {beta1 = 0.9 : f64, beta2 = 0.95 : f64, epsilon = 1.0e-8 : f64, weight_decay = 0.0 : f64, max_grad_norm = 1.0 : f64}
      : (tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
      -> (tensor<16xf32>, tensor<16xf32>, tensor<16xf32>)
  moe.write %1#0, @c : tensor<16xf32>
  %2:3 = moe.adamw %b, %b, %b, %b, %s, %s, %s, %s {beta1 = 0.9 : f64, beta2 = 0.95 : f64, epsilon = 1.0e-8 : f64, weight_decay = 0.1 : f64, max_grad_norm = 1.0 : f64}
      : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
      -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>)
  moe.write %2#0, @b : tensor<4x4xf32>
  return
}
moe.variable @a parameter zeros : tensor<4x4xf32>
moe.variable @b parameter zeros : tensor<4x4xf32>
moe.variable @c parameter zeros : tensor<16xf32>

// A constant that a call reads has to be written by a kernel; one that a row op reads is part of it.
// CHECK-LABEL: func.func @constants(
func.func @constants(%x: tensor<f32>) -> tensor<f32> {
  // CHECK-NOT: arith.constant
  // CHECK: %[[ONE:.*]] = moe_kernel.launch @constant_1() : () -> tensor<f32>
  // CHECK: call @callee(%[[ONE]])
  // CHECK: moe_kernel.launch @add_1(%{{.*}}) : (tensor<f32>) -> tensor<f32>
  %one = arith.constant dense<1.0> : tensor<f32>
  %0 = func.call @callee(%one) : (tensor<f32>) -> tensor<f32>
  %1 = moe.add %0, %one : tensor<f32>
  return %1 : tensor<f32>
}
func.func private @callee(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}

// CHECK-LABEL: func.func @cache(
func.func @cache(%cache: tensor<2x10x8xf32>, %rows: tensor<6x8xf32>, %p: tensor<2x3xi32>) -> tensor<2x10x8xf32> {
  %0 = moe.cache_append %cache, %rows, %p : (tensor<2x10x8xf32>, tensor<6x8xf32>, tensor<2x3xi32>) -> tensor<2x10x8xf32>
  return %0 : tensor<2x10x8xf32>
}

// CHECK-LABEL: moe_kernel.kernel @combine_add_8x4(
// CHECK-SAME: %[[ROWS:.*]]: tensor<16x4xf32>, %[[INVERSE:.*]]: tensor<8x2xi32>, %[[WEIGHTS:.*]]: tensor<8x2xf32>,
// CHECK: %[[COMBINED:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "reduction", "parallel"]} ins(%[[INVERSE]], %[[WEIGHTS]]
// CHECK: %[[COLUMN:.*]] = linalg.index 2
// CHECK: tensor.extract %[[ROWS]][%{{.*}}, %[[COLUMN]]]
// CHECK: linalg.generic
// CHECK-SAME: %[[COMBINED]]
// CHECK-NOT: linalg.generic
// CHECK: moe_kernel.return

// CHECK-LABEL: moe_kernel.kernel @adamw_2x3x4(
// CHECK-SAME: %[[P:.*]]: tensor<2x3x4xf32> {moe_kernel.tied = 0 : i64}, %{{.*}}: tensor<2x3x4xf32>, %{{.*}}: tensor<2x3x4xf32> {moe_kernel.tied = 1 : i64}, %{{.*}}: tensor<2x3x4xf32> {moe_kernel.tied = 2 : i64}, %{{.*}}: tensor<f32>)
// CHECK: tensor.collapse_shape %[[P]] {{\[}}[0, 1, 2]] : tensor<2x3x4xf32> into tensor<24xf32>

// CHECK-LABEL: moe_kernel.kernel @cache_append_2x10x8_2x3(
// CHECK-SAME: tensor<2x10x8xf32> {moe_kernel.tied = 0 : i64}

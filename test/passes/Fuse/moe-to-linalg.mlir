// RUN: %moe-opt %s -moe-to-linalg | FileCheck %s

// CHECK-DAG: #[[TC:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[T:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[C:.*]] = affine_map<(d0, d1) -> (d1)>

// A gather: the row comes from an index, the column is the loop.
// CHECK-LABEL: func.func @embedding(
// CHECK-SAME: %[[TABLE:.*]]: tensor<32x4xf32>, %[[I:.*]]: tensor<2x3xi32>)
func.func @embedding(%table: tensor<32x4xf32>, %i: tensor<2x3xi32>) -> tensor<6x4xf32> {
  // CHECK: %[[FLAT:.*]] = tensor.collapse_shape %[[I]]
  // CHECK: linalg.generic {indexing_maps = [#[[T]], #[[TC]]], iterator_types = ["parallel", "parallel"]} ins(%[[FLAT]]
  // CHECK: %[[ROW:.*]] = arith.index_cast
  // CHECK: %[[COLUMN:.*]] = linalg.index 1
  // CHECK: tensor.extract %[[TABLE]][%[[ROW]], %[[COLUMN]]]
  %0 = moe.embedding %table, %i : (tensor<32x4xf32>, tensor<2x3xi32>) -> tensor<6x4xf32>
  return %0 : tensor<6x4xf32>
}

// Angles in float64; inverse frequencies 10000^(-j/2).
// CHECK-LABEL: func.func @rope_table(
func.func @rope_table() -> (tensor<6x2xf32>, tensor<6x2xf32>) {
  // CHECK: arith.remui
  // CHECK: arith.constant dense<[1.000000e+00, 1.000000e-02]> : tensor<2xf64>
  // CHECK: math.cos %{{.*}} : f64
  // CHECK: math.sin %{{.*}} : f64
  %p = moe.sequence_positions {sequence_length = 3 : i64} : () -> tensor<6xi32>
  %cos, %sin = moe.rope_table %p {theta = 10000.0 : f64} : (tensor<6xi32>) -> (tensor<6x2xf32>, tensor<6x2xf32>)
  return %cos, %sin : tensor<6x2xf32>, tensor<6x2xf32>
}

// Heads are halves; each half reads the other.
// CHECK-LABEL: func.func @rope(
func.func @rope(%x: tensor<6x8xf32>, %cos: tensor<6x2xf32>, %sin: tensor<6x2xf32>) -> tensor<6x8xf32> {
  // CHECK: %[[HALVES:.*]] = tensor.expand_shape %{{.*}} {{\[}}[0], [1, 2, 3]] output_shape [6, 2, 2, 2]
  // CHECK: iterator_types = ["parallel", "parallel", "parallel", "parallel"]
  // CHECK: tensor.extract %[[HALVES]]
  // CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0], [1, 2, 3]] {moe_kernel.model_shape}
  %0 = moe.rope %x, %cos, %sin : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xf32>) -> tensor<6x8xf32>
  return %0 : tensor<6x8xf32>
}

// Two heads of four columns, each normalised by itself.
// CHECK-LABEL: func.func @rms_norm_of_heads(
func.func @rms_norm_of_heads(%x: tensor<6x8xf32>, %w: tensor<4xf32>) -> tensor<6x8xf32> {
  // CHECK: tensor.expand_shape %{{.*}} output_shape [6, 2, 4]
  // CHECK: iterator_types = ["parallel", "parallel", "reduction"]
  // CHECK: math.sqrt
  // CHECK: iterator_types = ["parallel", "parallel", "parallel"]
  %0 = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<6x8xf32>, tensor<4xf32>) -> tensor<6x8xf32>
  return %0 : tensor<6x8xf32>
}

// The gradient of the weight is a sum over tokens: chunks of 32 first, then the chunks.
// CHECK-LABEL: func.func @rms_norm_backward(
func.func @rms_norm_backward(%x: tensor<128x8xf32>, %w: tensor<8xf32>, %d: tensor<128x8xf32>) -> (tensor<128x8xf32>, tensor<8xf32>) {
  // CHECK: iterator_types = ["parallel", "reduction", "parallel"]
  // CHECK-SAME: tensor<4x32x8xf32>, tensor<4x32x8xf32>, tensor<4x32xf32>) outs(%{{.*}} : tensor<4x8xf32>)
  // CHECK: iterator_types = ["parallel", "reduction", "parallel"]
  // CHECK-SAME: tensor<1x4x8xf32>) outs(%{{.*}} : tensor<1x8xf32>)
  %dx, %dw = moe.rms_norm_backward %x, %w, %d {eps = 1.0e-5 : f64} : (tensor<128x8xf32>, tensor<8xf32>, tensor<128x8xf32>) -> (tensor<128x8xf32>, tensor<8xf32>)
  return %dx, %dw : tensor<128x8xf32>, tensor<8xf32>
}

// The weight of an entry is found by its number, the token by that number over top_k.
// CHECK-LABEL: func.func @dispatch(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>,
func.func @dispatch(%x: tensor<8x4xf32>, %p: tensor<16xi32>, %inverse: tensor<8x2xi32>, %w: tensor<8x2xf32>) -> tensor<16x4xf32> {
  // CHECK: %[[WEIGHTS:.*]] = tensor.collapse_shape
  // CHECK: %[[ENTRY:.*]] = arith.index_cast
  // CHECK: %[[TOKEN:.*]] = arith.divui %[[ENTRY]]
  // CHECK: tensor.extract %[[X]][%[[TOKEN]], %{{.*}}]
  // CHECK: tensor.extract %[[WEIGHTS]][%[[ENTRY]]]
  %0 = moe.dispatch %x plan(%p, %inverse) weights(%w) : (tensor<8x4xf32>, tensor<16xi32>, tensor<8x2xi32>, tensor<8x2xf32>) -> tensor<16x4xf32>
  return %0 : tensor<16x4xf32>
}

// Softmax without its matching choice of experts: highest, exponentials, sum, quotient.
// CHECK-LABEL: func.func @router_scores(
func.func @router_scores(%l: tensor<8x4xf32>, %d: tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  // CHECK: arith.maximumf
  // CHECK: math.exp
  // CHECK: arith.addf
  // CHECK: arith.divf
  %s = moe.router_scores %l {scoring_func = #moe.scoring_func<softmax>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  // CHECK: arith.subf
  %dl = moe.router_scores_backward %s, %d {scoring_func = #moe.scoring_func<softmax>} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %s, %dl : tensor<8x4xf32>, tensor<8x4xf32>
}

// Integers are compared, so that an expert with exactly the mean load does not move.
// CHECK-LABEL: func.func @update_selection_bias(
func.func @update_selection_bias(%b: tensor<4xf32>, %o: tensor<5xi32>) -> tensor<4xf32> {
  // CHECK: arith.subi
  // CHECK: arith.addi
  // CHECK: moe_kernel.in_place = array<i64: 0>
  // CHECK: arith.cmpi slt
  // CHECK: arith.cmpi sgt
  %load = moe.expert_load %o : (tensor<5xi32>) -> tensor<4xi32>
  %0 = moe.update_selection_bias %b, %load {rate = 1.0e-3 : f64} : (tensor<4xf32>, tensor<4xi32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// One-hot by comparing columns with the target.
// CHECK-LABEL: func.func @cross_entropy_backward(
func.func @cross_entropy_backward(%l: tensor<8x16xf32>, %t: tensor<8xi32>, %w: tensor<8xf32>, %lse: tensor<8xf32>, %d: tensor<f32>) -> tensor<8x16xf32> {
  // CHECK: linalg.index 1
  // CHECK: arith.cmpi eq
  // CHECK: arith.select
  // CHECK: math.exp
  %0 = moe.cross_entropy_backward %l, %t, %w, %lse, %d : (tensor<8x16xf32>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>) -> tensor<8x16xf32>
  return %0 : tensor<8x16xf32>
}

// Squares in chunks, whose sums are added in order.
// CHECK-LABEL: func.func @global_norm(
func.func @global_norm(%a: tensor<100x100xf32>, %b: tensor<3xf32>) -> tensor<f32> {
  // CHECK: moe_kernel.sum_of_squares %{{.*}}, %{{.*}} {chunk = 4096 : i64} : (tensor<100x100xf32>, tensor<3xf32>) -> tensor<4xf32>
  // CHECK: iterator_types = ["parallel", "reduction"]
  // CHECK: math.sqrt
  %0 = moe.global_norm %a, %b : (tensor<100x100xf32>, tensor<3xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// RUN: %moe-opt %s -moe-to-linalg -moe-fuse-elementwise -moe-fold-reshapes | FileCheck %s

// The norm of heads computes halves of heads, which the rotation gathers from. What has no loop that is divided keeps its
// shape; the result is rounded as before.
// CHECK-LABEL: func.func @heads(
// CHECK-SAME: %[[X:.*]]: tensor<6x8xbf16>, %[[W:.*]]: tensor<4xbf16>
func.func @heads(%x: tensor<6x8xbf16>, %w: tensor<4xbf16>, %c: tensor<6x2xf32>, %s: tensor<6x2xf32>) -> tensor<6x8xbf16> {
  // CHECK: %[[RECIPROCAL:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<6x2xf32>) outs(%{{.*}} : tensor<6x2xf32>)
  // CHECK-DAG: %[[PARTS:.*]] = tensor.expand_shape %[[X]] {{.*}} : tensor<6x8xbf16> into tensor<6x2x2x2xbf16>
  // CHECK-DAG: %[[SCALE:.*]] = tensor.expand_shape %[[W]] {{.*}} : tensor<4xbf16> into tensor<2x2xbf16>
  // CHECK: %[[NORMED:.*]] = linalg.generic {{.*}} ins(%[[PARTS]], %[[RECIPROCAL]], %[[SCALE]] : tensor<6x2x2x2xbf16>, tensor<6x2xf32>, tensor<2x2xbf16>)
  // CHECK: arith.truncf
  // CHECK: -> tensor<6x2x2x2xbf16>
  // CHECK-NOT: tensor.{{expand|collapse}}_shape
  // CHECK: linalg.generic {{.*}} ins(%[[NORMED]],
  // CHECK: tensor.extract %[[NORMED]][
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<6x8xbf16>, tensor<4xbf16>) -> tensor<6x8xbf16>
  %y = moe.rope %n, %c, %s : (tensor<6x8xbf16>, tensor<6x2xf32>, tensor<6x2xf32>) -> tensor<6x8xbf16>
  return %y : tensor<6x8xbf16>
}

// One group for all heads: no shape has to be collapsed first.
// CHECK-LABEL: func.func @all_heads(
func.func @all_heads(%x: tensor<6x8xf32>, %w: tensor<8xf32>, %c: tensor<6x2xf32>, %s: tensor<6x2xf32>) -> tensor<6x8xf32> {
  // CHECK: %[[NORMED:.*]] = linalg.generic {{.*}} : tensor<6x2x2x2xf32>, tensor<6xf32>, tensor<2x2x2xf32>)
  // CHECK: linalg.generic {{.*}} ins(%[[NORMED]],
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<6x8xf32>
  %y = moe.rope %n, %c, %s : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xf32>) -> tensor<6x8xf32>
  return %y : tensor<6x8xf32>
}

// One head: the reciprocals keep their one loop, so that they need no reshape either.
// CHECK-LABEL: func.func @one_head(
func.func @one_head(%x: tensor<6x4xf32>, %w: tensor<4xf32>, %c: tensor<6x2xf32>, %s: tensor<6x2xf32>) -> tensor<6x4xf32> {
  // CHECK: linalg.generic {{.*}} : tensor<6x2x2xf32>, tensor<6xf32>, tensor<2x2xf32>) outs(%{{.*}} : tensor<6x1x2x2xf32>)
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<6x4xf32>, tensor<4xf32>) -> tensor<6x4xf32>
  %y = moe.rope %n, %c, %s : (tensor<6x4xf32>, tensor<6x2xf32>, tensor<6x2xf32>) -> tensor<6x4xf32>
  return %y : tensor<6x4xf32>
}

// What another op reads as well stays as it is.
// CHECK-LABEL: func.func @read_twice(
func.func @read_twice(%x: tensor<6x8xf32>, %w: tensor<8xf32>, %c: tensor<6x2xf32>, %s: tensor<6x2xf32>)
    -> (tensor<6x8xf32>, tensor<6x8xf32>) {
  // CHECK: %[[NORMED:.*]] = linalg.generic {{.*}} : tensor<6x8xf32>, tensor<6xf32>, tensor<8xf32>)
  // CHECK: tensor.expand_shape %[[NORMED]]
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<6x8xf32>
  %y = moe.rope %n, %c, %s : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xf32>) -> tensor<6x8xf32>
  return %n, %y : tensor<6x8xf32>, tensor<6x8xf32>
}

// Rows are not divided: the kernel may have others of as many rows.
// CHECK-LABEL: func.func @rows(
func.func @rows(%x: tensor<6xf32>) -> tensor<2x3xf32> {
  // CHECK: %[[NEGATED:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<6xf32>)
  // CHECK: tensor.expand_shape %[[NEGATED]]
  %e = tensor.empty() : tensor<6xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<6xf32>) outs(%e : tensor<6xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.negf %a : f32
      linalg.yield %r : f32
  } -> tensor<6xf32>
  %m = tensor.expand_shape %n [[0, 1]] output_shape [2, 3] : tensor<6xf32> into tensor<2x3xf32>
  %f = tensor.empty() : tensor<2x3xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      outs(%f : tensor<2x3xf32>) {
    ^bb0(%o: f32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %two = arith.constant 2 : index
      %k = arith.subi %two, %j : index
      %r = tensor.extract %m[%i, %k] : tensor<2x3xf32>
      linalg.yield %r : f32
  } -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// Matmuls that become two kernels on sm_90a.
//
// RUN: moe-opt %s --split-input-file --moe-configure | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-configure --remarks-filter=configure -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=WHY

// Every column tile pays for a gather once more: here there are 112 of them, and a copy of the rows costs less. Launches
// that read the same rows read one copy of them.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-LABEL: moe_kernel.kernel @up_rows(
// CHECK-SAME: %[[TOKENS:.*]]: tensor<4096x4096xbf16>, %{{.*}}: tensor<8192xi32>) -> tensor<8192x4096xbf16>
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}], iterator_types = ["parallel", "parallel"]}
// CHECK: %[[TOKEN:.*]] = arith.divui %{{.*}}, %c2
// CHECK: tensor.extract %[[TOKENS]][%[[TOKEN]], %{{.*}}]
// CHECK-LABEL: moe_kernel.kernel @up_of_rows(
// CHECK-SAME: %[[ROWS:.*]]: tensor<8192x4096xbf16>, %[[W:.*]]: tensor<8x28672x4096xbf16>, %[[O:.*]]: tensor<9xi32>)
// CHECK-SAME: unit = wgmma
// CHECK: moe_kernel.matmul ragged_rows(%[[ROWS]], %[[W]]) offsets(%[[O]]) {
// CHECK-NOT: row_divisor
// WHY: Function=up | Remark="rows are copied first: a copy costs {{.*}} us and saves {{.*}} us in 2 launches"
// WHY: Function=up_of_rows | Remark="wgmma, 192 x 256 tiles, 3 stages, 1024 rows per expert: {{.*}} us (products {{.*}}, cache {{.*}}, memory {{.*}})"
moe_kernel.kernel @up(%x: tensor<4096x4096xbf16>, %w: tensor<8x28672x4096xbf16>, %o: tensor<9xi32>, %i: tensor<8192xi32>)
    -> tensor<8192x28672xbf16> {
  %r = moe_kernel.matmul ragged_rows (%x, %w) offsets(%o) rows(%i)
      {transpose_rhs, row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<9xi32>, tensor<8192xi32>) -> tensor<8192x28672xbf16> {
    ^bb0(%a: f32):
      %rounded = arith.truncf %a : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<8192x28672xbf16>
}

// CHECK-LABEL: moe_kernel.kernel @gradient_of_rows(
// CHECK-SAME: %[[D:.*]]: tensor<8192x28672xbf16>, %[[O:.*]]: tensor<9xi32>, %[[ROWS:.*]]: tensor<8192x4096xbf16>)
// CHECK: moe_kernel.matmul ragged_contraction(%[[D]], %[[ROWS]]) offsets(%[[O]]) {
// CHECK-NOT: gather_rhs
moe_kernel.kernel @gradient(%d: tensor<8192x28672xbf16>, %i: tensor<8192xi32>, %o: tensor<9xi32>, %x: tensor<4096x4096xbf16>)
    -> tensor<8x28672x4096xbf16> {
  %r = moe_kernel.matmul ragged_contraction (%d, %x) offsets(%o) rows(%i)
      {gather_rhs, row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8192x28672xbf16>, tensor<4096x4096xbf16>, tensor<9xi32>, tensor<8192xi32>) -> tensor<8x28672x4096xbf16> {
    ^bb0(%a: f32):
      %rounded = arith.truncf %a : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<8x28672x4096xbf16>
}

// CHECK-LABEL: func.func @layer(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4096x4096xbf16>, %[[W:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]: tensor<9xi32>, %[[I:[a-z0-9]+]]: tensor<8192xi32>)
// CHECK: %[[ROWS:.*]] = moe_kernel.launch @up_rows(%[[X]], %[[I]]) {label = "layer"}
// CHECK-NEXT: %[[H:.*]] = moe_kernel.launch @up_of_rows(%[[ROWS]], %[[W]], %[[O]]) {label = "layer"}
// CHECK-NEXT: moe_kernel.launch @gradient_of_rows(%[[H]], %[[O]], %[[ROWS]])
func.func @layer(%x: tensor<4096x4096xbf16>, %w: tensor<8x28672x4096xbf16>, %o: tensor<9xi32>, %i: tensor<8192xi32>)
    -> tensor<8x28672x4096xbf16> {
  %h = moe_kernel.launch @up(%x, %w, %o, %i) {label = "layer"}
      : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<9xi32>, tensor<8192xi32>) -> tensor<8192x28672xbf16>
  %g = moe_kernel.launch @gradient(%h, %i, %o, %x)
      : (tensor<8192x28672xbf16>, tensor<8192xi32>, tensor<9xi32>, tensor<4096x4096xbf16>) -> tensor<8x28672x4096xbf16>
  return %g : tensor<8x28672x4096xbf16>
}
}

// -----

// What is gathered by a plan's permutation is copied by its inverse, a token once for all of its rows, also where both come
// through calls. Whether they belong together is known in all calls of @backward, and not of an argument of @alone.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-LABEL: moe_kernel.kernel @wide_rows(
// CHECK-SAME: %[[TOKENS:.*]]: tensor<4096x4096xbf16>, %[[INVERSE:.*]]: tensor<4096x2xi32>) -> tensor<8192x4096xbf16>
// CHECK: moe_kernel.dispatch %[[TOKENS]], %[[INVERSE]]
// CHECK-LABEL: moe_kernel.kernel @wide_rows_0(
// CHECK-SAME: tensor<8192xi32>) -> tensor<8192x4096xbf16>
// CHECK: linalg.generic
moe_kernel.kernel @wide(%x: tensor<4096x4096xbf16>, %w: tensor<8x28672x4096xbf16>, %o: tensor<9xi32>, %i: tensor<8192xi32>)
    -> tensor<8192x28672xbf16> {
  %r = moe_kernel.matmul ragged_rows (%x, %w) offsets(%o) rows(%i)
      {transpose_rhs, row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<9xi32>, tensor<8192xi32>) -> tensor<8192x28672xbf16> {
    ^bb0(%a: f32):
      %rounded = arith.truncf %a : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<8192x28672xbf16>
}
moe_kernel.kernel @plan(%indices: tensor<4096x2xi32>) -> (tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>) {
  %r:3 = moe_kernel.plan %indices : (tensor<4096x2xi32>) -> (tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>
}

// CHECK-LABEL: func.func private @forward(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4096x4096xbf16>
// CHECK: %[[PLAN:.*]]:3 = moe_kernel.launch @plan(
// CHECK: moe_kernel.launch @wide_rows(%[[X]], %[[PLAN]]#2)
func.func private @forward(%x: tensor<4096x4096xbf16>, %w: tensor<8x28672x4096xbf16>, %indices: tensor<4096x2xi32>)
    -> (tensor<8192x28672xbf16>, tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>) {
  %o, %i, %inverse = moe_kernel.launch @plan(%indices)
      : (tensor<4096x2xi32>) -> (tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>)
  %r = moe_kernel.launch @wide(%x, %w, %o, %i)
      : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<9xi32>, tensor<8192xi32>) -> tensor<8192x28672xbf16>
  return %r, %o, %i, %inverse : tensor<8192x28672xbf16>, tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>
}
// CHECK-LABEL: func.func private @backward(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4096x4096xbf16>, {{.*}}, %[[OTHER:[a-z0-9]+]]: tensor<4096x2xi32>, %[[INVERSE:[a-z0-9]+]]: tensor<4096x2xi32>)
// CHECK: moe_kernel.launch @wide_rows(%[[X]], %[[INVERSE]])
func.func private @backward(%x: tensor<4096x4096xbf16>, %w: tensor<8x28672x4096xbf16>, %o: tensor<9xi32>, %i: tensor<8192xi32>,
    %indices: tensor<4096x2xi32>, %inverse: tensor<4096x2xi32>) -> tensor<8192x28672xbf16> {
  %r = moe_kernel.launch @wide(%x, %w, %o, %i)
      : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<9xi32>, tensor<8192xi32>) -> tensor<8192x28672xbf16>
  return %r : tensor<8192x28672xbf16>
}
// CHECK-LABEL: func.func @alone(
// CHECK-SAME: %[[I:[a-z0-9]+]]: tensor<8192xi32>, %{{.*}}: tensor<4096x2xi32>)
// CHECK: moe_kernel.launch @wide_rows_0(%{{.*}}, %[[I]])
func.func @alone(%x: tensor<4096x4096xbf16>, %w: tensor<8x28672x4096xbf16>, %o: tensor<9xi32>, %i: tensor<8192xi32>,
    %inverse: tensor<4096x2xi32>) -> tensor<8192x28672xbf16> {
  %r = moe_kernel.launch @wide(%x, %w, %o, %i)
      : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<9xi32>, tensor<8192xi32>) -> tensor<8192x28672xbf16>
  return %r : tensor<8192x28672xbf16>
}
func.func @step(%x: tensor<4096x4096xbf16>, %w: tensor<8x28672x4096xbf16>, %indices: tensor<4096x2xi32>)
    -> (tensor<8192x28672xbf16>, tensor<8192x28672xbf16>) {
  %f:4 = func.call @forward(%x, %w, %indices) : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<4096x2xi32>)
      -> (tensor<8192x28672xbf16>, tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>)
  %b = func.call @backward(%x, %w, %f#1, %f#2, %indices, %f#3)
      : (tensor<4096x4096xbf16>, tensor<8x28672x4096xbf16>, tensor<9xi32>, tensor<8192xi32>, tensor<4096x2xi32>,
         tensor<4096x2xi32>) -> tensor<8192x28672xbf16>
  return %f#0, %b : tensor<8192x28672xbf16>, tensor<8192x28672xbf16>
}
}

// -----

// Six column tiles: a pass over the rows costs more than the gather.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-LABEL: moe_kernel.kernel @few_columns(
// CHECK: moe_kernel.matmul ragged_rows(%{{.*}}, %{{.*}}) offsets(%{{.*}}) rows(%{{.*}})
// CHECK-LABEL: func.func @stays
// CHECK: moe_kernel.launch @few_columns(
// WHY: Function=few_columns | Remark="rows are gathered in the kernel: a copy costs {{.*}} us and saves {{.*}} us in 1 launches"
// WHY: Function=few_columns | Remark="wgmma, 192 x 256 tiles, 3 stages, 512 rows per expert: {{.*}}, gathers rows"
moe_kernel.kernel @few_columns(%x: tensor<8192x2048xbf16>, %w: tensor<128x1536x2048xbf16>, %o: tensor<129xi32>,
    %i: tensor<65536xi32>) -> tensor<65536x1536xbf16> {
  %r = moe_kernel.matmul ragged_rows (%x, %w) offsets(%o) rows(%i)
      {transpose_rhs, row_divisor = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8192x2048xbf16>, tensor<128x1536x2048xbf16>, tensor<129xi32>, tensor<65536xi32>) -> tensor<65536x1536xbf16> {
    ^bb0(%a: f32):
      %rounded = arith.truncf %a : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<65536x1536xbf16>
}
func.func @stays(%x: tensor<8192x2048xbf16>, %w: tensor<128x1536x2048xbf16>, %o: tensor<129xi32>,
    %i: tensor<65536xi32>) -> tensor<65536x1536xbf16> {
  %r = moe_kernel.launch @few_columns(%x, %w, %o, %i)
      : (tensor<8192x2048xbf16>, tensor<128x1536x2048xbf16>, tensor<129xi32>, tensor<65536xi32>) -> tensor<65536x1536xbf16>
  return %r : tensor<65536x1536xbf16>
}
}

// -----

// Eight tiles, each of 256 stages, would leave most multiprocessors idle. The sum of the parts, in order, and what the
// epilogue adds in place are a kernel of rows.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-LABEL: moe_kernel.kernel @weight_gradient_parts(
// CHECK-SAME: -> tensor<8x128x1024xf32>
// CHECK-SAME: unit = wgmma
// CHECK: moe_kernel.matmul dense(%{{.*}}, %{{.*}}) {parts = 8 : i64, result_extents = [#moe_kernel.extent<full>], transpose_lhs}
// CHECK-LABEL: moe_kernel.kernel @weight_gradient(
// CHECK-SAME: %[[PARTS:.*]]: tensor<8x128x1024xf32>, %[[OLD:.*]]: tensor<128x1024xbf16> {moe_kernel.tied = 0 : i64})
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[PARTS]]
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]} ins(%{{.*}}, %[[OLD]]
// CHECK: arith.truncf
// WHY: Function=weight_gradient | Remark="its contraction is summed in 8 parts: {{.*}} us instead of {{.*}} us"
moe_kernel.kernel @weight_gradient(%y: tensor<16384x128xbf16>, %x: tensor<16384x1024xbf16>,
    %old: tensor<128x1024xbf16> {moe_kernel.tied = 0 : i64}) -> tensor<128x1024xbf16> {
  %r = moe_kernel.matmul dense (%y, %x) extras(%old)
      {transpose_lhs, extra_extents = [#moe_kernel.extent<full>], result_extents = [#moe_kernel.extent<full>]}
      : (tensor<16384x128xbf16>, tensor<16384x1024xbf16>, tensor<128x1024xbf16>) -> tensor<128x1024xbf16> {
    ^bb0(%a: f32, %e: bf16):
      %wide = arith.extf %e : bf16 to f32
      %s = arith.addf %a, %wide : f32
      %rounded = arith.truncf %s : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<128x1024xbf16>
}
// CHECK-LABEL: func.func @step(
// CHECK: %[[SUMS:.*]] = moe_kernel.launch @weight_gradient_parts(%{{.*}}, %{{.*}}) {label = "step"}
// CHECK: moe_kernel.launch @weight_gradient(%[[SUMS]], %{{.*}}) {label = "step"}
func.func @step(%y: tensor<16384x128xbf16>, %x: tensor<16384x1024xbf16>, %old: tensor<128x1024xbf16>)
    -> tensor<128x1024xbf16> {
  %r = moe_kernel.launch @weight_gradient(%y, %x, %old) {label = "step"}
      : (tensor<16384x128xbf16>, tensor<16384x1024xbf16>, tensor<128x1024xbf16>) -> tensor<128x1024xbf16>
  return %r : tensor<128x1024xbf16>
}
}

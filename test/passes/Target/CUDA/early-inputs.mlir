// What no launch of a kernel has written just before, its code may read before it waits: weights, and plans of routing.
//
// RUN: moe-opt %s --moe-configure --moe-cuda-emit-kernels | FileCheck %s

module attributes {moe.target = "cuda:sm_90a"} {

// The weights are on their way before the wait, the row of the kernel before after it.
// CHECK-LABEL: moe_exec.kernel @settled in @cuda
// CHECK-SAME: early_inputs = array<i64: 1>
// CHECK: gpu.func @settled(%[[A:.*]]: memref<1x256xbf16>, %[[B:.*]]: memref<64x256xbf16>,
// CHECK: %[[WEIGHTS:.*]] = memref.reinterpret_cast %[[B]]
// CHECK: nvgpu.device_async_copy %[[WEIGHTS]]{{\[}}
// CHECK-NOT: {{vector.load|reinterpret_cast %[[A]]}}
// CHECK: griddepcontrol.wait
// CHECK-NEXT: griddepcontrol.launch_dependents
// CHECK: %[[ROW:.*]] = memref.reinterpret_cast %[[A]]
// CHECK: vector.load %[[ROW]]{{\[}}
// CHECK-NOT: griddepcontrol.wait
// CHECK: gpu.return
moe_kernel.kernel @settled(%a: tensor<1x256xbf16>, %b: tensor<64x256xbf16>) -> tensor<1x64xbf16> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x256xbf16>, tensor<64x256xbf16>) -> tensor<1x64xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<1x64xbf16>
}

// One of its launches follows what writes the weights.
// CHECK-LABEL: moe_exec.kernel @written in @cuda
// CHECK-NOT: early_inputs
// CHECK: gpu.func @written
// CHECK-NOT: nvgpu.device_async_copy
// CHECK: griddepcontrol.wait
moe_kernel.kernel @written(%a: tensor<1x512xbf16>, %b: tensor<64x512xbf16>) -> tensor<1x64xbf16> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x512xbf16>, tensor<64x512xbf16>) -> tensor<1x64xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<1x64xbf16>
}

// Offsets that are older than the kernel before are read past the first-level cache, once for the block.
// CHECK-LABEL: moe_exec.kernel @experts in @cuda
// CHECK-SAME: early_inputs = array<i64: 1, 2>
// CHECK: llvm.load %{{.*}} atomic syncscope("device") monotonic
// CHECK: gpu.barrier
// CHECK: nvgpu.device_async_copy
// CHECK: griddepcontrol.wait
moe_kernel.kernel @experts(%a: tensor<4x256xbf16>, %b: tensor<8x64x256xbf16>, %o: tensor<9xi32>) -> tensor<4x64xbf16> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<4x256xbf16>, tensor<8x64x256xbf16>, tensor<9xi32>) -> tensor<4x64xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<4x64xbf16>
}

// The same for the experts of one token, and where each row has come from.
// CHECK-LABEL: moe_exec.kernel @combined in @cuda
// CHECK-SAME: early_inputs = array<i64: 1, 2, 3, 4>
// CHECK-COUNT-2: llvm.load %{{.*}} atomic syncscope("device") monotonic
// CHECK: nvgpu.device_async_copy
// CHECK: griddepcontrol.wait
moe_kernel.kernel @combined(%a: tensor<4x256xbf16>, %b: tensor<8x64x256xbf16>, %o: tensor<9xi32>, %i: tensor<1x4xi32>,
    %w: tensor<1x4xf32>) -> tensor<1x64xbf16> {
  %r = moe_kernel.combined_matmul %a, %b, %o, %i, %w : (tensor<4x256xbf16>, tensor<8x64x256xbf16>, tensor<9xi32>,
      tensor<1x4xi32>, tensor<1x4xf32>) -> tensor<1x64xbf16>
  moe_kernel.return %r : tensor<1x64xbf16>
}

// A single token's router has its weights in registers before the token is there.
// CHECK-LABEL: moe_exec.kernel @router in @cuda
// CHECK-SAME: early_inputs = array<i64: 1>
// CHECK: gpu.func @router(%[[X:.*]]: memref<1x1024xbf16>, %[[W:.*]]: memref<64x1024xbf16>,
// CHECK: llvm.load %{{.*}} atomic syncscope("device") monotonic
// CHECK-NOT: vector.load
// CHECK: griddepcontrol.wait
// CHECK-NOT: atomic syncscope
// CHECK: %[[TOKEN:.*]] = memref.reinterpret_cast %[[X]]
// CHECK: vector.load %[[TOKEN]]
moe_kernel.kernel @router(%x: tensor<1x1024xbf16>, %w: tensor<64x1024xbf16>)
    -> (tensor<1x64xf32>, tensor<1x8xf32>, tensor<1x8xi32>) {
  %s, %k, %i = moe_kernel.router %x, %w {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true,
      routed_scaling_factor = 1.0 : f64, resultSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
      : (tensor<1x1024xbf16>, tensor<64x1024xbf16>) -> (tensor<1x64xf32>, tensor<1x8xf32>, tensor<1x8xi32>)
  moe_kernel.return %s, %k, %i : tensor<1x64xf32>, tensor<1x8xf32>, tensor<1x8xi32>
}

// Nothing is known of a kernel that no program launches.
// CHECK-LABEL: moe_exec.kernel @not_launched in @cuda
// CHECK-NOT: early_inputs
// CHECK: gpu.func @not_launched
moe_kernel.kernel @not_launched(%a: tensor<2x256xbf16>, %b: tensor<64x256xbf16>) -> tensor<2x64xbf16> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<2x256xbf16>, tensor<64x256xbf16>) -> tensor<2x64xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<2x64xbf16>
}

moe_exec.program @step workspace(524288) inputs(["rows", "offsets", "inverse", "weights"]
    : [tensor<4x256xbf16>, tensor<9xi32>, tensor<1x4xi32>, tensor<1x4xf32>]) outputs([] : []) {
  moe_exec.launch @settled(workspace[0 : 512], workspace[32768 : 32768]) -> (workspace[512 : 128])
  moe_exec.launch @written(workspace[0 : 1024], workspace[65536 : 65536]) -> (workspace[1024 : 128])
  moe_exec.launch @settled(workspace[1024 : 512], workspace[32768 : 32768]) -> (workspace[65536 : 128])
  moe_exec.launch @written(workspace[0 : 1024], workspace[65536 : 65536]) -> (workspace[1024 : 128])
  moe_exec.launch @experts(input 0[0 : 2048], workspace[131072 : 262144], input 1[0 : 36]) -> (workspace[2048 : 512])
}
moe_exec.program @token workspace(524288) inputs(["offsets", "inverse", "weights"]
    : [tensor<9xi32>, tensor<1x4xi32>, tensor<1x4xf32>]) outputs([] : []) {
  moe_exec.launch @router(workspace[400128 : 2048], workspace[4096 : 131072])
      -> (workspace[300032 : 256], workspace[300288 : 32], workspace[300544 : 32])
  moe_exec.launch @experts(workspace[400128 : 2048], workspace[4096 : 262144], input 0[0 : 36]) -> (workspace[2048 : 512])
  moe_exec.launch @combined(workspace[2048 : 2048], workspace[4096 : 262144], input 0[0 : 36], input 1[0 : 16],
      input 2[0 : 16]) -> (workspace[300032 : 128])
}
}

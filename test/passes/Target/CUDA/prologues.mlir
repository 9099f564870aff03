// RUN: rm -rf %t && moe-opt %s --moe-cuda-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s < %t/double_to_linear.ptx

#row = affine_map<(d0, d1) -> (d0, d1)>

// Weights are on their way before the kernel waits for the one before it, and the second-level cache has been asked for
// what the rows need beside that one's result. Then the block computes the rows into shared memory; the first block
// writes them to memory too. The threads that multiply read them from there: what comes by cp.async is weights alone.
// CHECK-LABEL: .entry double_to_linear(
// CHECK: .reqntid 128, 1, 1
// CHECK: prefetch.global.L2
// CHECK: cp.async.cg.shared.global
// CHECK: griddepcontrol.wait;
// CHECK: griddepcontrol.launch_dependents;
// CHECK-NOT: cp.async.{{.*}}shared.global
// CHECK: ld.global
// CHECK: st.shared.v4
// CHECK: bar.sync
// CHECK: ld.shared.v4
// CHECK: st.global.v4
// CHECK: bar.sync
// CHECK: mma.sync
module attributes {moe.target = "cuda:sm_90a"} {
  moe_kernel.kernel @double_to_linear(%x: tensor<1x256xbf16>, %s: tensor<256xbf16>, %w: tensor<512x256xbf16>)
      -> (tensor<1x256xbf16>, tensor<1x512xbf16>) {
    %0 = moe_kernel.launch @double(%x, %s) : (tensor<1x256xbf16>, tensor<256xbf16>) -> tensor<1x256xbf16>
    %1 = moe_kernel.launch @linear(%0, %w) : (tensor<1x256xbf16>, tensor<512x256xbf16>) -> tensor<1x512xbf16>
    moe_kernel.return %0, %1 : tensor<1x256xbf16>, tensor<1x512xbf16>
  }
  // Rows by one block of 32 threads, 8 elements at a time.
  moe_kernel.kernel @double(%x: tensor<1x256xbf16>, %s: tensor<256xbf16>) -> tensor<1x256xbf16> attributes {
      config = #moe_kernel.cuda_config<threads = 32, tile_m = 1, tile_n = 256, tile_k = 1, stages = 1>} {
    %zero = arith.constant 0.0 : f32
    %none = tensor.empty() : tensor<1xf32>
    %init = linalg.fill ins(%zero : f32) outs(%none : tensor<1xf32>) -> tensor<1xf32>
    %sum = linalg.generic {indexing_maps = [#row, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
        ins(%x : tensor<1x256xbf16>) outs(%init : tensor<1xf32>) {
    ^bb0(%in: bf16, %so_far: f32):
      %wide = arith.extf %in : bf16 to f32
      %next = arith.addf %so_far, %wide : f32
      linalg.yield %next : f32
    } -> tensor<1xf32>
    %empty = tensor.empty() : tensor<1x256xbf16>
    %0 = linalg.generic {indexing_maps = [#row, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, #row],
                         iterator_types = ["parallel", "parallel"]}
        ins(%x, %sum, %s : tensor<1x256xbf16>, tensor<1xf32>, tensor<256xbf16>) outs(%empty : tensor<1x256xbf16>) {
    ^bb0(%in: bf16, %all: f32, %scale: bf16, %out: bf16):
      %wide = arith.extf %in : bf16 to f32
      %factor = arith.extf %scale : bf16 to f32
      %more = arith.addf %wide, %all : f32
      %scaled = arith.mulf %more, %factor : f32
      %narrow = arith.truncf %scaled : f32 to bf16
      linalg.yield %narrow : bf16
    } -> tensor<1x256xbf16>
    moe_kernel.return %0 : tensor<1x256xbf16>
  }
  moe_kernel.kernel @linear(%x: tensor<1x256xbf16>, %w: tensor<512x256xbf16>) -> tensor<1x512xbf16> attributes {
      config = #moe_kernel.cuda_config<threads = 128, tile_m = 8, tile_n = 16, tile_k = 256, stages = 2, unit = stream>} {
    %0 = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
        : (tensor<1x256xbf16>, tensor<512x256xbf16>) -> tensor<1x512xbf16> {
    ^bb0(%acc: f32):
      %r = arith.truncf %acc : f32 to bf16
      moe_kernel.yield %r : bf16
    }
    moe_kernel.return %0 : tensor<1x512xbf16>
  }
  moe.variable @s parameter ones : tensor<256xbf16>
  moe.variable @w parameter normal 0.02 : tensor<512x256xbf16>
  moe_exec.program @run workspace(0) inputs(["x"] : [tensor<1x256xbf16>]) outputs(["y", "z"] : [tensor<1x256xbf16>, tensor<1x512xbf16>]) {
    moe_exec.launch @double_to_linear(input 0[0 : 512], @s[0 : 512], @w[0 : 262144]) -> (output 0[0 : 512], output 1[0 : 1024])
  }
}

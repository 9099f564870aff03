// RUN: rm -rf %t && moe-opt %s --moe-fuse --moe-configure -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: FileCheck %s --check-prefix=UNEVEN < %t.mlir
// RUN: sed "/func[.]func/,/^  }/d" %t.mlir | moe-opt --moe-cuda-codegen=dump-to=%t -o %t.codegen.mlir
// RUN: FileCheck %s --check-prefix=ROWS < %t/rms_norm_backward_add_16384x1024.ptx
// RUN: FileCheck %s --check-prefix=HEADS < %t/rope_inverse_rms_norm_backward_16384x512.ptx
// RUN: FileCheck %s --check-prefix=SUM < %t/sum_chunks_1024.ptx

// CHECK-LABEL: func.func @rows(
// CHECK-NEXT: = moe_kernel.launch @rms_norm_backward_add_16384x1024({{.*}} -> (tensor<256x1024xf32>, tensor<16384x1024xbf16>)
// CHECK-NEXT: = moe_kernel.launch @sum_chunks_1024(
// CHECK-NEXT: return
// CHECK-LABEL: func.func @heads(
// CHECK-NEXT: = moe_kernel.launch @rope_inverse_rms_norm_backward_16384x512({{.*}} -> (tensor<16384x512xbf16>, tensor<256x128xf32>)
// CHECK-NEXT: = moe_kernel.launch @sum_chunks_128(
// CHECK-NEXT: return
// Few columns: sixteen warps share the chunks of 32 columns.
// CHECK: moe_kernel.kernel @sum_chunks_1024({{.*}} #moe_kernel.cuda_config<threads = 512, tile_m = 1, tile_n = 32, tile_k = 16,
// CHECK: moe_kernel.kernel @rms_norm_backward_add_16384x1024({{.*}} #moe_kernel.cuda_config<threads = 256, tile_m = 8, tile_n = 256,
// CHECK: moe_kernel.kernel @rope_inverse_rms_norm_backward_16384x512({{.*}} #moe_kernel.cuda_config<threads = 512, tile_m = 32, tile_n = 128,

// UNEVEN: moe_kernel.kernel @rms_norm_backward_9x1000({{.*}} #moe_kernel.cuda_config<threads = 64, tile_m = 1, tile_n = 256,

// A warp reads a row of each of three tensors once, before it computes the one it has read, and the weight; it writes one,
// row after row. What its threads have added up meets in shared memory when the chunk is done.
// ROWS: .reqntid 256
// ROWS: $L__BB0_1:
// ROWS-COUNT-12: ld.global.nc.v4.b32
// ROWS: sqrt.rn.f32
// ROWS-COUNT-4: ld.global.nc.v4.b32
// ROWS-NOT: ld.global
// ROWS-COUNT-5: shfl.sync.bfly.b32
// ROWS-NOT: ld.global
// ROWS-COUNT-4: st.global.v4.b32
// ROWS-NOT: {{ld|st}}.global
// ROWS: bra
// ROWS: st.shared.v4.b32
// ROWS: bar.sync
// ROWS-COUNT-8: ld.shared.v4.b32
// ROWS: st.global.v4.b32
// ROWS-NOT: bar.sync

// Half a warp for a head: what the rotation that is undone gives stays in registers.
// HEADS: .reqntid 512
// HEADS-NOT: {{st|ld}}.shared
// HEADS: sqrt.rn.f32
// HEADS-NOT: {{st|ld}}.shared
// HEADS: st.global.v4.b32
// HEADS: bra
// HEADS: st.shared.v4.b32
// HEADS: bar.sync

// SUM: .reqntid 512
// SUM-COUNT-16: ld.global.nc.b32
// SUM: st.shared.b32
// SUM: bar.sync
// SUM-COUNT-16: ld.shared.b32
// SUM: cvt.rn.bf16.f32

!rows = tensor<16384x1024xbf16>
!heads = tensor<16384x512xbf16>
!table = tensor<16384x64xf32>
module attributes {moe.target = "cuda:sm_90a"} {
func.func @rows(%x: !rows, %w: tensor<1024xbf16>, %g: !rows, %z: !rows) -> (!rows, tensor<1024xbf16>) {
  %dx, %dw = moe.rms_norm_backward %x, %w, %g {eps = 1.0e-6 : f64} : (!rows, tensor<1024xbf16>, !rows) -> (!rows, tensor<1024xbf16>)
  %sum = moe.add %z, %dx : !rows
  return %sum, %dw : !rows, tensor<1024xbf16>
}

func.func @heads(%x: !heads, %w: tensor<128xbf16>, %g: !heads, %c: !table, %s: !table) -> (!heads, tensor<128xbf16>) {
  %n = moe.rope %g, %c, %s {inverse} : (!heads, !table, !table) -> !heads
  %dx, %dw = moe.rms_norm_backward %x, %w, %n {eps = 1.0e-6 : f64} : (!heads, tensor<128xbf16>, !heads) -> (!heads, tensor<128xbf16>)
  return %dx, %dw : !heads, tensor<128xbf16>
}
// Two warps for a row, and a chunk of nine rows: a block of four rows would have one of them take a turn more.
func.func @uneven(%x: tensor<9x1000xf32>, %w: tensor<1000xf32>, %g: tensor<9x1000xf32>) -> (tensor<9x1000xf32>, tensor<1000xf32>) {
  %dx, %dw = moe.rms_norm_backward %x, %w, %g {eps = 1.0e-6 : f64} : (tensor<9x1000xf32>, tensor<1000xf32>, tensor<9x1000xf32>) -> (tensor<9x1000xf32>, tensor<1000xf32>)
  return %dx, %dw : tensor<9x1000xf32>, tensor<1000xf32>
}
}

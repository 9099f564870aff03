// RUN: rm -rf %t && moe-opt %s --moe-fuse --moe-configure -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: sed "/func[.]func/,/^  }/d" %t.mlir | moe-opt --moe-cuda-codegen=dump-to=%t -o %t.codegen.mlir
// RUN: FileCheck %s --check-prefixes=PTX,MANY < %t/rms_norm_rope_512x2048.ptx
// RUN: FileCheck %s --check-prefixes=PTX,ONE < %t/rms_norm_rope_1x2048.ptx

// Heads are rows of the kernel, of one token as well: half a warp has one, and two blocks' rows are different heads.
// CHECK-LABEL: func.func @many(
// CHECK-NEXT: moe_kernel.launch @rms_norm_rope_512x2048(
// CHECK-NEXT: return
// CHECK-LABEL: func.func @one(
// CHECK-NEXT: moe_kernel.launch @rms_norm_rope_1x2048(
// CHECK-NEXT: return
// CHECK: moe_kernel.kernel @rms_norm_rope_512x2048({{.*}} #moe_kernel.cuda_config<threads = 256, tile_m = 16, tile_n = 128,
// CHECK: moe_kernel.kernel @rms_norm_rope_1x2048({{.*}} #moe_kernel.cuda_config<threads = 32, tile_m = 2, tile_n = 128,

// A thread reads its eight elements once, and all that it will need before anything waits. They are normalised and rounded into shared memory, where the threads of the head
// find the other half, and nothing but the result is written; blocks do not wait.
// MANY: .reqntid 256
// ONE: .reqntid 32
// PTX-NOT: bar.sync
// PTX: ld.global.nc.v4.b32
// PTX: ld.global.nc.v4.b32
// PTX: ld.global.nc.v4.b32
// PTX: shfl.sync.bfly.b32 {{.*}}, 1, 31, -1;
// PTX-NOT: ld.global
// PTX: sqrt.rn.f32
// PTX: cvt.rn.bf16x2.f32
// PTX-NOT: st.global
// PTX: st.shared.v4.b32
// PTX-NEXT: bar.warp.sync
// PTX-COUNT-2: ld.shared.v4.b32
// PTX-NOT: bar.
// PTX: st.global.v4.b32
// PTX-NOT: {{st|ld}}.

module attributes {moe.target = "cuda:sm_90a"} {
func.func @many(%x: tensor<512x2048xbf16>, %w: tensor<128xbf16>, %c: tensor<512x64xf32>, %s: tensor<512x64xf32>)
    -> tensor<512x2048xbf16> {
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<512x2048xbf16>, tensor<128xbf16>) -> tensor<512x2048xbf16>
  %y = moe.rope %n, %c, %s : (tensor<512x2048xbf16>, tensor<512x64xf32>, tensor<512x64xf32>) -> tensor<512x2048xbf16>
  return %y : tensor<512x2048xbf16>
}

func.func @one(%x: tensor<1x2048xbf16>, %w: tensor<128xbf16>, %c: tensor<1x64xf32>, %s: tensor<1x64xf32>)
    -> tensor<1x2048xbf16> {
  %n = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<1x2048xbf16>, tensor<128xbf16>) -> tensor<1x2048xbf16>
  %y = moe.rope %n, %c, %s : (tensor<1x2048xbf16>, tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x2048xbf16>
  return %y : tensor<1x2048xbf16>
}
}

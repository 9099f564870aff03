// Structured ops and rows on bf16 compile to PTX as configured and keep their values in registers. Products, sums and
// exchanges are of float32 where CUDA cores form them.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s --check-prefix=NORM --input-file=%t/norm.ptx
// RUN: FileCheck %s --check-prefix=SCATTER --input-file=%t/scatter.ptx
// RUN: FileCheck %s --check-prefix=FMA --input-file=%t/contraction.ptx
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=ALL

// ALL-NOT: .local
// ALL-NOT: .extern .func

// Eight elements at a time, rounded in pairs.
// NORM: ld.global.nc.v4.b32
// NORM: fma.rn.f32
// NORM: cvt.rn.bf16x2.f32
// NORM: st.global.v4.b32

// What is added to stays in shared memory until it is rounded.
// SCATTER: st.shared.b32
// SCATTER: bar.sync
// SCATTER: add.rn.f32
// SCATTER: cvt.rn.bf16x2.f32
// SCATTER: st.global.v2.b32
// SCATTER-NOT: {{atom|red}}.{{.*}}f32

// FMA: ld.global{{.*}}b16
// FMA: ld.shared.v4
// FMA: fma.rn.f32

module attributes {moe.target = "cuda:sm_80"} {

moe_kernel.kernel @contraction(%a: tensor<1024x128xbf16>, %b: tensor<1024x96xbf16>, %o: tensor<9xi32>)
    -> tensor<8x128x96xbf16> attributes {config = #moe_kernel.cuda_config<threads = 256, tile_m = 64, tile_n = 64, tile_k = 16, stages = 2>} {
  %r = moe_kernel.matmul ragged_contraction (%a, %b) offsets(%o) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x128xbf16>, tensor<1024x96xbf16>, tensor<9xi32>) -> tensor<8x128x96xbf16> {
    ^bb0(%x: f32):
      %y = arith.truncf %x : f32 to bf16
      moe_kernel.yield %y : bf16
  }
  moe_kernel.return %r : tensor<8x128x96xbf16>
}

moe_kernel.kernel @attention(%q: tensor<512x512xbf16>, %k: tensor<512x256xbf16>, %v: tensor<512x256xbf16>)
    -> (tensor<512x512xbf16>, tensor<512x4xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>) -> (tensor<512x512xbf16>, tensor<512x4xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<512x512xbf16>, tensor<512x4xf32>
}

moe_kernel.kernel @attention_backward(%q: tensor<512x512xbf16>, %k: tensor<512x256xbf16>, %v: tensor<512x256xbf16>,
    %o: tensor<512x512xbf16>, %l: tensor<512x4xf32>, %g: tensor<512x512xbf16>)
    -> (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>, tensor<512x512xbf16>, tensor<512x4xf32>,
         tensor<512x512xbf16>) -> (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>
}

moe_kernel.kernel @decode(%q: tensor<4x512xbf16>, %k: tensor<4x300x256xbf16>, %v: tensor<4x300x256xbf16>,
    %p: tensor<4x1xi32>) -> tensor<4x512xbf16> {
  %r = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64}
      : (tensor<4x512xbf16>, tensor<4x300x256xbf16>, tensor<4x300x256xbf16>, tensor<4x1xi32>) -> tensor<4x512xbf16>
  moe_kernel.return %r : tensor<4x512xbf16>
}

moe_kernel.kernel @dispatch(%x: tensor<64x104xbf16>, %inverse: tensor<64x6xi32>) -> tensor<384x104xbf16> {
  %r = moe_kernel.dispatch %x, %inverse : (tensor<64x104xbf16>, tensor<64x6xi32>) -> tensor<384x104xbf16>
  moe_kernel.return %r : tensor<384x104xbf16>
}

moe_kernel.kernel @scatter(%i: tensor<64xi32>, %x: tensor<64x100xbf16>) -> tensor<1000x100xbf16> {
  %r = moe_kernel.scatter_add %i, %x : (tensor<64xi32>, tensor<64x100xbf16>) -> tensor<1000x100xbf16>
  moe_kernel.return %r : tensor<1000x100xbf16>
}

moe_kernel.kernel @append(%c: tensor<2x10x64xbf16> {moe_kernel.tied = 0 : i64}, %x: tensor<6x64xbf16>,
    %p: tensor<2x3xi32>) -> tensor<2x10x64xbf16> {
  %r = moe_kernel.cache_append %c, %x, %p
      : (tensor<2x10x64xbf16>, tensor<6x64xbf16>, tensor<2x3xi32>) -> tensor<2x10x64xbf16>
  moe_kernel.return %r : tensor<2x10x64xbf16>
}

moe_kernel.kernel @squares(%a: tensor<3x1000xbf16>, %b: tensor<bf16>, %c: tensor<17xbf16>) -> tensor<5xf32> {
  %r = moe_kernel.sum_of_squares %a, %b, %c {chunk = 1024 : i64}
      : (tensor<3x1000xbf16>, tensor<bf16>, tensor<17xbf16>) -> tensor<5xf32>
  moe_kernel.return %r : tensor<5xf32>
}

moe_kernel.kernel @norm(%x: tensor<1024x256xbf16>, %w: tensor<256xbf16>) -> tensor<1024x256xbf16> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1024xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1024xf32>) -> tensor<1024xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                         iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<1024x256xbf16>) outs(%f : tensor<1024xf32>) {
    ^bb0(%a: bf16, %acc: f32):
      %wide = arith.extf %a : bf16 to f32
      %m = arith.mulf %wide, %wide : f32
      %r = arith.addf %acc, %m : f32
      linalg.yield %r : f32
  } -> tensor<1024xf32>
  %e2 = tensor.empty() : tensor<1024x256xbf16>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>,
                                        affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum, %w : tensor<1024x256xbf16>, tensor<1024xf32>, tensor<256xbf16>)
      outs(%e2 : tensor<1024x256xbf16>) {
    ^bb0(%a: bf16, %s: f32, %b: bf16, %o: bf16):
      %wide = arith.extf %a : bf16 to f32
      %weight = arith.extf %b : bf16 to f32
      %scale = math.rsqrt %s : f32
      %m = arith.mulf %wide, %scale : f32
      %r = arith.mulf %m, %weight : f32
      %rounded = arith.truncf %r : f32 to bf16
      linalg.yield %rounded : bf16
  } -> tensor<1024x256xbf16>
  moe_kernel.return %y : tensor<1024x256xbf16>
}
}

// What streams: products of at most 32 rows, or of experts that have few on average, whose contraction is contiguous in
// weights of bf16; and attention of single queries over caches of bf16. The same on every GPU.
//
// RUN: moe-opt %s --moe-configure | FileCheck %s
// RUN: moe-opt %s --moe-configure --remarks-filter=configure -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

module attributes {moe.target = "cuda:sm_90a"} {

// All weights of a block are under way at once. Sixteen columns make more blocks.
// CHECK-LABEL: @one_row
// REMARK: Function=one_row{{.*}}stream, 8 x 16 tiles, 256 of the contraction a stage, 5 stages
// CHECK-SAME: <threads = 128, tile_m = 8, tile_n = 16, tile_k = 256, stages = 5, unit = stream>
moe_kernel.kernel @one_row(%a: tensor<1x1024xbf16>, %b: tensor<2048x1024xbf16>) -> tensor<1x2048xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x1024xbf16>, tensor<2048x1024xbf16>) -> tensor<1x2048xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1x2048xf32>
}

// CHECK-LABEL: @vocabulary
// CHECK-SAME: tile_m = 8, tile_n = 32, {{.*}} unit = stream>
moe_kernel.kernel @vocabulary(%a: tensor<1x1024xbf16>, %b: tensor<32768x1024xbf16>) -> tensor<1x32768xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x1024xbf16>, tensor<32768x1024xbf16>) -> tensor<1x32768xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1x32768xf32>
}

// More rows are read again for every tile of columns.
// CHECK-LABEL: @rows_32
// CHECK-SAME: tile_m = 32, tile_n = 32, {{.*}} unit = stream>
moe_kernel.kernel @rows_32(%a: tensor<32x2048xbf16>, %b: tensor<4096x2048xbf16>) -> tensor<32x4096xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<32x2048xbf16>, tensor<4096x2048xbf16>) -> tensor<32x4096xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<32x4096xf32>
}

// CHECK-LABEL: @rows_33
// CHECK-NOT: stream>
// CHECK: moe_kernel.matmul
moe_kernel.kernel @rows_33(%a: tensor<33x2048xbf16>, %b: tensor<4096x2048xbf16>) -> tensor<33x4096xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<33x2048xbf16>, tensor<4096x2048xbf16>) -> tensor<33x4096xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<33x4096xf32>
}

// CHECK-LABEL: @one_token
// CHECK-SAME: <threads = 128, tile_m = 8, tile_n = 32, tile_k = 128, stages = 6, unit = stream>
moe_kernel.kernel @one_token(%a: tensor<8x2048xbf16>, %b: tensor<128x1536x2048xbf16>, %o: tensor<129xi32>) -> tensor<8x1536xf32> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x2048xbf16>, tensor<128x1536x2048xbf16>, tensor<129xi32>) -> tensor<8x1536xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<8x1536xf32>
}

// The experts of one token have whole lines of the cache, and leave room on the multiprocessor.
// CHECK-LABEL: @gathered_token
// CHECK-SAME: <threads = 64, tile_m = 8, tile_n = 32, tile_k = 128, stages = 4, unit = stream>
moe_kernel.kernel @gathered_token(%a: tensor<1x2048xbf16>, %b: tensor<128x1536x2048xbf16>, %o: tensor<129xi32>, %i: tensor<8xi32>) -> tensor<8x1536xf32> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i) {transpose_rhs, row_divisor = 8 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x2048xbf16>, tensor<128x1536x2048xbf16>, tensor<129xi32>, tensor<8xi32>) -> tensor<8x1536xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<8x1536xf32>
}

// Eight rows an expert on average; some have more.
// CHECK-LABEL: @few_rows_each
// CHECK-SAME: tile_m = 16, {{.*}} unit = stream>
moe_kernel.kernel @few_rows_each(%a: tensor<1024x512xbf16>, %b: tensor<128x768x512xbf16>, %o: tensor<129xi32>) -> tensor<1024x768xf32> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x512xbf16>, tensor<128x768x512xbf16>, tensor<129xi32>) -> tensor<1024x768xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1024x768xf32>
}

// A block for each multiprocessor, with all that one needs under way.
// CHECK-LABEL: @combined
// CHECK-SAME: <threads = 256, tile_m = 8, tile_n = 16, tile_k = 512, stages = 8, unit = stream>
// REMARK: Function=combined{{.*}}stream, 8 x 16 tiles, 512 of the contraction a stage, 8 stages
moe_kernel.kernel @combined(%h: tensor<8x768xbf16>, %m: tensor<128x2048x768xbf16>, %o: tensor<129xi32>, %i: tensor<1x8xi32>,
    %w: tensor<1x8xf32>) -> tensor<1x2048xbf16> {
  %r = moe_kernel.combined_matmul %h, %m, %o, %i, %w : (tensor<8x768xbf16>, tensor<128x2048x768xbf16>,
      tensor<129xi32>, tensor<1x8xi32>, tensor<1x8xf32>) -> tensor<1x2048xbf16>
  moe_kernel.return %r : tensor<1x2048xbf16>
}

// CHECK-LABEL: @not_transposed
// CHECK-NOT: stream>
// CHECK: moe_kernel.matmul
moe_kernel.kernel @not_transposed(%a: tensor<1x1024xbf16>, %b: tensor<1024x2048xbf16>) -> tensor<1x2048xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x1024xbf16>, tensor<1024x2048xbf16>) -> tensor<1x2048xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1x2048xf32>
}

// Rows of 1020 elements are not whole 16 bytes.
// CHECK-LABEL: @odd_rows
// CHECK-NOT: stream>
// CHECK: moe_kernel.matmul
moe_kernel.kernel @odd_rows(%a: tensor<1x1020xbf16>, %b: tensor<2048x1020xbf16>) -> tensor<1x2048xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x1020xbf16>, tensor<2048x1020xbf16>) -> tensor<1x2048xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1x2048xf32>
}

// CHECK-LABEL: @decode
// CHECK-SAME: <threads = 512, tile_m = 1, tile_n = 256, tile_k = 1, stages = 1, unit = stream>
moe_kernel.kernel @decode(%q: tensor<4x512xbf16>, %k: tensor<4x300x256xbf16>, %v: tensor<4x300x256xbf16>,
    %p: tensor<4x1xi32>) -> tensor<4x512xbf16> {
  %r = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64}
      : (tensor<4x512xbf16>, tensor<4x300x256xbf16>, tensor<4x300x256xbf16>, tensor<4x1xi32>) -> tensor<4x512xbf16>
  moe_kernel.return %r : tensor<4x512xbf16>
}
}

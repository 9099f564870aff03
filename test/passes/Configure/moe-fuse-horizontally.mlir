// RUN: moe-opt %s --split-input-file --moe-configure --moe-fuse-horizontally | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-configure --moe-fuse-horizontally --remarks-filter=configure -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REMARK

#row = affine_map<(d0, d1) -> (d0, d1)>

// Query, key and value of one row are one launch, and so are what is done to each of them. The attention needs all.
// REMARK: horizontal-fusion{{.*}}Function=linear_2048_and_linear_512_and_linear_512{{.*}}launches 3 independent kernels at once
module attributes {moe.target = "cuda:sm_90a"} {
  moe_kernel.kernel @linear_2048(%x: tensor<1x1024xbf16>, %w: tensor<2048x1024xbf16>) -> tensor<1x2048xbf16> {
    %0 = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
        : (tensor<1x1024xbf16>, tensor<2048x1024xbf16>) -> tensor<1x2048xbf16> {
    ^bb0(%acc: f32):
      %r = arith.truncf %acc : f32 to bf16
      moe_kernel.yield %r : bf16
    }
    moe_kernel.return %0 : tensor<1x2048xbf16>
  }
  moe_kernel.kernel @linear_512(%x: tensor<1x1024xbf16>, %w: tensor<512x1024xbf16>) -> tensor<1x512xbf16> {
    %0 = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
        : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16> {
    ^bb0(%acc: f32):
      %r = arith.truncf %acc : f32 to bf16
      moe_kernel.yield %r : bf16
    }
    moe_kernel.return %0 : tensor<1x512xbf16>
  }
  moe_kernel.kernel @double_2048(%x: tensor<1x2048xbf16>) -> tensor<1x2048xbf16> {
    %empty = tensor.empty() : tensor<1x2048xbf16>
    %0 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%x : tensor<1x2048xbf16>) outs(%empty : tensor<1x2048xbf16>) {
    ^bb0(%in: bf16, %out: bf16):
      %wide = arith.extf %in : bf16 to f32
      %sum = arith.addf %wide, %wide : f32
      %narrow = arith.truncf %sum : f32 to bf16
      linalg.yield %narrow : bf16
    } -> tensor<1x2048xbf16>
    moe_kernel.return %0 : tensor<1x2048xbf16>
  }
  moe_kernel.kernel @append(%cache: tensor<1x1024x512xbf16> {moe_kernel.tied = 0 : i64}, %x: tensor<1x512xbf16>,
                            %p: tensor<1x1xi32>) -> tensor<1x1024x512xbf16> {
    %0 = moe_kernel.cache_append %cache, %x, %p
        : (tensor<1x1024x512xbf16>, tensor<1x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024x512xbf16>
    moe_kernel.return %0 : tensor<1x1024x512xbf16>
  }
  moe_kernel.kernel @attention(%q: tensor<1x2048xbf16>, %k: tensor<1x1024x512xbf16>, %v: tensor<1x1024x512xbf16>,
                               %p: tensor<1x1xi32>) -> tensor<1x2048xbf16> {
    %0 = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 16 : i64, num_kv_heads = 4 : i64}
        : (tensor<1x2048xbf16>, tensor<1x1024x512xbf16>, tensor<1x1024x512xbf16>, tensor<1x1xi32>) -> tensor<1x2048xbf16>
    moe_kernel.return %0 : tensor<1x2048xbf16>
  }
  // CHECK-LABEL: func.func @attend
  // CHECK-SAME: %[[X:.*]]: tensor<1x1024xbf16>, %[[WQ:.*]]: tensor<2048x1024xbf16>, %[[WK:.*]]: tensor<512x1024xbf16>, %[[WV:.*]]: tensor<512x1024xbf16>, %[[KEYS:.*]]: tensor<1x1024x512xbf16>, %[[VALUES:.*]]: tensor<1x1024x512xbf16>, %[[P:.*]]: tensor<1x1xi32>
  // CHECK-NEXT: %[[QKV:.*]]:3 = moe_kernel.launch @linear_2048_and_linear_512_and_linear_512(%[[X]], %[[WQ]], %[[WK]], %[[WV]])
  // CHECK-NEXT: %[[NEXT:.*]]:3 = moe_kernel.launch @double_2048_and_append_and_append(%[[QKV]]#0, %[[KEYS]], %[[QKV]]#1, %[[P]], %[[VALUES]], %[[QKV]]#2)
  // CHECK-NEXT: moe_kernel.launch @attention(%[[NEXT]]#0, %[[NEXT]]#1, %[[NEXT]]#2, %[[P]])
  func.func @attend(%x: tensor<1x1024xbf16>, %wq: tensor<2048x1024xbf16>, %wk: tensor<512x1024xbf16>,
                    %wv: tensor<512x1024xbf16>, %keys: tensor<1x1024x512xbf16>, %values: tensor<1x1024x512xbf16>,
                    %p: tensor<1x1xi32>) -> tensor<1x2048xbf16> {
    %q = moe_kernel.launch @linear_2048(%x, %wq) : (tensor<1x1024xbf16>, tensor<2048x1024xbf16>) -> tensor<1x2048xbf16>
    %q2 = moe_kernel.launch @double_2048(%q) : (tensor<1x2048xbf16>) -> tensor<1x2048xbf16>
    %k = moe_kernel.launch @linear_512(%x, %wk) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    %keys2 = moe_kernel.launch @append(%keys, %k, %p) : (tensor<1x1024x512xbf16>, tensor<1x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024x512xbf16>
    %v = moe_kernel.launch @linear_512(%x, %wv) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    %values2 = moe_kernel.launch @append(%values, %v, %p) : (tensor<1x1024x512xbf16>, tensor<1x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024x512xbf16>
    %r = moe_kernel.launch @attention(%q2, %keys2, %values2, %p) : (tensor<1x2048xbf16>, tensor<1x1024x512xbf16>, tensor<1x1024x512xbf16>, tensor<1x1xi32>) -> tensor<1x2048xbf16>
    return %r : tensor<1x2048xbf16>
  }
  // Another function with the same launches has the same kernels; a single launch stays as it is.
  // CHECK-LABEL: func.func @again
  // CHECK-NEXT: moe_kernel.launch @linear_2048_and_linear_512_and_linear_512(
  // CHECK-NEXT: moe_kernel.launch @double_2048(
  func.func @again(%x: tensor<1x1024xbf16>, %wq: tensor<2048x1024xbf16>, %wk: tensor<512x1024xbf16>,
                   %wv: tensor<512x1024xbf16>) -> (tensor<1x2048xbf16>, tensor<1x512xbf16>, tensor<1x512xbf16>) {
    %q = moe_kernel.launch @linear_2048(%x, %wq) : (tensor<1x1024xbf16>, tensor<2048x1024xbf16>) -> tensor<1x2048xbf16>
    %q2 = moe_kernel.launch @double_2048(%q) : (tensor<1x2048xbf16>) -> tensor<1x2048xbf16>
    %k = moe_kernel.launch @linear_512(%x, %wk) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    %v = moe_kernel.launch @linear_512(%x, %wv) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    return %q2, %k, %v : tensor<1x2048xbf16>, tensor<1x512xbf16>, tensor<1x512xbf16>
  }
  // What one works on in place, another cannot read at the same time.
  // CHECK-LABEL: func.func @in_place
  // CHECK-NOT: _and_
  func.func @in_place(%cache: tensor<1x1024x512xbf16>, %x: tensor<1x512xbf16>, %y: tensor<1x512xbf16>, %p: tensor<1x1xi32>)
      -> (tensor<1x1024x512xbf16>, tensor<1x1024x512xbf16>) {
    %a = moe_kernel.launch @append(%cache, %x, %p) : (tensor<1x1024x512xbf16>, tensor<1x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024x512xbf16>
    %b = moe_kernel.launch @append(%cache, %y, %p) : (tensor<1x1024x512xbf16>, tensor<1x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024x512xbf16>
    return %a, %b : tensor<1x1024x512xbf16>, tensor<1x1024x512xbf16>
  }
  // CHECK: moe_kernel.kernel @linear_2048_and_linear_512_and_linear_512(
  // CHECK-NOT: config
  // CHECK: moe_kernel.launch @linear_2048(%[[A:.*]], %{{.*}})
  // CHECK-NEXT: moe_kernel.launch @linear_512(%[[A]], %{{.*}})
  // CHECK-NEXT: moe_kernel.launch @linear_512(%[[A]], %{{.*}})
  // CHECK: moe_kernel.kernel @double_2048_and_append_and_append(
  // CHECK-SAME: tensor<1x2048xbf16>, %{{.*}}: tensor<1x1024x512xbf16> {moe_kernel.tied = 1 : i64}, %{{.*}}: tensor<1x512xbf16>, %{{.*}}: tensor<1x1xi32>, %{{.*}}: tensor<1x1024x512xbf16> {moe_kernel.tied = 2 : i64}, %{{.*}}: tensor<1x512xbf16>)
}

// -----

// What takes long by itself has nothing to gain.
module attributes {moe.target = "cuda:sm_90a"} {
  moe_kernel.kernel @linear(%x: tensor<4096x1024xbf16>, %w: tensor<1024x1024xbf16>) -> tensor<4096x1024xbf16> {
    %0 = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
        : (tensor<4096x1024xbf16>, tensor<1024x1024xbf16>) -> tensor<4096x1024xbf16> {
    ^bb0(%acc: f32):
      %r = arith.truncf %acc : f32 to bf16
      moe_kernel.yield %r : bf16
    }
    moe_kernel.return %0 : tensor<4096x1024xbf16>
  }
  // CHECK-LABEL: func.func @large
  // CHECK-COUNT-2: moe_kernel.launch @linear(
  func.func @large(%x: tensor<4096x1024xbf16>, %a: tensor<1024x1024xbf16>, %b: tensor<1024x1024xbf16>)
      -> (tensor<4096x1024xbf16>, tensor<4096x1024xbf16>) {
    %0 = moe_kernel.launch @linear(%x, %a) : (tensor<4096x1024xbf16>, tensor<1024x1024xbf16>) -> tensor<4096x1024xbf16>
    %1 = moe_kernel.launch @linear(%x, %b) : (tensor<4096x1024xbf16>, tensor<1024x1024xbf16>) -> tensor<4096x1024xbf16>
    return %0, %1 : tensor<4096x1024xbf16>, tensor<4096x1024xbf16>
  }
}

// -----

#row = affine_map<(d0, d1) -> (d0, d1)>

// Nor has the CPU, whose launches cost little.
module attributes {moe.target = "cpu:x86-64-v3"} {
  moe_kernel.kernel @double(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %empty = tensor.empty() : tensor<4x8xf32>
    %0 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%x : tensor<4x8xf32>) outs(%empty : tensor<4x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %sum = arith.addf %in, %in : f32
      linalg.yield %sum : f32
    } -> tensor<4x8xf32>
    moe_kernel.return %0 : tensor<4x8xf32>
  }
  // CHECK-LABEL: func.func @on_cpu
  // CHECK-COUNT-2: moe_kernel.launch @double(
  func.func @on_cpu(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
    %0 = moe_kernel.launch @double(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %1 = moe_kernel.launch @double(%y) : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0, %1 : tensor<4x8xf32>, tensor<4x8xf32>
  }
}

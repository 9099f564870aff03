// RUN: moe-opt %s --split-input-file --moe-configure --moe-fuse-prologues | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-configure --moe-fuse-prologues --moe-fuse-horizontally | FileCheck %s --check-prefix=BOTH
// RUN: moe-opt %s --split-input-file --moe-configure --moe-fuse-prologues --remarks-filter=configure -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REMARK

#row = affine_map<(d0, d1) -> (d0, d1)>

module attributes {moe.target = "cuda:sm_90a"} {
  moe_kernel.kernel @double(%x: tensor<1x1024xbf16>) -> tensor<1x1024xbf16> {
    %empty = tensor.empty() : tensor<1x1024xbf16>
    %0 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%x : tensor<1x1024xbf16>) outs(%empty : tensor<1x1024xbf16>) {
    ^bb0(%in: bf16, %out: bf16):
      %wide = arith.extf %in : bf16 to f32
      %sum = arith.addf %wide, %wide : f32
      %narrow = arith.truncf %sum : f32 to bf16
      linalg.yield %narrow : bf16
    } -> tensor<1x1024xbf16>
    %1 = linalg.generic {indexing_maps = [#row, #row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%0, %x : tensor<1x1024xbf16>, tensor<1x1024xbf16>) outs(%empty : tensor<1x1024xbf16>) {
    ^bb0(%in: bf16, %in2: bf16, %out: bf16):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %c1023 = arith.constant 1023 : index
      %other = arith.subi %c1023, %j : index
      %e = tensor.extract %0[%i, %other] : tensor<1x1024xbf16>
      linalg.yield %e : bf16
    } -> tensor<1x1024xbf16>
    moe_kernel.return %1 : tensor<1x1024xbf16>
  }
  moe_kernel.kernel @linear(%x: tensor<1x1024xbf16>, %w: tensor<512x1024xbf16>) -> tensor<1x512xbf16> {
    %0 = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
        : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16> {
    ^bb0(%acc: f32):
      %r = arith.truncf %acc : f32 to bf16
      moe_kernel.yield %r : bf16
    }
    moe_kernel.return %0 : tensor<1x512xbf16>
  }
  moe_kernel.kernel @attend(%q: tensor<1x1024xbf16>, %k: tensor<1x128x512xbf16>, %p: tensor<1x1xi32>) -> tensor<1x1024xbf16> {
    %0 = moe_kernel.cached_attention %q, %k, %k, %p {num_heads = 8 : i64, num_kv_heads = 4 : i64}
        : (tensor<1x1024xbf16>, tensor<1x128x512xbf16>, tensor<1x128x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024xbf16>
    moe_kernel.return %0 : tensor<1x1024xbf16>
  }

  // Both products compute the rows for themselves, and then share a launch.
  // REMARK: prologue{{.*}}Function=linear{{.*}}computes double itself
  // CHECK-LABEL: func.func @two_readers
  // CHECK-SAME: %[[X:.*]]: tensor<1x1024xbf16>, %[[A:.*]]: tensor<512x1024xbf16>, %[[B:.*]]: tensor<512x1024xbf16>
  // CHECK-NOT: launch @double(
  // CHECK: moe_kernel.launch @double_to_linear(%[[X]], %[[A]])
  // CHECK-NEXT: moe_kernel.launch @double_to_linear(%[[X]], %[[B]])
  // BOTH-LABEL: func.func @two_readers
  // BOTH-NEXT: moe_kernel.launch @double_to_linear_and_linear
  func.func @two_readers(%x: tensor<1x1024xbf16>, %a: tensor<512x1024xbf16>, %b: tensor<512x1024xbf16>)
      -> (tensor<1x512xbf16>, tensor<1x512xbf16>) {
    %0 = moe_kernel.launch @double(%x) : (tensor<1x1024xbf16>) -> tensor<1x1024xbf16>
    %1 = moe_kernel.launch @linear(%0, %a) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    %2 = moe_kernel.launch @linear(%0, %b) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    return %1, %2 : tensor<1x512xbf16>, tensor<1x512xbf16>
  }

  // What comes later gets the rows from the launch that computes them.
  // CHECK-LABEL: func.func @later
  // CHECK-SAME: %[[X:.*]]: tensor<1x1024xbf16>, %[[A:.*]]: tensor<512x1024xbf16>, %[[CACHE:.*]]: tensor<1x128x512xbf16>
  // CHECK-NEXT: %[[R:.*]]:2 = moe_kernel.launch @double_to_linear_0(%[[X]], %[[A]])
  // CHECK-NEXT: %[[C:.*]] = moe_kernel.launch @append(%[[CACHE]], %[[R]]#1, %{{.*}})
  // CHECK-NEXT: moe_kernel.launch @attend(%[[R]]#0, %[[C]], %{{.*}})
  func.func @later(%x: tensor<1x1024xbf16>, %a: tensor<512x1024xbf16>, %cache: tensor<1x128x512xbf16>, %p: tensor<1x1xi32>)
      -> tensor<1x1024xbf16> {
    %0 = moe_kernel.launch @double(%x) : (tensor<1x1024xbf16>) -> tensor<1x1024xbf16>
    %1 = moe_kernel.launch @linear(%0, %a) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    %2 = moe_kernel.launch @append(%cache, %1, %p) : (tensor<1x128x512xbf16>, tensor<1x512xbf16>, tensor<1x1xi32>) -> tensor<1x128x512xbf16>
    %3 = moe_kernel.launch @attend(%0, %2, %p) : (tensor<1x1024xbf16>, tensor<1x128x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024xbf16>
    return %3 : tensor<1x1024xbf16>
  }

  // What comes at the same time would have to wait.
  // CHECK-LABEL: func.func @at_once
  // CHECK: moe_kernel.launch @double(
  // CHECK-DAG: moe_kernel.launch @linear(
  // CHECK-DAG: moe_kernel.launch @attend(
  func.func @at_once(%x: tensor<1x1024xbf16>, %a: tensor<512x1024xbf16>, %cache: tensor<1x128x512xbf16>, %p: tensor<1x1xi32>)
      -> (tensor<1x1024xbf16>, tensor<1x512xbf16>) {
    %0 = moe_kernel.launch @double(%x) : (tensor<1x1024xbf16>) -> tensor<1x1024xbf16>
    %1 = moe_kernel.launch @linear(%0, %a) : (tensor<1x1024xbf16>, tensor<512x1024xbf16>) -> tensor<1x512xbf16>
    %3 = moe_kernel.launch @attend(%0, %cache, %p) : (tensor<1x1024xbf16>, tensor<1x128x512xbf16>, tensor<1x1xi32>) -> tensor<1x1024xbf16>
    return %3, %1 : tensor<1x1024xbf16>, tensor<1x512xbf16>
  }

  moe_kernel.kernel @append(%cache: tensor<1x128x512xbf16> {moe_kernel.tied = 0 : i64}, %x: tensor<1x512xbf16>,
                            %p: tensor<1x1xi32>) -> tensor<1x128x512xbf16> {
    %0 = moe_kernel.cache_append %cache, %x, %p
        : (tensor<1x128x512xbf16>, tensor<1x512xbf16>, tensor<1x1xi32>) -> tensor<1x128x512xbf16>
    moe_kernel.return %0 : tensor<1x128x512xbf16>
  }

  // CHECK: moe_kernel.kernel @double_to_linear(
  // CHECK-SAME: -> tensor<1x512xbf16>
  // CHECK: %[[ROWS:.*]] = moe_kernel.launch @double(%{{.*}})
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.launch @linear(%[[ROWS]], %{{.*}})
  // CHECK-NEXT: moe_kernel.return %[[R]]
  // CHECK: moe_kernel.kernel @double_to_linear_0(
  // CHECK-SAME: -> (tensor<1x1024xbf16>, tensor<1x512xbf16>)
  // CHECK: moe_kernel.return %{{.*}}, %{{.*}} : tensor<1x1024xbf16>, tensor<1x512xbf16>
}

// RUN: %moe-opt %s -split-input-file --moe-compile-to=schedule -o - | FileCheck %s

// A whole step whose logits would be the largest tensor by far, 1536 tokens of 12288 each, or 75497472 bytes. They exist for
// half of the tokens at a time (37748736 bytes), whose slices are read and whose gradients are written where the whole
// tensors lie; the weight's gradient is added up in place.
// CHECK-LABEL: moe_exec.program @train_step
// CHECK-NOT:   75497472
// CHECK:       moe_exec.launch @linear_768x12288x16(workspace[[[H0:[0-9]+]] : 49152], @lm_head.weight[0 : 786432]) -> (workspace[[[L:[0-9]+]] : 37748736])
// CHECK-NEXT:  moe_exec.launch @linear_cross_entropy_backward_768x12288(workspace[[[L]] : 37748736], input 1[0 : 3072], input 2[0 : 3072], workspace[[[G:[0-9]+]] : 4]) -> (workspace[{{[0-9]+}} : 3072], workspace[[[L]] : 37748736])
// CHECK-NEXT:  moe_exec.launch @matmul_768x16x12288(workspace[[[L]] : 37748736], @lm_head.weight[0 : 786432]) -> (workspace[{{[0-9]+}} : 49152])
// CHECK-NEXT:  moe_exec.launch @matmul_tn_12288x16x768(workspace[[[L]] : 37748736], workspace[[[H0]] : 49152]) -> (workspace[[[DW:[0-9]+]] : 786432])
// CHECK-NEXT:  moe_exec.launch @linear_768x12288x16(workspace[[[H1:[0-9]+]] : 49152], @lm_head.weight[0 : 786432]) -> (workspace[[[L]] : 37748736])
// CHECK-NEXT:  moe_exec.launch @linear_cross_entropy_backward_768x12288(workspace[[[L]] : 37748736], input 1[3072 : 3072], input 2[3072 : 3072], workspace[[[G]] : 4]) -> (workspace[{{[0-9]+}} : 3072], workspace[[[L]] : 37748736])
// CHECK-NEXT:  moe_exec.launch @matmul_768x16x12288(workspace[[[L]] : 37748736], @lm_head.weight[0 : 786432]) -> (workspace[{{[0-9]+}} : 49152])
// CHECK-NEXT:  moe_exec.launch @matmul_tn_accumulate_12288x16x768(workspace[[[L]] : 37748736], workspace[[[H1]] : 49152], workspace[[[DW]] : 786432]) -> (workspace[[[DW]] : 786432])
// CHECK-NOT:   75497472
// CHECK-LABEL: moe_exec.program @evaluate
// CHECK-NOT:   75497472
// CHECK:       moe_exec.launch @linear_cross_entropy_768(
// CHECK:       moe_exec.launch @linear_cross_entropy_768(
// CHECK-NOT:   75497472
moe.model @wide (vocab_size = 12288, hidden_size = 16) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 16)
    moe.mlp (intermediate_size = 32)
  }
}
moe.training (batch_size = 4, sequence_length = 384)

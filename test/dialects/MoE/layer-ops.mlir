// RUN: %moe-opt %s -split-input-file | FileCheck %s
// RUN: %moe-opt %s -split-input-file -mlir-print-op-generic | %moe-opt -split-input-file | FileCheck %s

// Keys may come in any order and are printed in ODS order; what equals its default is left out; a long list is wrapped
// below its first entry.
// CHECK-LABEL: moe.model @order (vocab_size = 256, hidden_size = 128) {
// CHECK-NEXT:    moe.layers (count = 1) {
// CHECK-NEXT:      moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 32)
// CHECK-NEXT:      moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 64,
// CHECK-NEXT:                      num_shared_experts = 1, scoring_func = sigmoid, norm_topk_prob = false,
// CHECK-NEXT:                      routed_scaling_factor = 2.5, aux_loss_alpha = 1.0e-3, bias_update_rate = 0.02)
// CHECK-NEXT:    }
// CHECK-NEXT:  }
moe.model @order (hidden_size = 128, tie_word_embeddings = false, initializer_range = 0.02, vocab_size = 256,
                  dtype = f32, rms_norm_eps = 1.0e-5) {
  moe.layers (count = 1) {
    moe.self_attention (head_dim = 32, num_kv_heads = 2, rope_theta = 10000.0, num_heads = 4, qk_norm = false)
    moe.sparse_mlp (bias_update_rate = 0.02, aux_loss_alpha = 0.001, routed_scaling_factor = 2.50,
                    norm_topk_prob = false, scoring_func = sigmoid, num_shared_experts = 1,
                    moe_intermediate_size = 64, top_k = 2, num_experts = 8)
  }
}

// -----

// What differs from its default is kept, and an integer will do for a number.
// CHECK-LABEL: moe.model @values (vocab_size = 8, hidden_size = 4, rms_norm_eps = 1.0e-6,
// CHECK-NEXT:                     initializer_range = 1.0, tie_word_embeddings = true, dtype = bf16) {
// CHECK-NEXT:    moe.layers (count = 2) {
// CHECK-NEXT:      moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4, rope_theta = 1000000.0,
// CHECK-NEXT:                          qk_norm = true)
// CHECK-NEXT:      moe.mlp (intermediate_size = 16)
moe.model @values (vocab_size = 8, hidden_size = 4, rms_norm_eps = 0.000001, initializer_range = 1,
                   dtype = bf16, tie_word_embeddings = true) {
  moe.layers (count = 2) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4, rope_theta = 1000000, qk_norm = true)
    moe.mlp (intermediate_size = 16)
  }
}
// CHECK:       moe.training (batch_size = 8, sequence_length = 128, beta1 = 0.0, beta2 = 0.999, epsilon = 1.0e-6,
// CHECK-NEXT:                weight_decay = 0.01, max_grad_norm = 1.5e17, activation_checkpointing = full)
moe.training (batch_size = 8, sequence_length = 128, beta1 = 0, beta2 = 0.999, epsilon = 1.0e-6, weight_decay = 0.01,
              max_grad_norm = 1.5e17, activation_checkpointing = full)
// CHECK:       moe.serving (prompt_length = 128, context_length = 512)
moe.serving (batch_size = 1, prompt_length = 128, context_length = 512)

// -----

// CHECK: moe.training (batch_size = 8, sequence_length = 128, packed_documents = true)
moe.training (packed_documents = true, batch_size = 8, sequence_length = 128)

// -----

// Attributes of other dialects have their place behind the list.
// CHECK: moe.serving (batch_size = 4, prompt_length = 1, context_length = 2) attributes {test.note = "kept"}
moe.serving (batch_size = 4, prompt_length = 1, context_length = 2) attributes {test.note = "kept"}

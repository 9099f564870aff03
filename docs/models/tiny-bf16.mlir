module {
  moe.model @tiny_bf16 (vocab_size = 256, hidden_size = 128, dtype = bf16) {
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 32)
      moe.mlp (intermediate_size = 384)
    }
    moe.layers (count = 2) {
      moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 32)
      moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 64,
                      num_shared_experts = 1, scoring_func = sigmoid, aux_loss_alpha = 1.0e-3,
                      bias_update_rate = 1.0e-3)
    }
  }
  moe.training (batch_size = 4, sequence_length = 384)
  moe.serving (prompt_length = 128, context_length = 384)
}

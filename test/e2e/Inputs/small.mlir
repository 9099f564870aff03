module {
  moe.model @small (vocab_size = 256, hidden_size = 32) {
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 16)
      moe.mlp (intermediate_size = 64)
    }
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 16)
      moe.sparse_mlp (num_experts = 4, top_k = 2, moe_intermediate_size = 32, num_shared_experts = 1,
                      scoring_func = sigmoid, aux_loss_alpha = 1.0e-3, bias_update_rate = 1.0e-3)
    }
  }
  moe.training (batch_size = 4, sequence_length = 32)
  moe.serving (prompt_length = 32, context_length = 128)
}

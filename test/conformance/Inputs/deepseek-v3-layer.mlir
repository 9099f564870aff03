// A sparse layer as DeepSeek-V3's but for its attention: sigmoid scores, a bias that chooses and does not weigh, the
// chosen scores divided by their sum and scaled, a shared expert.
module {
  moe.model @deepseek_v3 (vocab_size = 23, hidden_size = 18) {
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 3, num_kv_heads = 3, head_dim = 6)
      moe.mlp (intermediate_size = 41)
    }
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 3, num_kv_heads = 3, head_dim = 6)
      moe.sparse_mlp (num_experts = 13, top_k = 4, moe_intermediate_size = 9, num_shared_experts = 1,
                      scoring_func = sigmoid, routed_scaling_factor = 2.5, aux_loss_alpha = 1.0e-2,
                      bias_update_rate = 1.0e-3)
    }
  }
  moe.training (batch_size = 1, sequence_length = 61)
}

// Layers as Qwen3-MoE's: per-head norms of queries and keys, heads wider than hidden_size / num_heads, a softmax over all
// experts whose best are taken as they are in the first layers and divided by their sum in the last.
module {
  moe.model @qwen3_moe (vocab_size = 31, hidden_size = 22, rms_norm_eps = 1.0e-6) {
    moe.layers (count = 2) {
      moe.self_attention (num_heads = 4, num_kv_heads = 1, head_dim = 14, rope_theta = 1000000.0,
                          qk_norm = true)
      moe.sparse_mlp (num_experts = 11, top_k = 3, moe_intermediate_size = 5, norm_topk_prob = false,
                      aux_loss_alpha = 1.0e-3)
    }
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 4, num_kv_heads = 1, head_dim = 14, rope_theta = 1000000.0,
                          qk_norm = true)
      moe.sparse_mlp (num_experts = 11, top_k = 3, moe_intermediate_size = 5, aux_loss_alpha = 1.0e-3)
    }
  }
  moe.training (batch_size = 2, sequence_length = 51)
}

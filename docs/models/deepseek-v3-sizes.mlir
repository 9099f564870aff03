// The sizes of DeepSeek-V3 (arXiv:2412.19437, section 4.2): 61 layers, the first three dense, 58 with one shared and
// 256 routed experts, eight of them active. It shows that compile time does not grow with depth.
//
// What differs from the real model:
//  * Attention is ordinary multi-head attention with the rotary embedding on whole heads, not multi-head latent
//    attention (there is no moe op for it yet). Its projections and caches are therefore much larger.
//  * Experts are chosen among all 256, not among the best four of eight groups.
//  * There is no multi-token prediction module.
//  * Everything is float32.
module {
  moe.model @deepseek_v3_sizes (vocab_size = 129280, hidden_size = 7168, rms_norm_eps = 1.0e-6,
                                initializer_range = 6.0e-3) {
    moe.layers (count = 3) {
      moe.self_attention (num_heads = 128, num_kv_heads = 128, head_dim = 128)
      moe.mlp (intermediate_size = 18432)
    }
    moe.layers (count = 58) {
      moe.self_attention (num_heads = 128, num_kv_heads = 128, head_dim = 128)
      moe.sparse_mlp (num_experts = 256, top_k = 8, moe_intermediate_size = 2048,
                      num_shared_experts = 1, scoring_func = sigmoid, routed_scaling_factor = 2.5,
                      aux_loss_alpha = 1.0e-4, bias_update_rate = 1.0e-3)
    }
  }
  moe.training (batch_size = 1, sequence_length = 4096)
  moe.serving (prompt_length = 1024, context_length = 4096)
}

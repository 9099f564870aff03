// The sizes of Qwen3-30B-A3B (the config.json of Qwen/Qwen3-30B-A3B; arXiv:2505.09388, table 2): 48 sparse layers with 128
// experts, eight of them active, and a norm of every query and key head; 30.5 billion parameters, 3.3 billion active.
//
// The router is a softmax over all experts whose eight best are divided by their sum (`norm_topk_prob`, the default).
//
// What differs from the real model: it trains on rows of 4096 tokens rather than 32768.
module {
  moe.model @qwen3_30b_a3b (vocab_size = 151936, hidden_size = 2048, rms_norm_eps = 1.0e-6,
                            dtype = bf16) {
    moe.layers (count = 48) {
      moe.self_attention (num_heads = 32, num_kv_heads = 4, head_dim = 128, rope_theta = 1000000.0,
                          qk_norm = true)
      moe.sparse_mlp (num_experts = 128, top_k = 8, moe_intermediate_size = 768,
                      aux_loss_alpha = 1.0e-3)
    }
  }
  moe.training (batch_size = 1, sequence_length = 4096, packed_documents = true)
  moe.serving (prompt_length = 1024, context_length = 4096)
}

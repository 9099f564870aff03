// The model that whole training steps and decoding are measured with: a Qwen3-MoE of 1.76 billion parameters, 0.32
// billion of them active for a token. Its peer is Hugging Face transformers' Qwen3MoeForCausalLM of the same sizes.
module {
  moe.model @bench_1b (vocab_size = 32768, hidden_size = 1024, rms_norm_eps = 1.0e-6,
                       dtype = bf16) {
    moe.layers (count = 16) {
      moe.self_attention (num_heads = 16, num_kv_heads = 4, head_dim = 128, rope_theta = 1000000.0,
                          qk_norm = true)
      moe.sparse_mlp (num_experts = 64, top_k = 8, moe_intermediate_size = 512,
                      aux_loss_alpha = 1.0e-3)
    }
  }
  moe.training (batch_size = 8, sequence_length = 2048)
  moe.serving (prompt_length = 512, context_length = 1024)
}

// The tiny model of docs/models/tiny.mlir on a smaller scale: test/golden/README.md.
module {
  moe.model @golden (vocab_size = 64, hidden_size = 16, rms_norm_eps = 1.0e-5, initializer_range = 0.02) {
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 8, rope_theta = 10000.0)
      moe.mlp (intermediate_size = 32)
    }
    moe.layers (count = 2) {
      moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 8, rope_theta = 10000.0)
      moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 8, num_shared_experts = 1,
                      scoring_func = sigmoid, norm_topk_prob = true, routed_scaling_factor = 1.5,
                      aux_loss_alpha = 1.0e-2, bias_update_rate = 1.0e-2)
    }
  }
  moe.training (batch_size = 2, sequence_length = 16, beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-4,
                weight_decay = 0.1, max_grad_norm = 1.0)
  moe.serving (batch_size = 1, prompt_length = 16, context_length = 32)
}

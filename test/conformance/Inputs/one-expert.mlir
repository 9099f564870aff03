// top_k = 1, with the weight that the softmax gives (Switch) in one layer; a single expert in the other.
module {
  moe.model @one_expert (vocab_size = 17, hidden_size = 9) {
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 5, num_kv_heads = 5, head_dim = 6)
      moe.sparse_mlp (num_experts = 5, top_k = 1, moe_intermediate_size = 15, norm_topk_prob = false,
                      aux_loss_alpha = 0.01)
    }
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 5, num_kv_heads = 1, head_dim = 6)
      moe.sparse_mlp (num_experts = 1, top_k = 1, moe_intermediate_size = 3)
    }
  }
  moe.training (batch_size = 1, sequence_length = 23)
}

// top_k = num_experts: every token goes to every expert.
module {
  moe.model @every_expert (vocab_size = 17, hidden_size = 14) {
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
      moe.sparse_mlp (num_experts = 3, top_k = 3, moe_intermediate_size = 1)
    }
  }
  moe.training (batch_size = 1, sequence_length = 19)
}

// Documents packed into rows, through both kinds of layer.
module {
  moe.model @packed (vocab_size = 19, hidden_size = 20) {
    moe.layers (count = 1) {
      moe.self_attention (num_heads = 3, num_kv_heads = 1, head_dim = 6, qk_norm = true)
      moe.mlp (intermediate_size = 13)
    }
    moe.layers (count = 2) {
      moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 10)
      moe.sparse_mlp (num_experts = 5, top_k = 2, moe_intermediate_size = 7, aux_loss_alpha = 0.01)
    }
  }
  moe.training (batch_size = 2, sequence_length = 70, packed_documents = true)
}

// Layers as Mixtral's: grouped queries, a softmax over the logits of the chosen experts only. That is a softmax over all,
// divided by the sum of the chosen. Odd sizes: of heads, of experts and of their number.
module {
  moe.model @mixtral (vocab_size = 29, hidden_size = 30) {
    moe.layers (count = 2) {
      moe.self_attention (num_heads = 6, num_kv_heads = 2, head_dim = 10, rope_theta = 1000000.0)
      moe.sparse_mlp (num_experts = 7, top_k = 2, moe_intermediate_size = 37, aux_loss_alpha = 0.02)
    }
  }
  moe.training (batch_size = 3, sequence_length = 43)
}

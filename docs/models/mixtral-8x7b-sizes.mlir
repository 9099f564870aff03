// The sizes of Mixtral 8x7B (the config.json of mistralai/Mixtral-8x7B-v0.1; arXiv:2401.04088, table 1): 32 sparse layers
// with eight experts, two of them active; 46.7 billion parameters, 12.9 billion active.
//
// Mixtral takes the softmax over the logits of the two chosen experts. That is the softmax over all eight divided by the
// sum of the two, which is what `norm_topk_prob` does, and it chooses the same: e^a / (e^a + e^b) either way.
//
// What differs from the real model:
//  * The auxiliary loss is that of each layer (arXiv:2101.03961, equation 4), summed; Hugging Face's Mixtral takes one over
//    the tokens of all layers.
//  * It trains on rows of 4096 tokens rather than 32768.
module {
  moe.model @mixtral_8x7b (vocab_size = 32000, hidden_size = 4096, dtype = bf16) {
    moe.layers (count = 32) {
      moe.self_attention (num_heads = 32, num_kv_heads = 8, head_dim = 128, rope_theta = 1000000.0)
      moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 14336,
                      aux_loss_alpha = 0.02)
    }
  }
  moe.training (batch_size = 1, sequence_length = 4096, packed_documents = true)
  moe.serving (prompt_length = 1024, context_length = 4096)
}

// The logits of all 1536 tokens would take 72 MiB: the loss is computed in two chunks of tokens.
moe.model @wide (vocab_size = 12288, hidden_size = 16) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 16)
    moe.mlp (intermediate_size = 32)
  }
}
moe.training (batch_size = 4, sequence_length = 384)

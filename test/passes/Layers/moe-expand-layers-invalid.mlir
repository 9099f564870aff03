// RUN: %moe-opt %s -split-input-file -moe-expand-layers -verify-diagnostics

// expected-error @+1 {{'idle' has nothing to be compiled for; add moe.training (...) to train and evaluate it, moe.serving (...) to generate from it, or both}}
moe.model @idle (vocab_size = 10, hidden_size = 8) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.mlp (intermediate_size = 4)
  }
}

// -----

// Indices are int32, of routed rows too.
moe.model @m (vocab_size = 10, hidden_size = 8) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.sparse_mlp (num_experts = 4, top_k = 2, moe_intermediate_size = 8)
  }
}
// expected-error @+1 {{moe.training asks for 1073741824 tokens at a time, each with up to 2 routed rows, but there can be at most 2147483647 rows}}
moe.training (batch_size = 32768, sequence_length = 32768)

// -----

moe.model @m (vocab_size = 10, hidden_size = 2000000000) {
  // expected-error @+1 {{mlp.gate_up_proj.weight of type 'tensor<4000000000x2000000000xf32>' has more than 2^53 elements}}
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.mlp (intermediate_size = 2000000000)
  }
}
moe.training (batch_size = 1, sequence_length = 1)

// -----

moe.model @longer (vocab_size = 10, hidden_size = 8) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.mlp (intermediate_size = 4)
  }
}
// expected-note @+1 {{trained here}}
moe.training (batch_size = 1, sequence_length = 4)
// expected-warning @+1 {{context_length = 5 exceeds the sequence_length = 4 of moe.training: the model never sees later positions in training and will write badly there; nearest: context_length = 4, or a longer sequence_length}}
moe.serving (prompt_length = 2, context_length = 5)

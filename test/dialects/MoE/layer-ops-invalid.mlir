// RUN: %moe-opt %s -split-input-file -verify-diagnostics

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

// An unknown key is named with the known ones and the nearest.
moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    // expected-error @+1 {{unknown attribute 'num_head' of moe.self_attention; known: num_heads, num_kv_heads, head_dim, rope_theta, qk_norm; did you mean 'num_heads'?}}
    moe.self_attention (num_head = 1, num_kv_heads = 1, head_dim = 4)
    moe.mlp (intermediate_size = 16)
  }
}

// -----

// Nothing is suggested where nothing is near.
// expected-error @+1 {{unknown attribute 'x' of moe.serving; known: batch_size, prompt_length, context_length}}
moe.serving (x = 1)

// -----

// expected-error @+1 {{attribute 'prompt_length' of moe.serving is given twice}}
moe.serving (prompt_length = 1, context_length = 2, prompt_length = 1)

// -----

// expected-error @+1 {{moe.training lacks the required attribute sequence_length}}
moe.training (batch_size = 1)

// -----

// expected-error @+1 {{moe.training lacks the required attributes batch_size, sequence_length}}
moe.training (beta1 = 0.9)

// -----

// expected-error @+1 {{expected the name of an attribute of moe.serving, one of batch_size, prompt_length, context_length}}
moe.serving (prompt_length = 1, 5)

// -----

// expected-error @+1 {{attribute 'batch_size' of moe.training takes an integer, not 1.5}}
moe.training (batch_size = 1.5, sequence_length = 1)

// -----

// expected-error @+1 {{attribute 'beta1' of moe.training takes a number, not true}}
moe.training (batch_size = 1, sequence_length = 1, beta1 = true)

// -----

// expected-error @+1 {{attribute 'tie_word_embeddings' of moe.model takes true or false, not 1}}
moe.model @m (vocab_size = 8, hidden_size = 4, tie_word_embeddings = 1) {}

// -----

// expected-error @+1 {{attribute 'hidden_size' of moe.model takes an integer, not "four"}}
moe.model @m (vocab_size = 8, hidden_size = "four") {}

// -----

// expected-error @+1 {{attribute 'dtype' of moe.model takes f32 or bf16, not f16; did you mean 'bf16'?}}
moe.model @m (vocab_size = 8, hidden_size = 4, dtype = f16) {
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
    // expected-error @+1 {{attribute 'scoring_func' of moe.sparse_mlp takes softmax or sigmoid, not sigmod; did you mean 'sigmoid'?}}
    moe.sparse_mlp (num_experts = 4, top_k = 2, moe_intermediate_size = 8, scoring_func = sigmod)
  }
}

// -----

// expected-error @+1 {{attribute 'activation_checkpointing' of moe.training takes none or selective or full, not ful; did you mean 'full'?}}
moe.training (batch_size = 1, sequence_length = 2, activation_checkpointing = ful)

// -----

//===----------------------------------------------------------------------===//
// moe.model
//===----------------------------------------------------------------------===//

// expected-error @+1 {{vocab_size is 0 but must be between 1 and 2147483647}}
moe.model @m (vocab_size = 0, hidden_size = 4) {}

// -----

// expected-error @+1 {{hidden_size is 4294967296 but must be between 1 and 2147483647}}
moe.model @m (vocab_size = 8, hidden_size = 4294967296) {}

// -----

// expected-error @+1 {{rms_norm_eps is 0.0 but must be above 0}}
moe.model @m (vocab_size = 8, hidden_size = 4, rms_norm_eps = 0.0) {}

// -----

// expected-error @+1 {{initializer_range is -0.02 but must be at least 0}}
moe.model @m (vocab_size = 8, hidden_size = 4, initializer_range = -0.02) {}

// -----

// expected-error @+1 {{has no layers; it needs at least one moe.layers}}
moe.model @m (vocab_size = 8, hidden_size = 4) {}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  // expected-error @+1 {{cannot stand in the body of moe.model, which holds only moe.layers}}
  moe.serving (prompt_length = 1, context_length = 1)
}

// -----

// expected-note @+1 {{the first is here}}
moe.model @a (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
    moe.mlp (intermediate_size = 16)
  }
}
// expected-error @+1 {{is the second in this module, which may have one}}
moe.model @b (vocab_size = 8, hidden_size = 4) {}

// -----

//===----------------------------------------------------------------------===//
// moe.layers
//===----------------------------------------------------------------------===//

moe.model @m (vocab_size = 8, hidden_size = 4) {
  // expected-error @+1 {{count is 0 but must be between 1 and 65536}}
  moe.layers (count = 0) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
    moe.mlp (intermediate_size = 16)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  // expected-error @+1 {{must hold an attention op (moe.self_attention) and then a feed-forward op (moe.mlp or moe.sparse_mlp), but holds nothing}}
  moe.layers (count = 1) {}
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  // expected-error @+1 {{but holds moe.mlp, moe.self_attention}}
  moe.layers (count = 1) {
    moe.mlp (intermediate_size = 16)
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
  }
}

// -----

// expected-error @+1 {{expects parent op 'moe.model'}}
moe.layers (count = 1) {
  moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
  moe.mlp (intermediate_size = 16)
}

// -----

//===----------------------------------------------------------------------===//
// moe.self_attention
//===----------------------------------------------------------------------===//

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    // expected-error @+1 {{num_kv_heads is -1 but must be between 1 and 2147483647}}
    moe.self_attention (num_heads = 1, num_kv_heads = -1, head_dim = 4)
    moe.mlp (intermediate_size = 16)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    // expected-error @+1 {{num_heads is 6 but must be a multiple of num_kv_heads = 4; nearest: 4 or 8}}
    moe.self_attention (num_heads = 6, num_kv_heads = 4, head_dim = 4)
    moe.mlp (intermediate_size = 16)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    // expected-error @+1 {{num_heads is 2 but must be a multiple of num_kv_heads = 4; nearest: 4}}
    moe.self_attention (num_heads = 2, num_kv_heads = 4, head_dim = 4)
    moe.mlp (intermediate_size = 16)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    // expected-error @+1 {{head_dim is 5 but must be a multiple of 2; nearest: 4 or 6}}
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 5)
    moe.mlp (intermediate_size = 16)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    // expected-error @+1 {{rope_theta is -1.0 but must be above 0}}
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 4, rope_theta = -1.0)
    moe.mlp (intermediate_size = 16)
  }
}

// -----

//===----------------------------------------------------------------------===//
// moe.mlp, moe.sparse_mlp
//===----------------------------------------------------------------------===//

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 4)
    // expected-error @+1 {{intermediate_size is 0 but must be between 1 and 2147483647}}
    moe.mlp (intermediate_size = 0)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 4)
    // expected-error @+1 {{top_k is 9 but there are only num_experts = 8; nearest: top_k = 8}}
    moe.sparse_mlp (num_experts = 8, top_k = 9, moe_intermediate_size = 8)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 4)
    // expected-error @+1 {{num_shared_experts is -1 but must be between 0 and 2147483647}}
    moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 8, num_shared_experts = -1)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 4)
    // expected-error @+1 {{routed_scaling_factor is 0.0 but must be above 0}}
    moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 8, routed_scaling_factor = 0)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 4)
    // expected-error @+1 {{aux_loss_alpha is -1.0 but must be at least 0}}
    moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 8, aux_loss_alpha = -1)
  }
}

// -----

moe.model @m (vocab_size = 8, hidden_size = 4) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 4, num_kv_heads = 4, head_dim = 4)
    // expected-error @+1 {{bias_update_rate is -1.0e-3 but must be at least 0}}
    moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 8, bias_update_rate = -0.001)
  }
}

// -----

//===----------------------------------------------------------------------===//
// moe.training, moe.serving
//===----------------------------------------------------------------------===//

// expected-error @+1 {{batch_size is 0 but must be between 1 and 2147483647}}
moe.training (batch_size = 0, sequence_length = 1)

// -----

// expected-error @+1 {{beta1 is 1.0 but must be at least 0 and below 1.0}}
moe.training (batch_size = 1, sequence_length = 1, beta1 = 1.0)

// -----

// expected-error @+1 {{beta2 is -0.1 but must be at least 0 and below 1.0}}
moe.training (batch_size = 1, sequence_length = 1, beta2 = -0.1)

// -----

// expected-error @+1 {{epsilon is 0.0 but must be above 0}}
moe.training (batch_size = 1, sequence_length = 1, epsilon = 0.0)

// -----

// expected-error @+1 {{weight_decay is -0.1 but must be at least 0}}
moe.training (batch_size = 1, sequence_length = 1, weight_decay = -0.1)

// -----

// expected-error @+1 {{max_grad_norm is 0.0 but must be above 0}}
moe.training (batch_size = 1, sequence_length = 1, max_grad_norm = 0.0)

// -----

// expected-note @+1 {{the first is here}}
moe.training (batch_size = 1, sequence_length = 1)
// expected-error @+1 {{is the second in this module, which may have one}}
moe.training (batch_size = 1, sequence_length = 1)

// -----

// expected-error @+1 {{prompt_length is 4 but the caches hold context_length = 2 tokens; nearest: prompt_length = 2}}
moe.serving (prompt_length = 4, context_length = 2)

// Arguments of layer functions are located by the names of what is passed, which makes them readable here.
// RUN: %moe-opt %s -split-input-file -moe-expand-layers -mlir-use-nameloc-as-prefix | FileCheck %s
// RUN: %moe-opt %s -split-input-file -moe-expand-layers | %moe-opt -split-input-file -moe-verify-stage=stage=layers -o /dev/null

// Two sequences of four tokens (T = 8); a dense layer, then a sparse one with everything: query and key norm, selection
// bias, balance loss, shared expert. Of 604 parameters a token uses all but three of four experts, of 36 each.

// CHECK:      module attributes {moe.model_info = {
// CHECK-SAME:   active_parameters = 496 : i64, hidden_size = 6 : i64, name = "mixed", num_experts = 4 : i64,
// CHECK-SAME:   num_layers = 2 : i64, parameters = 604 : i64, sparse_layers = [1], top_k = 1 : i64,
// CHECK-SAME:   training = {batch_size = 2 : i64
// CHECK-SAME:   sequence_length = 4 : i64
// CHECK-SAME:   vocab_size = 5 : i64}}

// What the stage `objective` reads stays, the description goes.
// CHECK-NOT:  moe.model
// CHECK:      moe.training (batch_size = 2, sequence_length = 4)

// CHECK-NEXT: moe.variable @model.embed_tokens.weight parameter normal 5.000000e-01 : tensor<5x6xf32>
// CHECK-NEXT: moe.variable @model.layers.0.input_layernorm.weight parameter ones : tensor<6xf32>
// CHECK-NEXT: moe.variable @model.layers.0.self_attn.q_proj.weight parameter normal 5.000000e-01 : tensor<4x6xf32>
// CHECK-NEXT: moe.variable @model.layers.0.self_attn.k_proj.weight parameter normal 5.000000e-01 : tensor<2x6xf32>
// CHECK-NEXT: moe.variable @model.layers.0.self_attn.v_proj.weight parameter normal 5.000000e-01 : tensor<2x6xf32>
// CHECK-NEXT: moe.variable @model.layers.0.self_attn.o_proj.weight parameter normal 5.000000e-01 : tensor<6x4xf32>
// CHECK-NEXT: moe.variable @model.layers.0.post_attention_layernorm.weight parameter ones : tensor<6xf32>
// CHECK-NEXT: moe.variable @model.layers.0.mlp.gate_up_proj.weight parameter normal 5.000000e-01 : tensor<14x6xf32>
// CHECK-NEXT: moe.variable @model.layers.0.mlp.down_proj.weight parameter normal 5.000000e-01 : tensor<6x7xf32>
// CHECK-NEXT: moe.variable @model.layers.1.input_layernorm.weight parameter ones : tensor<6xf32>
// CHECK-NEXT: moe.variable @model.layers.1.self_attn.q_proj.weight
// CHECK-NEXT: moe.variable @model.layers.1.self_attn.k_proj.weight
// CHECK-NEXT: moe.variable @model.layers.1.self_attn.v_proj.weight
// CHECK-NEXT: moe.variable @model.layers.1.self_attn.q_norm.weight parameter ones : tensor<2xf32>
// CHECK-NEXT: moe.variable @model.layers.1.self_attn.k_norm.weight parameter ones : tensor<2xf32>
// CHECK-NEXT: moe.variable @model.layers.1.self_attn.o_proj.weight
// CHECK-NEXT: moe.variable @model.layers.1.post_attention_layernorm.weight
// CHECK-NEXT: moe.variable @model.layers.1.mlp.gate.weight parameter normal 5.000000e-01 : tensor<4x6xf32>
// CHECK-NEXT: moe.variable @model.layers.1.mlp.experts.gate_up_proj parameter normal 5.000000e-01 : tensor<4x4x6xf32>
// CHECK-NEXT: moe.variable @model.layers.1.mlp.experts.down_proj parameter normal 5.000000e-01 : tensor<4x6x2xf32>
// CHECK-NEXT: moe.variable @model.layers.1.mlp.shared_experts.gate_up_proj.weight {{.*}} : tensor<8x6xf32>
// CHECK-NEXT: moe.variable @model.layers.1.mlp.shared_experts.down_proj.weight {{.*}} : tensor<6x4xf32>
// CHECK-NEXT: moe.variable @model.layers.1.mlp.gate.e_score_correction_bias buffer zeros : tensor<4xf32>
// CHECK-NEXT: moe.variable @model.norm.weight parameter ones : tensor<6xf32>
// CHECK-NEXT: moe.variable @lm_head.weight parameter normal 5.000000e-01 : tensor<5x6xf32>
// CHECK-NOT:  moe.variable

// CHECK-LABEL: func.func private @dense_layer(%x: tensor<8x6xf32>, %cos: tensor<8x1xf32>, %sin: tensor<8x1xf32>,
// CHECK-SAME:    %input_layernorm.weight: tensor<6xf32>, %self_attn.q_proj.weight: tensor<4x6xf32>,
// CHECK-SAME:    %self_attn.k_proj.weight: tensor<2x6xf32>, %self_attn.v_proj.weight: tensor<2x6xf32>,
// CHECK-SAME:    %self_attn.o_proj.weight: tensor<6x4xf32>, %post_attention_layernorm.weight: tensor<6xf32>,
// CHECK-SAME:    %mlp.gate_up_proj.weight: tensor<14x6xf32>, %mlp.down_proj.weight: tensor<6x7xf32>) -> tensor<8x6xf32> {
// CHECK-NEXT:    %[[N:.*]] = moe.rms_norm %x, %input_layernorm.weight {eps = 1.000000e-03 : f64}
// CHECK-NEXT:    %[[Q0:.*]] = moe.linear %[[N]], %self_attn.q_proj.weight
// CHECK-NEXT:    %[[Q:.*]] = moe.rope %[[Q0]], %cos, %sin
// CHECK-NEXT:    %[[K0:.*]] = moe.linear %[[N]], %self_attn.k_proj.weight
// CHECK-NEXT:    %[[K:.*]] = moe.rope %[[K0]], %cos, %sin
// CHECK-NEXT:    %[[V:.*]] = moe.linear %[[N]], %self_attn.v_proj.weight
// CHECK-NEXT:    %[[A:.*]], %{{.*}} = moe.attention %[[Q]], %[[K]], %[[V]] {num_heads = 2 : i64, num_kv_heads = 1 : i64, sequence_length = 4 : i64}
// CHECK-NEXT:    %[[O:.*]] = moe.linear %[[A]], %self_attn.o_proj.weight
// CHECK-NEXT:    %[[Y:.*]] = moe.add %x, %[[O]]
// CHECK-NEXT:    %[[M:.*]] = moe.rms_norm %[[Y]], %post_attention_layernorm.weight
// CHECK-NEXT:    %[[U:.*]] = moe.linear %[[M]], %mlp.gate_up_proj.weight
// CHECK-NEXT:    %[[S:.*]] = moe.gated_activation %[[U]] : (tensor<8x14xf32>) -> tensor<8x7xf32>
// CHECK-NEXT:    %[[D:.*]] = moe.linear %[[S]], %mlp.down_proj.weight
// CHECK-NEXT:    %[[Z:.*]] = moe.add %[[Y]], %[[D]]
// CHECK-NEXT:    return %[[Z]] : tensor<8x6xf32>

// A sparse layer also returns its balance loss and the load of its experts.
// CHECK-LABEL: func.func private @sparse_layer(
// CHECK-SAME:    %mlp.gate.e_score_correction_bias: tensor<4xf32>) -> (tensor<8x6xf32>, tensor<f32>, tensor<4xi32>) {
// CHECK:         %[[Q:.*]] = moe.rms_norm %{{.*}}, %self_attn.q_norm.weight {{.*}} : (tensor<8x4xf32>, tensor<2xf32>)
// CHECK-NEXT:    moe.rope %[[Q]]
// CHECK:         %[[K:.*]] = moe.rms_norm %{{.*}}, %self_attn.k_norm.weight {{.*}} : (tensor<8x2xf32>, tensor<2xf32>)
// CHECK-NEXT:    moe.rope %[[K]]
// CHECK:         %[[Y:.*]] = moe.add
// CHECK-NEXT:    %[[N:.*]] = moe.rms_norm %[[Y]], %post_attention_layernorm.weight
// CHECK-NEXT:    %[[LOGITS:.*]] = moe.linear %[[N]], %mlp.gate.weight
// CHECK-NEXT:    %[[SCORES:.*]] = moe.router_scores %[[LOGITS]] {scoring_func = #moe.scoring_func<sigmoid>}
// CHECK-NEXT:    %[[W:.*]], %[[I:.*]] = moe.topk_gate %[[SCORES]], %mlp.gate.e_score_correction_bias
// CHECK-SAME:      {norm_topk_prob = false, routed_scaling_factor = 2.500000e+00 : f64, top_k = 1 : i64}
// CHECK-NEXT:    %[[OFFSETS:.*]], %[[PERM:.*]], %[[INV:.*]] = moe.plan_routing %[[I]]
// CHECK-SAME:      (tensor<8x1xi32>) -> (tensor<5xi32>, tensor<8xi32>, tensor<8x1xi32>)
// CHECK-NEXT:    %[[ROWS:.*]] = moe.dispatch %[[N]] plan(%[[PERM]], %[[INV]]) :
// CHECK-NEXT:    %[[U:.*]] = moe.grouped_matmul %[[ROWS]], %mlp.experts.gate_up_proj, %[[OFFSETS]] {ragged = #moe.ragged<rows>, transpose_rhs}
// CHECK-NEXT:    %[[S:.*]] = moe.gated_activation %[[U]]
// CHECK-NEXT:    %[[D:.*]] = moe.grouped_matmul %[[S]], %mlp.experts.down_proj, %[[OFFSETS]] {ragged = #moe.ragged<rows>, transpose_rhs}
// CHECK-NEXT:    %[[C:.*]] = moe.combine %[[D]] plan(%[[PERM]], %[[INV]]) weights(%[[W]])
// CHECK-NEXT:    %[[SU:.*]] = moe.linear %[[N]], %mlp.shared_experts.gate_up_proj.weight
// CHECK-NEXT:    %[[SS:.*]] = moe.gated_activation %[[SU]]
// CHECK-NEXT:    %[[SD:.*]] = moe.linear %[[SS]], %mlp.shared_experts.down_proj.weight
// CHECK-NEXT:    %[[M:.*]] = moe.add %[[C]], %[[SD]]
// CHECK-NEXT:    %[[LOAD:.*]] = moe.expert_load %[[OFFSETS]]
// CHECK-NEXT:    %[[AUX:.*]] = moe.balance_loss %[[SCORES]], %[[LOAD]] {alpha = 1.000000e-01 : f64}
// CHECK-NEXT:    %[[Z:.*]] = moe.add %[[Y]], %[[M]]
// CHECK-NEXT:    return %[[Z]], %[[AUX]], %[[LOAD]]

// CHECK-LABEL: func.func @train_step
// CHECK-SAME:    (%[[TOKENS:.*]]: tensor<2x4xi32> {moe.name = "tokens"})
// CHECK-SAME:    -> (tensor<8x5xf32> {moe.name = "logits"}, tensor<f32> {moe.name = "aux_loss"}, tensor<4xi32> {moe.name = "load.1"})
// CHECK-SAME:    attributes {moe.entry = #moe.entry<train_step>}
// CHECK-NEXT:    %[[TABLE:.*]] = moe.read @model.embed_tokens.weight
// CHECK-NEXT:    %[[X:.*]] = moe.embedding %[[TABLE]], %[[TOKENS]]
// CHECK-NEXT:    %[[POSITIONS:.*]] = moe.sequence_positions {sequence_length = 4 : i64} : () -> tensor<8xi32>
// CHECK-NEXT:    %[[COS:.*]], %[[SIN:.*]] = moe.rope_table %[[POSITIONS]] {theta = 1.000000e+04 : f64}
// CHECK-NEXT:    %[[W0:.*]] = moe.read @model.layers.0.input_layernorm.weight
// CHECK:         %[[W7:.*]] = moe.read @model.layers.0.mlp.down_proj.weight
// CHECK-NEXT:    %[[Y:.*]] = call @dense_layer(%[[X]], %[[COS]], %[[SIN]], %[[W0]], {{.*}}, %[[W7]]) {moe.layer = 0 : i64}
// The table of angles is shared: both layers have the same theta and head size.
// CHECK-NOT:     moe.rope_table
// CHECK:         %[[BIAS:.*]] = moe.read @model.layers.1.mlp.gate.e_score_correction_bias
// CHECK-NEXT:    %[[Z:.*]]:3 = call @sparse_layer(%[[Y]], %[[COS]], %[[SIN]], {{.*}}, %[[BIAS]]) {moe.layer = 1 : i64}
// CHECK:         %[[NEW:.*]] = moe.update_selection_bias %[[BIAS]], %[[Z]]#2 {rate = 1.000000e-02 : f64}
// CHECK-NEXT:    moe.write %[[NEW]], @model.layers.1.mlp.gate.e_score_correction_bias
// CHECK-NEXT:    %[[NORM:.*]] = moe.read @model.norm.weight
// CHECK-NEXT:    %[[N:.*]] = moe.rms_norm %[[Z]]#0, %[[NORM]]
// CHECK-NEXT:    %[[HEAD:.*]] = moe.read @lm_head.weight
// CHECK-NEXT:    %[[LOGITS:.*]] = moe.linear %[[N]], %[[HEAD]]
// CHECK-NEXT:    return %[[LOGITS]], %[[Z]]#1, %[[Z]]#2

// Evaluation is the same without the update, with the same layer functions.
// CHECK-LABEL: func.func @evaluate
// CHECK-SAME:    attributes {moe.entry = #moe.entry<evaluate>}
// CHECK:         call @dense_layer(
// CHECK:         call @sparse_layer(
// CHECK-NOT:     moe.update_selection_bias
// CHECK-NOT:     moe.write
// CHECK:         return
// CHECK-NOT:   func.func
moe.model @mixed (vocab_size = 5, hidden_size = 6, rms_norm_eps = 1.0e-3, initializer_range = 0.5) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 2)
    moe.mlp (intermediate_size = 7)
  }
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 2, qk_norm = true)
    moe.sparse_mlp (num_experts = 4, top_k = 1, moe_intermediate_size = 2, num_shared_experts = 2,
                    scoring_func = sigmoid, norm_topk_prob = false, routed_scaling_factor = 2.5, aux_loss_alpha = 0.1,
                    bias_update_rate = 0.01)
  }
}
moe.training (batch_size = 2, sequence_length = 4)

// -----

// Serving: caches are variables, each mode has its own layer functions, and prefill picks the row of each sequence
// before the final norm.

// CHECK:       moe.variable @cache.layers.0.key cache zeros : tensor<2x9x4xf32>
// CHECK-NEXT:  moe.variable @cache.layers.0.value cache zeros : tensor<2x9x4xf32>
// CHECK-NEXT:  moe.variable @cache.layers.1.key
// CHECK-NEXT:  moe.variable @cache.layers.1.value

// CHECK-LABEL: func.func private @sparse_layer_prefill(
// CHECK-SAME:    %x: tensor<6x8xf32>, %cos: tensor<6x1xf32>, %sin: tensor<6x1xf32>, %positions: tensor<2x3xi32>,
// CHECK-SAME:    %key_cache: tensor<2x9x4xf32>, %value_cache: tensor<2x9x4xf32>, %input_layernorm.weight: tensor<8xf32>,
// CHECK-SAME:    -> (tensor<6x8xf32>, tensor<2x9x4xf32>, tensor<2x9x4xf32>)
// CHECK:         %[[Q:.*]] = moe.rope
// CHECK:         %[[K:.*]] = moe.rope
// CHECK:         %[[V:.*]] = moe.linear
// CHECK-NEXT:    %[[KEYS:.*]] = moe.cache_append %key_cache, %[[K]], %positions
// CHECK-NEXT:    %[[VALUES:.*]] = moe.cache_append %value_cache, %[[V]], %positions
// CHECK-NEXT:    moe.cached_attention %[[Q]], %[[KEYS]], %[[VALUES]], %positions {num_heads = 4 : i64, num_kv_heads = 2 : i64}
// CHECK:         moe.topk_gate %{{[^,]*}} {
// CHECK-NOT:     moe.expert_load
// CHECK:         return %{{.*}}, %[[KEYS]], %[[VALUES]]

// CHECK-LABEL: func.func @prefill
// CHECK-SAME:    (%[[TOKENS:.*]]: tensor<2x3xi32> {moe.name = "tokens"}, %[[POSITIONS:.*]]: tensor<2x3xi32> {moe.name = "positions"},
// CHECK-SAME:     %[[LAST:.*]]: tensor<2xi32> {moe.name = "last"}) -> (tensor<2x10xf32> {moe.name = "logits"})
// CHECK-SAME:    attributes {moe.entry = #moe.entry<prefill>}
// CHECK:         moe.rope_table %[[POSITIONS]] {{.*}} : (tensor<2x3xi32>) -> (tensor<6x1xf32>, tensor<6x1xf32>)
// CHECK:         %[[KEYS:.*]] = moe.read @cache.layers.0.key
// CHECK-NEXT:    %[[VALUES:.*]] = moe.read @cache.layers.0.value
// CHECK:         %[[Y:.*]]:3 = call @sparse_layer_prefill(%{{.*}}, %{{.*}}, %{{.*}}, %[[POSITIONS]], %[[KEYS]], %[[VALUES]], {{.*}}) {moe.layer = 0 : i64}
// CHECK-NEXT:    moe.write %[[Y]]#1, @cache.layers.0.key
// CHECK-NEXT:    moe.write %[[Y]]#2, @cache.layers.0.value
// CHECK:         %[[Z:.*]]:3 = call @sparse_layer_prefill(%[[Y]]#0
// CHECK:         %[[ROWS:.*]] = moe.embedding %[[Z]]#0, %[[LAST]] : (tensor<6x8xf32>, tensor<2xi32>) -> tensor<2x8xf32>
// CHECK:         moe.rms_norm %[[ROWS]]
// The head is the embedding table: they are tied.
// CHECK-NEXT:    %[[HEAD:.*]] = moe.read @model.embed_tokens.weight
// CHECK-NEXT:    moe.linear %{{.*}}, %[[HEAD]]

// CHECK-LABEL: func.func private @sparse_layer_decode(
// CHECK-SAME:    %x: tensor<2x8xf32>, %cos: tensor<2x1xf32>, %sin: tensor<2x1xf32>, %positions: tensor<2x1xi32>,
// CHECK-LABEL: func.func @decode_step
// CHECK-SAME:    (%{{.*}}: tensor<2x1xi32> {moe.name = "tokens"}, %{{.*}}: tensor<2x1xi32> {moe.name = "positions"})
// CHECK-SAME:    -> (tensor<2x10xf32> {moe.name = "logits"})
// CHECK-NOT:     moe.serving
moe.model @served (vocab_size = 10, hidden_size = 8, tie_word_embeddings = true) {
  moe.layers (count = 2) {
    moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 2)
    moe.sparse_mlp (num_experts = 3, top_k = 2, moe_intermediate_size = 4)
  }
}
moe.serving (batch_size = 2, prompt_length = 3, context_length = 9)

// -----

// Packed documents: the number of each token in its document is an input of both entry points, and fixes the angles and
// what attention sees.

// CHECK-LABEL: func.func private @dense_layer(
// CHECK-SAME:    %x: tensor<8x8xf32>, %cos: tensor<8x1xf32>, %sin: tensor<8x1xf32>, %positions: tensor<2x4xi32>,
// CHECK-SAME:    %input_layernorm.weight
// CHECK:         moe.attention %{{.*}}, %{{.*}}, %{{.*}}, %positions {
// CHECK-LABEL: func.func @train_step
// CHECK-SAME:    (%[[TOKENS:.*]]: tensor<2x4xi32> {moe.name = "tokens"}, %[[POSITIONS:.*]]: tensor<2x4xi32> {moe.name = "positions"})
// CHECK-NOT:     moe.sequence_positions
// CHECK:         %[[COS:.*]], %[[SIN:.*]] = moe.rope_table %[[POSITIONS]] {{.*}} : (tensor<2x4xi32>) -> (tensor<8x1xf32>, tensor<8x1xf32>)
// CHECK:         call @dense_layer(%{{.*}}, %[[COS]], %[[SIN]], %[[POSITIONS]], {{.*}}) {moe.layer = 0 : i64}
// CHECK-LABEL: func.func @evaluate
// CHECK-SAME:    (%{{.*}}: tensor<2x4xi32> {moe.name = "tokens"}, %[[POSITIONS:.*]]: tensor<2x4xi32> {moe.name = "positions"})
// CHECK:         moe.rope_table %[[POSITIONS]]
// Serving has its own: a sequence there is one document.
// CHECK-LABEL: func.func private @dense_layer_prefill(
// CHECK-SAME:    %positions: tensor<1x2xi32>, %key_cache
moe.model @packed (vocab_size = 10, hidden_size = 8) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.mlp (intermediate_size = 4)
  }
}
moe.training (batch_size = 2, sequence_length = 4, packed_documents = true)
moe.serving (prompt_length = 2, context_length = 4)

// -----

// Equal layers share a function wherever they stand, different ones are numbered, and a table of angles is made for
// each theta.

// CHECK-LABEL: func.func private @dense_layer(
// CHECK-LABEL: func.func private @dense_layer_2(
// CHECK-NOT:   func.func private
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[COS:.*]], %{{.*}} = moe.rope_table %{{.*}} {theta = 1.000000e+04 : f64}
// CHECK:         call @dense_layer(%{{[^,]*}}, %[[COS]], {{.*}} {moe.layer = 0 : i64}
// CHECK:         %[[COS2:.*]], %{{.*}} = moe.rope_table %{{.*}} {theta = 5.000000e+05 : f64}
// CHECK:         call @dense_layer_2(%{{[^,]*}}, %[[COS2]], {{.*}} {moe.layer = 1 : i64}
// CHECK-NOT:     moe.rope_table
// CHECK:         call @dense_layer(%{{[^,]*}}, %[[COS]], {{.*}} {moe.layer = 2 : i64}
// CHECK:         call @dense_layer(%{{[^,]*}}, %[[COS]], {{.*}} {moe.layer = 3 : i64}
// There is no balance loss to add up.
// CHECK:         arith.constant dense<0.000000e+00> : tensor<f32>
moe.model @dense (vocab_size = 10, hidden_size = 8) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.mlp (intermediate_size = 4)
  }
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2, rope_theta = 500000.0)
    moe.mlp (intermediate_size = 4)
  }
  moe.layers (count = 2) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.mlp (intermediate_size = 4)
  }
}
moe.training (batch_size = 1, sequence_length = 1)

// -----

// A balance loss is returned by the layers that have one and added up over them; without a rate there is no bias.

// CHECK-NOT:   e_score_correction_bias
// CHECK-LABEL: func.func private @sparse_layer(
// CHECK-SAME:    -> (tensor<1x8xf32>, tensor<f32>, tensor<3xi32>)
// CHECK-LABEL: func.func private @sparse_layer_2(
// CHECK-SAME:    -> (tensor<1x8xf32>, tensor<3xi32>)
// CHECK-LABEL: func.func @train_step
// CHECK-SAME:    {moe.name = "load.0"}, tensor<3xi32> {moe.name = "load.1"}, tensor<3xi32> {moe.name = "load.2"}
// CHECK:         %[[A:.*]]:3 = call @sparse_layer(
// CHECK:         %[[B:.*]]:3 = call @sparse_layer(
// CHECK:         %[[AUX:.*]] = moe.add %[[A]]#1, %[[B]]#1 : tensor<f32>
// CHECK:         %[[C:.*]]:2 = call @sparse_layer_2(
// CHECK:         return %{{.*}}, %[[AUX]], %[[A]]#2, %[[B]]#2, %[[C]]#1
moe.model @losses (vocab_size = 10, hidden_size = 8) {
  moe.layers (count = 2) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.sparse_mlp (num_experts = 3, top_k = 2, moe_intermediate_size = 4, aux_loss_alpha = 0.1)
  }
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.sparse_mlp (num_experts = 3, top_k = 2, moe_intermediate_size = 4)
  }
}
moe.training (batch_size = 1, sequence_length = 1)

// -----

// In bf16: parameters, activations and caches. In float32: angles, the router from its logits on, losses, output logits and
// the selection bias.
// CHECK:       moe.variable @model.embed_tokens.weight parameter normal 2.000000e-02 : tensor<10x8xbf16>
// CHECK:       moe.variable @model.layers.0.mlp.gate.weight {{.*}} : tensor<3x8xbf16>
// CHECK:       moe.variable @model.layers.0.mlp.gate.e_score_correction_bias buffer zeros : tensor<3xf32>
// CHECK:       moe.variable @model.norm.weight parameter ones : tensor<8xbf16>
// CHECK:       moe.variable @cache.layers.0.key cache zeros : tensor<1x4x2xbf16>
// CHECK-LABEL: func.func private @sparse_layer(
// CHECK-SAME:    %[[X:.*]]: tensor<2x8xbf16>, %[[COS:.*]]: tensor<2x1xf32>, %[[SIN:.*]]: tensor<2x1xf32>
// CHECK:         moe.rope %{{.*}} : (tensor<2x2xbf16>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x2xbf16>
// CHECK:         moe.attention {{.*}} -> (tensor<2x2xbf16>, tensor<2x1xf32>)
// CHECK:         moe.linear %{{.*}}, %mlp.gate.weight : (tensor<2x8xbf16>, tensor<3x8xbf16>) -> tensor<2x3xf32>
// CHECK:         moe.topk_gate {{.*}} -> (tensor<2x2xf32>, tensor<2x2xi32>)
// CHECK:         moe.dispatch {{.*}} -> tensor<4x8xbf16>
// CHECK:         moe.combine {{.*}} : (tensor<4x8xbf16>, tensor<4xi32>, tensor<2x2xi32>, tensor<2x2xf32>) -> tensor<2x8xbf16>
// CHECK:         moe.balance_loss {{.*}} -> tensor<f32>
// CHECK-LABEL: func.func @train_step
// CHECK:         moe.rope_table {{.*}} -> (tensor<2x1xf32>, tensor<2x1xf32>)
// CHECK:         moe.linear {{.*}} : (tensor<2x8xbf16>, tensor<10x8xbf16>) -> tensor<2x10xf32>
// CHECK-LABEL: func.func @decode_step
// CHECK-SAME:    tensor<1x10xf32> {moe.name = "logits"}
moe.model @bfloat16 (vocab_size = 10, hidden_size = 8, dtype = bf16) {
  moe.layers (count = 1) {
    moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 2)
    moe.sparse_mlp (num_experts = 3, top_k = 2, moe_intermediate_size = 4, aux_loss_alpha = 0.1, bias_update_rate = 0.1)
  }
}
moe.training (batch_size = 1, sequence_length = 2)
moe.serving (prompt_length = 2, context_length = 4)

// -----

// Without a moe.model there is nothing to do.
// CHECK-LABEL: func.func @by_hand
// CHECK:       moe.training
func.func @by_hand() { return }
moe.training (batch_size = 1, sequence_length = 1)

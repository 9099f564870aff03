// Serving: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @cache_append.prompt(%cache: tensor<2x9x6x!storage>, %rows: tensor<10x6x!storage>,
    %positions: tensor<2x5xi32> {moe.draw = "at(0)"}) -> tensor<2x9x6x!storage> attributes {moe.no_gradient} {
  %y = moe.cache_append %cache, %rows, %positions
      : (tensor<2x9x6x!storage>, tensor<10x6x!storage>, tensor<2x5xi32>) -> tensor<2x9x6x!storage>
  return %y : tensor<2x9x6x!storage>
}

func.func @cache_append.next_token(%cache: tensor<3x7x10x!storage>, %rows: tensor<3x10x!storage>,
    %positions: tensor<3x1xi32> {moe.draw = "at(4)"}) -> tensor<3x7x10x!storage> attributes {moe.no_gradient} {
  %y = moe.cache_append %cache, %rows, %positions
      : (tensor<3x7x10x!storage>, tensor<3x10x!storage>, tensor<3x1xi32>) -> tensor<3x7x10x!storage>
  return %y : tensor<3x7x10x!storage>
}

// The last slots of the cache.
func.func @cache_append.chunk(%cache: tensor<1x40x33x!storage>, %rows: tensor<16x33x!storage>,
    %positions: tensor<1x16xi32> {moe.draw = "at(24)"}) -> tensor<1x40x33x!storage> attributes {moe.no_gradient} {
  %y = moe.cache_append %cache, %rows, %positions
      : (tensor<1x40x33x!storage>, tensor<16x33x!storage>, tensor<1x16xi32>) -> tensor<1x40x33x!storage>
  return %y : tensor<1x40x33x!storage>
}

func.func @cache_append.any_position(%cache: tensor<5x9x8x!storage>, %rows: tensor<5x8x!storage>,
    %positions: tensor<5x1xi32> {moe.draw = "index(9)"}) -> tensor<5x9x8x!storage> attributes {moe.no_gradient} {
  %y = moe.cache_append %cache, %rows, %positions
      : (tensor<5x9x8x!storage>, tensor<5x8x!storage>, tensor<5x1xi32>) -> tensor<5x9x8x!storage>
  return %y : tensor<5x9x8x!storage>
}

// Only itself to see, whatever the cache holds.
func.func @cached_attention.first_token(%q: tensor<1x8x!storage>, %keys: tensor<1x8x4x!storage>,
    %values: tensor<1x8x4x!storage>, %positions: tensor<1x1xi32> {moe.draw = "at(0)"})
    -> tensor<1x8x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 2, num_kv_heads = 1}
      : (tensor<1x8x!storage>, tensor<1x8x4x!storage>, tensor<1x8x4x!storage>, tensor<1x1xi32>) -> tensor<1x8x!storage>
  return %y : tensor<1x8x!storage>
}

func.func @cached_attention.prompt(%q: tensor<22x32x!storage>, %keys: tensor<2x16x16x!storage>,
    %values: tensor<2x16x16x!storage>, %positions: tensor<2x11xi32> {moe.draw = "at(0)"})
    -> tensor<22x32x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 4, num_kv_heads = 2}
      : (tensor<22x32x!storage>, tensor<2x16x16x!storage>, tensor<2x16x16x!storage>, tensor<2x11xi32>)
      -> tensor<22x32x!storage>
  return %y : tensor<22x32x!storage>
}

func.func @cached_attention.next_token(%q: tensor<2x64x!storage>, %keys: tensor<2x20x32x!storage>,
    %values: tensor<2x20x32x!storage>, %positions: tensor<2x1xi32> {moe.draw = "at(17)"})
    -> tensor<2x64x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 4, num_kv_heads = 2}
      : (tensor<2x64x!storage>, tensor<2x20x32x!storage>, tensor<2x20x32x!storage>, tensor<2x1xi32>)
      -> tensor<2x64x!storage>
  return %y : tensor<2x64x!storage>
}

// Many keys for each warp, heads that are no power of two, queries that share a key head.
func.func @cached_attention.long_cache(%q: tensor<2x160x!storage>, %keys: tensor<2x1100x80x!storage>,
    %values: tensor<2x1100x80x!storage>, %positions: tensor<2x1xi32> {moe.draw = "at(1061)"})
    -> tensor<2x160x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 4, num_kv_heads = 2}
      : (tensor<2x160x!storage>, tensor<2x1100x80x!storage>, tensor<2x1100x80x!storage>, tensor<2x1xi32>)
      -> tensor<2x160x!storage>
  return %y : tensor<2x160x!storage>
}

func.func @cached_attention.full_cache(%q: tensor<1x256x!storage>, %keys: tensor<1x130x64x!storage>,
    %values: tensor<1x130x64x!storage>, %positions: tensor<1x1xi32> {moe.draw = "at(129)"})
    -> tensor<1x256x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 4, num_kv_heads = 1}
      : (tensor<1x256x!storage>, tensor<1x130x64x!storage>, tensor<1x130x64x!storage>, tensor<1x1xi32>)
      -> tensor<1x256x!storage>
  return %y : tensor<1x256x!storage>
}

func.func @cached_attention.different_lengths(%q: tensor<5x96x!storage>, %keys: tensor<5x70x32x!storage>,
    %values: tensor<5x70x32x!storage>, %positions: tensor<5x1xi32> {moe.draw = "index(70)"})
    -> tensor<5x96x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 6, num_kv_heads = 2}
      : (tensor<5x96x!storage>, tensor<5x70x32x!storage>, tensor<5x70x32x!storage>, tensor<5x1xi32>)
      -> tensor<5x96x!storage>
  return %y : tensor<5x96x!storage>
}

func.func @cached_attention.chunk(%q: tensor<19x256x!storage>, %keys: tensor<1x90x128x!storage>,
    %values: tensor<1x90x128x!storage>, %positions: tensor<1x19xi32> {moe.draw = "at(50)"})
    -> tensor<19x256x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 2, num_kv_heads = 1}
      : (tensor<19x256x!storage>, tensor<1x90x128x!storage>, tensor<1x90x128x!storage>, tensor<1x19xi32>)
      -> tensor<19x256x!storage>
  return %y : tensor<19x256x!storage>
}

func.func @cached_attention.large_scores(%q: tensor<6x32x!storage> {moe.draw = "normal(20)"},
    %keys: tensor<2x33x32x!storage>, %values: tensor<2x33x32x!storage>,
    %positions: tensor<2x3xi32> {moe.draw = "at(20)"}) -> tensor<6x32x!storage> attributes {moe.no_gradient} {
  %y = moe.cached_attention %q, %keys, %values, %positions {num_heads = 2, num_kv_heads = 2}
      : (tensor<6x32x!storage>, tensor<2x33x32x!storage>, tensor<2x33x32x!storage>, tensor<2x3xi32>)
      -> tensor<6x32x!storage>
  return %y : tensor<6x32x!storage>
}

// A decode step.
func.func @cached_attention.after_append(%q: tensor<2x32x!storage>, %k: tensor<2x16x!storage>,
    %v: tensor<2x16x!storage>, %keys: tensor<2x24x16x!storage>, %values: tensor<2x24x16x!storage>,
    %positions: tensor<2x1xi32> {moe.draw = "index(24)"})
    -> (tensor<2x32x!storage>, tensor<2x24x16x!storage>, tensor<2x24x16x!storage>) attributes {moe.no_gradient} {
  %new_keys = moe.cache_append %keys, %k, %positions
      : (tensor<2x24x16x!storage>, tensor<2x16x!storage>, tensor<2x1xi32>) -> tensor<2x24x16x!storage>
  %new_values = moe.cache_append %values, %v, %positions
      : (tensor<2x24x16x!storage>, tensor<2x16x!storage>, tensor<2x1xi32>) -> tensor<2x24x16x!storage>
  %y = moe.cached_attention %q, %new_keys, %new_values, %positions {num_heads = 4, num_kv_heads = 2}
      : (tensor<2x32x!storage>, tensor<2x24x16x!storage>, tensor<2x24x16x!storage>, tensor<2x1xi32>)
      -> tensor<2x32x!storage>
  return %y, %new_keys, %new_values : tensor<2x32x!storage>, tensor<2x24x16x!storage>, tensor<2x24x16x!storage>
}

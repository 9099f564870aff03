// RUN: not %moe-opt %s --moe-differentiate=activation-checkpointing=some 2>&1 | FileCheck %s

// CHECK: error: moe-differentiate: there is no activation checkpointing 'some'; there are: none, selective, full
func.func @train_step() attributes {moe.entry = #moe.entry<train_step>} {
  return
}

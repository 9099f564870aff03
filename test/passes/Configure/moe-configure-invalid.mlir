// RUN: %moe-opt %s -moe-configure -split-input-file -verify-diagnostics

// expected-error @+1 {{has no 'moe.target' attribute; compile with target=cpu}}
module {
}

// -----

// expected-error @+1 {{unknown target 'abacus'; there are: cpu}}
module attributes {moe.target = "abacus"} {
}

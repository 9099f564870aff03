// RUN: %moe-opt %s -moe-shard | FileCheck %s
// RUN: not %moe-opt %s -moe-shard=ranks=4 2>&1 | FileCheck %s --check-prefix=MANY

// One rank has everything.
// CHECK: module attributes {moe.grid = array<i64: 1>}
// MANY: error: cannot be divided among 4 ranks: only 1 rank is supported so far; compile with ranks=1
module {
}

// RUN: %moe-opt %models/tiny.mlir -moe-expand-layers -moe-attach-loss -moe-differentiate -moe-apply-optimizer -canonicalize -cse \
// RUN:   -moe-fuse -moe-verify-stage=stage=fuse | FileCheck %s

// The routed part of a layer is five launches: route, plan, two grouped matmuls and what combines the experts' rows.
// CHECK-LABEL: func.func private @sparse_layer(
// CHECK: %[[LOGITS:.*]] = moe_kernel.launch @linear_1536x8x128(%[[X:.*]], %{{.*}})
// CHECK: %[[ROUTE:.*]]:3 = moe_kernel.launch @router_sigmoid_top2_1536x8(%[[LOGITS]],
// CHECK: %[[PLAN:.*]]:3 = moe_kernel.launch @plan_routing_1536x2x8(%[[ROUTE]]#2)
// CHECK: %[[H:.*]] = moe_kernel.launch @grouped_matmul_dispatch_swiglu_3072x128x128(%[[X]], %{{.*}}, %[[PLAN]]#0, %[[PLAN]]#1)
// CHECK: %[[Y:.*]] = moe_kernel.launch @grouped_matmul_3072x128x64(%[[H]], %{{.*}}, %[[PLAN]]#0)
// CHECK: moe_kernel.launch @combine_1536x128(%[[Y]], %[[PLAN]]#2, %[[ROUTE]]#1)

// The forward pass for training also keeps what goes into the activation.
// CHECK-LABEL: func.func private @sparse_layer_forward(
// CHECK: moe_kernel.launch @grouped_matmul_dispatch_swiglu_with_input_3072x128x128

// Gradients: experts read gradients of tokens where these are, and tokens too; one kernel over rows gives what goes into the
// activation, the weighted activation and, in the order of rows, the gradients of the weights; sums of matmuls are chains.
// CHECK-LABEL: func.func private @sparse_layer_backward(
// CHECK-NOT: moe_kernel.launch @dispatch
// CHECK: %[[DA:.*]] = moe_kernel.launch @grouped_matmul_dispatch_3072x64x128
// CHECK: %[[ROWS:.*]]:3 = moe_kernel.launch @weighted_gated_activation_backward_3072x128(%{{.*}}, %[[DA]],
// CHECK: moe_kernel.launch @weights_gradient_1536x2(%[[ROWS]]#0,
// CHECK: moe_kernel.launch @grouped_contraction_dispatch_128x64x3072(%{{.*}}, %[[ROWS]]#1,
// CHECK-DAG: moe_kernel.launch @grouped_matmul_3072x128x128(%[[ROWS]]#2,
// CHECK-DAG: moe_kernel.launch @grouped_contraction_dispatch_128x128x3072(%[[ROWS]]#2,
// CHECK-DAG: moe_kernel.launch @router_sigmoid_backward_top2_1536x8
// CHECK-DAG: moe_kernel.launch @matmul_add_1536x128x128

// CHECK-LABEL: func.func @train_step(
// CHECK-NOT: {{moe\.(add|sum|embedding|adamw|global_norm)}}
// CHECK: moe.write

// Two sparse layers, one kernel: each symbol once.
// CHECK: moe_kernel.kernel @router_sigmoid_top2_1536x8(
// CHECK-NOT: moe_kernel.kernel @router_sigmoid_top2_1536x8

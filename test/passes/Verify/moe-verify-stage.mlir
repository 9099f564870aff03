// RUN: split-file %s %t
//
// A whole description, stage by stage: what each leaves is what the next expects.
// RUN: %moe-opt %models/tiny.mlir -moe-verify-stage=stage=input -moe-expand-layers -moe-verify-stage=stage=layers -o /dev/null
//
// Hand-written programs may enter the pipeline further down: ops that come early are not leftovers.
// RUN: %moe-opt %t/kernels.mlir -moe-verify-stage=stage=input -moe-verify-stage=stage=fuse -o /dev/null
// RUN: %moe-opt %t/program.mlir -moe-verify-stage=stage=input -moe-verify-stage=stage=schedule -o /dev/null
// RUN: %moe-opt %t/artifact.mlir -moe-verify-stage=stage=codegen -o /dev/null

//--- kernels.mlir

// What a kernel holds is its own affair, linalg included.
#id = affine_map<(i) -> (i)>
moe.variable @w parameter ones : tensor<64xf32>
moe_kernel.kernel @copy(%x: tensor<64xf32>) -> tensor<64xf32> {
  %0 = tensor.empty() : tensor<64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<64xf32>) outs(%0 : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<64xf32>
  moe_kernel.return %1 : tensor<64xf32>
}
func.func @evaluate() {
  %0 = moe.read @w : tensor<64xf32>
  %1 = moe_kernel.launch @copy(%0) : (tensor<64xf32>) -> tensor<64xf32>
  moe.write %1, @w : tensor<64xf32>
  return
}

//--- program.mlir

#id = affine_map<(i) -> (i)>
moe.variable @w parameter ones : tensor<64xf32>
moe_kernel.kernel @copy(%x: tensor<64xf32>) -> tensor<64xf32> attributes {config = "any"} {
  %0 = tensor.empty() : tensor<64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<64xf32>) outs(%0 : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<64xf32>
  moe_kernel.return %1 : tensor<64xf32>
}
moe_exec.program @evaluate workspace(256) inputs([] : []) outputs([] : []) {
  moe_exec.launch @copy(@w[0 : 256]) -> (workspace[0 : 256])
}

//--- artifact.mlir

moe.variable @w parameter ones : tensor<64xf32>
moe_exec.program @evaluate workspace(256) inputs([] : []) outputs([] : []) {
  moe_exec.copy @w[0 : 256] -> workspace[0 : 256]
}

// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen=dump-to=%t -o %t.mlir
// RUN: FileCheck %s --check-prefix=NORM < %t/norm.ptx
// RUN: FileCheck %s --check-prefix=COLUMNS < %t/columns.ptx
// RUN: FileCheck %s --check-prefix=UPDATE < %t/update.ptx
// RUN: FileCheck %s --check-prefix=SOFTMAX < %t/softmax.ptx
// RUN: FileCheck %s --check-prefix=TABLE < %t/table.ptx
// RUN: cat %t/norm.ptx %t/columns.ptx %t/update.ptx %t/softmax.ptx %t/table.ptx | FileCheck %s --check-prefix=ALL

// Nothing lies in local memory, and nothing is called: there is no libdevice.
// ALL-NOT: __local_depot
// ALL-NOT: .extern .func

#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>
#i_of_ij = affine_map<(i, j) -> (i)>
#j_of_ij = affine_map<(i, j) -> (j)>
#i = affine_map<(i) -> (i)>

module attributes {moe.target = "cuda"} {
  // A warp for a row: each thread reads four elements once, the sum of squares goes through shuffles, and the scale of
  // the row stays in registers.
  // NORM: .version 7.0
  // NORM: .target sm_80
  // NORM: .visible .entry norm(
  // NORM: .reqntid
  // NORM: ld.global.nc.v4.b32 {[[X:.*]], [[X1:.*]], [[X2:.*]], [[X3:.*]]}, [
  // NORM: fma.rn.f32
  // NORM: shfl.sync.bfly.b32 {{.*}}, 16, 31, -1;
  // NORM: shfl.sync.bfly.b32 {{.*}}, 1, 31, -1;
  // NORM-NOT: shfl
  // NORM: sqrt.rn.f32
  // NORM: st.global.v4.b32
  moe_kernel.kernel @norm(%x: tensor<1024x128xf32>, %w: tensor<128xf32>) -> tensor<1024x128xf32> {
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<1024xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1024xf32>) -> tensor<1024xf32>
    %sum = linalg.generic {indexing_maps = [#ij, #i_of_ij], iterator_types = ["parallel", "reduction"]}
        ins(%x : tensor<1024x128xf32>) outs(%f : tensor<1024xf32>) {
      ^bb0(%a: f32, %acc: f32):
        %m = arith.mulf %a, %a : f32
        %r = arith.addf %acc, %m : f32
        linalg.yield %r : f32
    } -> tensor<1024xf32>
    %scale = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
        ins(%sum : tensor<1024xf32>) outs(%e : tensor<1024xf32>) {
      ^bb0(%a: f32, %o: f32):
        %r = math.rsqrt %a : f32
        linalg.yield %r : f32
    } -> tensor<1024xf32>
    %e2 = tensor.empty() : tensor<1024x128xf32>
    %y = linalg.generic {indexing_maps = [#ij, #i_of_ij, #j_of_ij, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%x, %scale, %w : tensor<1024x128xf32>, tensor<1024xf32>, tensor<128xf32>)
        outs(%e2 : tensor<1024x128xf32>) {
      ^bb0(%a: f32, %s: f32, %b: f32, %o: f32):
        %m = arith.mulf %a, %s : f32
        %r = arith.mulf %m, %b : f32
        linalg.yield %r : f32
    } -> tensor<1024x128xf32>
    moe_kernel.return %y : tensor<1024x128xf32>
  }

  // A thread for a column, which walks down the rows: neighbouring threads read neighbouring elements.
  // COLUMNS-NOT: shfl
  // COLUMNS: ld.global.nc.b32
  // COLUMNS: add.rn.f32
  // COLUMNS: st.global.b32
  moe_kernel.kernel @columns(%x: tensor<32x128xf32>) -> tensor<128xf32> {
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<128xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128xf32>) -> tensor<128xf32>
    %sum = linalg.generic {indexing_maps = [#ji, #i_of_ij], iterator_types = ["parallel", "reduction"]}
        ins(%x : tensor<32x128xf32>) outs(%f : tensor<128xf32>) {
      ^bb0(%a: f32, %acc: f32):
        %r = arith.addf %acc, %a : f32
        linalg.yield %r : f32
    } -> tensor<128xf32>
    moe_kernel.return %sum : tensor<128xf32>
  }

  // What is large enough to fill the machine is read and written in vectors, also in place.
  // UPDATE: .visible .entry update(
  // UPDATE-DAG: ld.global.v4.b32
  // UPDATE-DAG: ld.global.nc.v4.b32
  // UPDATE: fma.rn.f32
  // UPDATE: st.global.v4.b32
  moe_kernel.kernel @update(%p: tensor<1048576xf32> {moe_kernel.tied = 0 : i64}, %g: tensor<1048576xf32>)
      -> tensor<1048576xf32> {
    %e = tensor.empty() : tensor<1048576xf32>
    %y = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
        ins(%p, %g : tensor<1048576xf32>, tensor<1048576xf32>) outs(%e : tensor<1048576xf32>) {
      ^bb0(%a: f32, %b: f32, %o: f32):
        %rate = arith.constant -0.5 : f32
        %m = arith.mulf %rate, %b : f32
        %r = arith.addf %a, %m : f32
        linalg.yield %r : f32
    } -> tensor<1048576xf32>
    moe_kernel.return %y : tensor<1048576xf32>
  }

  // A block for a long row: warps meet in shared memory. exp is a polynomial.
  // SOFTMAX: .extern .shared .align 1024 .b8 softmax$shared[]
  // SOFTMAX: max.NaN.f32
  // SOFTMAX: shfl.sync.bfly.b32
  // SOFTMAX: st.shared.b32
  // SOFTMAX: bar.sync 0;
  // SOFTMAX: fma.rn.f32
  // SOFTMAX: bar.sync 0;
  moe_kernel.kernel @softmax(%x: tensor<64x32768xf32>) -> tensor<64xf32> {
    %lowest = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64xf32>
    %f = linalg.fill ins(%lowest : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
    %max = linalg.generic {indexing_maps = [#ij, #i_of_ij], iterator_types = ["parallel", "reduction"]}
        ins(%x : tensor<64x32768xf32>) outs(%f : tensor<64xf32>) {
      ^bb0(%a: f32, %acc: f32):
        %r = arith.maximumf %acc, %a : f32
        linalg.yield %r : f32
    } -> tensor<64xf32>
    %g = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
    %sum = linalg.generic {indexing_maps = [#ij, #i_of_ij, #i_of_ij], iterator_types = ["parallel", "reduction"]}
        ins(%x, %max : tensor<64x32768xf32>, tensor<64xf32>) outs(%g : tensor<64xf32>) {
      ^bb0(%a: f32, %m: f32, %acc: f32):
        %d = arith.subf %a, %m : f32
        %exp = math.exp %d : f32
        %r = arith.addf %acc, %exp : f32
        linalg.yield %r : f32
    } -> tensor<64xf32>
    moe_kernel.return %sum : tensor<64xf32>
  }

  // Tables are globals of their kernel, and double precision works.
  // TABLE: .global .align 16 .b{{8|64}} table_$_table0[
  // TABLE: ld.global{{.*}}.b64
  // TABLE: mul.rn.f64
  // TABLE: st.global
  moe_kernel.kernel @table(%x: tensor<128x32xf64>) -> tensor<128x32xf64> {
    %table = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 30.0, 31.0, 32.0]> : tensor<32xf64>
    %e = tensor.empty() : tensor<128x32xf64>
    %y = linalg.generic {indexing_maps = [#ij, #j_of_ij, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%x, %table : tensor<128x32xf64>, tensor<32xf64>) outs(%e : tensor<128x32xf64>) {
      ^bb0(%a: f64, %b: f64, %o: f64):
        %r = arith.mulf %a, %b : f64
        linalg.yield %r : f64
    } -> tensor<128x32xf64>
    moe_kernel.return %y : tensor<128x32xf64>
  }
}

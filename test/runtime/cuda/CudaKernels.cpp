//===- CudaKernels.cpp - Hand-written GPU kernels for tests ---------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CudaKernels.h"

namespace moe::test {

const std::string kCudaKernels = R"(.version 7.0
.target sm_80
.address_size 64

.extern .shared .align 16 .b8 shared[];

.visible .entry test_add(.param .u64 a, .param .u64 b, .param .u64 c) {
  .reg .b32 %r<5>;
  .reg .b64 %d<8>;
  .reg .f32 %f<4>;
  ld.param.u64 %d1, [a];
  ld.param.u64 %d2, [b];
  ld.param.u64 %d3, [c];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %d4, %r4, 4;
  add.u64 %d5, %d1, %d4;
  add.u64 %d6, %d2, %d4;
  add.u64 %d7, %d3, %d4;
  ld.global.f32 %f1, [%d5];
  ld.global.f32 %f2, [%d6];
  add.rn.f32 %f3, %f1, %f2;
  st.global.f32 [%d7], %f3;
  ret;
}

.visible .entry test_double(.param .u64 a, .param .u64 b) {
  .reg .b32 %r<5>;
  .reg .b64 %d<6>;
  .reg .f32 %f<3>;
  ld.param.u64 %d1, [a];
  ld.param.u64 %d2, [b];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %d3, %r4, 4;
  add.u64 %d4, %d1, %d3;
  add.u64 %d5, %d2, %d3;
  ld.global.f32 %f1, [%d4];
  add.rn.f32 %f2, %f1, %f1;
  st.global.f32 [%d5], %f2;
  ret;
}

.visible .entry test_increment(.param .u64 a, .param .u64 b) {
  .reg .b32 %r<5>;
  .reg .b64 %d<6>;
  .reg .f32 %f<3>;
  ld.param.u64 %d1, [a];
  ld.param.u64 %d2, [b];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %d3, %r4, 4;
  add.u64 %d4, %d1, %d3;
  add.u64 %d5, %d2, %d3;
  ld.global.f32 %f1, [%d4];
  add.rn.f32 %f2, %f1, 0f3F800000;
  st.global.f32 [%d5], %f2;
  ret;
}

.visible .entry test_row_sums(.param .u64 x, .param .u64 y) {
  .reg .pred %p;
  .reg .b32 %r<6>;
  .reg .b64 %d<6>;
  .reg .f32 %f<3>;
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %d3, %r4, 256;
  add.u64 %d1, %d1, %d3;
  mul.wide.u32 %d4, %r4, 4;
  add.u64 %d2, %d2, %d4;
  mov.f32 %f1, 0f00000000;
  mov.u32 %r5, 0;
loop:
  ld.global.f32 %f2, [%d1];
  fma.rn.f32 %f1, %f1, 0f3F7FBE77, %f2;
  add.u64 %d1, %d1, 4;
  add.u32 %r5, %r5, 1;
  setp.lt.u32 %p, %r5, 64;
  @%p bra loop;
  st.global.f32 [%d2], %f1;
  ret;
}

.visible .entry test_reverse(.param .u64 a, .param .u64 b) {
  .reg .b32 %r<12>;
  .reg .b64 %d<6>;
  .reg .f32 %f<3>;
  ld.param.u64 %d1, [a];
  ld.param.u64 %d2, [b];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %d3, %r4, 4;
  add.u64 %d4, %d1, %d3;
  add.u64 %d5, %d2, %d3;
  ld.global.f32 %f1, [%d4];
  mov.u32 %r5, shared;
  add.u32 %r5, %r5, 65536;
  shl.b32 %r6, %r3, 2;
  add.u32 %r7, %r5, %r6;
  st.shared.f32 [%r7], %f1;
  bar.sync 0;
  sub.u32 %r8, %r2, %r3;
  sub.u32 %r8, %r8, 1;
  shl.b32 %r9, %r8, 2;
  add.u32 %r10, %r5, %r9;
  ld.shared.f32 %f2, [%r10];
  st.global.f32 [%d5], %f2;
  ret;
}
)";

void setCode(ArtifactBuilder &builder, const std::string &ptx) {
  const auto bytes = std::as_bytes(std::span(ptx));
  builder.code.assign(bytes.begin(), bytes.end());
}

ArtifactBuilder exampleCudaArtifact() {
  ArtifactBuilder builder = exampleArtifact("cuda");
  setCode(builder, kCudaKernels);
  return builder;
}

ArtifactBuilder tensorMapArtifact() {
  ArtifactBuilder builder = exampleCudaArtifact();
  setCode(builder, kCudaKernels + R"(
.visible .entry test_double_mapped(.param .u64 a, .param .u64 b,
                                   .param .align 64 .b8 map_a[128], .param .align 64 .b8 map_b[128]) {
  ret;
}
)");
  format::KernelT &kernel = *builder.table.kernels[1];
  kernel.name = "test_double_mapped";
  for (unsigned buffer = 0; buffer < 2; ++buffer) {
    auto map = std::make_unique<format::TensorMapT>();
    map->buffer = buffer;
    map->dims = {20, 50};
    map->strides = {80};
    map->box = {20, 10};
    kernel.tensor_maps.push_back(std::move(map));
  }
  return builder;
}

ArtifactBuilder rowSumsArtifact() {
  constexpr std::uint64_t matrix = kRows * kColumns * sizeof(float), column = kRows * sizeof(float);
  ArtifactBuilder builder("cuda");
  setCode(builder, kCudaKernels);
  const unsigned weight = builder.variable("weight", format::VariableRole::parameter, {kRows, kColumns},
                                           format::InitializerKind::normal, 1.0);
  const unsigned history = builder.variable("history", format::VariableRole::buffer, {kRows});

  // One block of 64 threads, or of 256: grids of more than one dimension count as x.
  auto kernel = [&](const char *name, std::uint32_t blocks, std::uint32_t threads, unsigned operands) {
    const unsigned index = builder.kernel(name, blocks, operands, 1);
    *builder.table.kernels[index]->block = format::Dim3(threads, 1, 1);
    return index;
  };
  const unsigned add = kernel("test_add", kRows, kColumns, 2), sums = kernel("test_row_sums", 4, kRows / 4, 1),
                 reverse = kernel("test_reverse", 1, kRows, 1),
                 increment = kernel("test_increment", kRows, kColumns, 1);
  builder.table.kernels[reverse]->shared_bytes = kReverseSharedBytes;

  format::EntryPointT &step = builder.entryPoint("step", matrix + 2 * column);
  ArtifactBuilder::input(step, "x", {kRows, kColumns});
  ArtifactBuilder::output(step, "y", {kRows});
  const BufferRef all(Space::workspace, 0, 0, matrix + 2 * column), sum(Space::workspace, 0, 0, matrix),
      sumsOfRows(Space::workspace, 0, matrix, column), reversed(Space::workspace, 0, matrix + column, column),
      weightRef(Space::variable, weight, 0, matrix);
  ArtifactBuilder::fill(step, all, 0xff);
  ArtifactBuilder::launch(step, add, {BufferRef(Space::input, 0, 0, matrix), weightRef, sum}, "add");
  ArtifactBuilder::launch(step, sums, {sum, sumsOfRows}, "sums");
  ArtifactBuilder::launch(step, reverse, {sumsOfRows, reversed}, "reverse");
  ArtifactBuilder::copy(step, reversed, BufferRef(Space::output, 0, 0, column));
  ArtifactBuilder::copy(step, reversed, BufferRef(Space::variable, history, 0, column));
  ArtifactBuilder::launch(step, increment, {weightRef, weightRef}, "increment");
  return builder;
}

} // namespace moe::test

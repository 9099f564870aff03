//===- Kernels.c - Hand-written kernels for tests -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The calling convention is that of include/moe/CpuKernel.h. One item is one element unless said otherwise.
//
//===----------------------------------------------------------------------===//
typedef long long i64;

// (a, b) -> c = a + b
void test_add(void *const *buffers, i64 begin, i64 end, void *scratch) {
  const float *a = buffers[0], *b = buffers[1];
  float *c = buffers[2];
  for (i64 i = begin; i < end; ++i)
    c[i] = a[i] + b[i];
}

// (a) -> b = 2 a
void test_double(void *const *buffers, i64 begin, i64 end, void *scratch) {
  const float *a = buffers[0];
  float *b = buffers[1];
  for (i64 i = begin; i < end; ++i)
    b[i] = 2 * a[i];
}

// (a) -> a + 1, in place
void test_increment(void *const *buffers, i64 begin, i64 end, void *scratch) {
  float *a = buffers[1];
  for (i64 i = begin; i < end; ++i)
    a[i] += 1;
}

// (x[n*64]) -> y[n]: item i accumulates its row in a fixed order, with rounding at every step.
void test_row_sums(void *const *buffers, i64 begin, i64 end, void *scratch) {
  const float *x = buffers[0];
  float *y = buffers[1];
  for (i64 i = begin; i < end; ++i) {
    float sum = 0;
    for (i64 j = 0; j < 64; ++j)
      sum = sum * 0.999f + x[i * 64 + j];
    y[i] = sum;
  }
}

// (arrived) -> ok[2]: two items that run at the same time each own 4096 bytes of scratch, aligned to 64. `arrived` is an
// integer zero; the items wait for each other, so this ends only with two threads.
void test_scratch(void *const *buffers, i64 begin, i64 end, void *scratch) {
  int *arrived = buffers[0];
  float *ok = buffers[1];
  volatile i64 *words = scratch;
  for (i64 i = begin; i < end; ++i) {
    for (i64 j = 0; j < 512; ++j)
      words[j] = i * 512 + j;
    __atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < 2)
      ;
    float good = ((unsigned long long)scratch & 63) == 0;
    for (i64 j = 0; j < 512; ++j)
      if (words[j] != i * 512 + j)
        good = 0;
    ok[i] = good;
  }
}

//===- SelfTest.cpp - Does the GPU compute? -------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/SelfTest.h"

#include "runtime/drivers/cuda/Module.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace moe::drivers::cuda {

/// y[i] = 2 x[i] + 1, one thread an element.
static constexpr const char *kPtx = R"(.version 7.0
.target sm_80
.address_size 64
.visible .entry moe_self_test(.param .u64 x, .param .u64 y) {
  .reg .b32 %r<5>;
  .reg .b64 %d<6>;
  .reg .f32 %f<3>;
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %d3, %r4, 4;
  add.u64 %d4, %d1, %d3;
  add.u64 %d5, %d2, %d3;
  ld.global.f32 %f1, [%d4];
  fma.rn.f32 %f2, %f1, 0f40000000, 0f3F800000;
  st.global.f32 [%d5], %f2;
  ret;
}
)";

/// The kernel of kPtx, as it would be in an artifact.
static Result<std::unique_ptr<CudaKernel>> loadTestKernel(const std::shared_ptr<const Device> &device,
                                                          unsigned elements) {
  auto module = Module::fromPtx(device, kPtx);
  if (!module)
    return module.status();
  format::KernelT kernel;
  kernel.name = "moe_self_test";
  kernel.block = std::make_unique<format::Dim3>(256, 1, 1);
  kernel.grid = std::make_unique<format::Dim3>(elements / 256, 1, 1);
  kernel.num_operands = kernel.num_results = 1;
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(format::CreateKernel(builder, &kernel));
  return CudaKernel::create(*device, std::move(*module),
                            *flatbuffers::GetRoot<format::Kernel>(builder.GetBufferPointer()));
}

Result<std::vector<DeviceFact>> testDevice(Driver &driver, const std::shared_ptr<const Device> &device) {
  // 64 MiB for each buffer, beyond the L2 cache of any GPU so far, so that the memory itself is measured.
  constexpr unsigned elements = 1 << 24, bytes = elements * sizeof(float);
  auto kernel = loadTestKernel(device, elements);
  if (!kernel)
    return kernel.status();
  auto memory = driver.allocate(3 * std::size_t{bytes});
  if (!memory)
    return memory.status();
  const BufferView x{memory->get(), 0, bytes}, copied{memory->get(), bytes, bytes}, y{memory->get(), 2 * bytes, bytes};

  std::vector<float> input(elements), output(elements);
  std::iota(input.begin(), input.end(), -1000.0f);
  if (Status status = driver.fill(y, 0xff); !status) // NaN: what the kernel does not write shows.
    return status;

  struct Step {
    const char *name;
    double bytes; // read and written on the device
    std::function<Status()> work;
  };
  const Step steps[] = {
      {"host_to_device_gb_per_s", bytes, [&] { return driver.write(std::as_bytes(std::span(input)), x); }},
      {"copy_gb_per_s", 2.0 * bytes, [&] { return driver.copy(x, copied); }},
      {"kernel_gb_per_s", 2.0 * bytes, [&] { return driver.launch(**kernel, std::array{copied, y}); }},
      {"device_to_host_gb_per_s", bytes, [&] { return driver.read(y, std::as_writable_bytes(std::span(output))); }},
  };
  std::vector<DeviceFact> facts;
  for (const Step &step : steps) {
    if (Status status = step.work(); !status) // Warms up.
      return status;
    auto elapsed = driver.time(step.work);
    if (!elapsed)
      return elapsed.status();
    facts.push_back({step.name, step.bytes / static_cast<double>(std::max<std::int64_t>(elapsed->count(), 1))});
  }
  for (unsigned i = 0; i < elements; ++i)
    if (output[i] != 2 * input[i] + 1)
      return Status(ErrorCode::failed, "the GPU computes 2 · " + std::to_string(input[i]) + " + 1 as " +
                                           std::to_string(output[i]) + " (element " + std::to_string(i) + ")");
  return facts;
}

} // namespace moe::drivers::cuda

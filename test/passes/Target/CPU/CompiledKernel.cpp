//===- CompiledKernel.cpp - A kernel's text, compiled and callable ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CompiledKernel.h"

#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "lib/Compiler/Pipeline/Registration.h"
#include "passes/Target/CPU/Capabilities.h"
#include "passes/Target/CPU/Passes.h"
#include "passes/Target/Target.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/TargetParser/Host.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <dlfcn.h>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;

namespace moe::test {

static constexpr size_t kGuardBytes = 256;
static constexpr std::byte kGuard{0xff};

KernelMemory::KernelMemory(size_t bytes) : bytes(bytes) {
  size_t alignment = kCpuBufferAlignment;
  size_t total = llvm::alignTo(bytes + kGuardBytes, alignment);
  memory.reset(static_cast<std::byte *>(std::aligned_alloc(alignment, total)));
  std::fill_n(memory.get(), bytes + kGuardBytes, kGuard);
}

bool KernelMemory::isIntact() const {
  return std::all_of(memory.get() + bytes, memory.get() + bytes + kGuardBytes, [](std::byte b) { return b == kGuard; });
}

static std::unique_ptr<MLIRContext> createContext() {
  static std::once_flag once;
  std::call_once(once, mlir::moe::registerAllPasses);
  DialectRegistry registry;
  mlir::moe::registerAllDialects(registry);
  return std::make_unique<MLIRContext>(registry);
}

bool CompiledKernel::canRun(llvm::StringRef arch) {
  auto context = createContext();
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(context.get())); };
  auto host = mlir::moe::cpu::getCapabilities("host", emitError);
  auto wanted = mlir::moe::cpu::getCapabilities(arch, emitError);
  return host && wanted && std::ranges::includes(host->features, wanted->features);
}

std::unique_ptr<CompiledKernel> CompiledKernel::compile(llvm::StringRef source, llvm::StringRef arch,
                                                        llvm::StringRef dumpTo) {
  auto context = createContext();
  std::string diagnostics;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream(diagnostics) << diagnostic.getLocation() << ": " << diagnostic << "\n";
  });
  auto fail = [&](const char *what) -> std::unique_ptr<CompiledKernel> {
    ADD_FAILURE() << what << "\n" << diagnostics << "in\n" << source.str();
    return nullptr;
  };

  auto module = parseSourceString<ModuleOp>(source, context.get());
  if (!module)
    return fail("does not parse");
  (*module)->setAttr(mlir::moe::kTargetAttrName, StringAttr::get(context.get(), "cpu:" + arch));
  auto target = mlir::moe::getTarget(*module);
  auto kernels = llvm::to_vector(module->getOps<moe_kernel::KernelOp>());
  if (!target || kernels.size() != 1)
    return fail("no target, or not one kernel");
  moe_kernel::KernelOp kernel = kernels.front();
  if (!kernel.getConfigAttr() && failed(target->configure(kernel)))
    return fail("cannot be configured");
  std::unique_ptr<CompiledKernel> result(new CompiledKernel);
  llvm::raw_string_ostream(result->config) << kernel.getConfigAttr();

  PassManager passes(context.get());
  mlir::moe::buildCPUCodegenPipeline(passes, dumpTo);
  if (failed(passes.run(*module)))
    return fail("does not compile");
  auto compiled = *module->getOps<moe_exec::KernelOp>().begin();
  auto object = *module->getOps<moe_exec::ObjectOp>().begin();
  result->items = compiled.getGrid()[0];
  result->scratchBytes = compiled.getScratchBytes();
  result->flops = compiled.getFlops();
  result->bytes = compiled.getBytes();

  llvm::StringRef data = object.getData();
  result->descriptor = memfd_create("kernel", MFD_CLOEXEC);
  if (write(result->descriptor, data.data(), data.size()) != static_cast<ssize_t>(data.size()))
    return fail("cannot be written to memory");
  std::string path = "/proc/self/fd/" + std::to_string(result->descriptor);
  result->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!result->handle)
    return fail(dlerror());
  result->function = reinterpret_cast<CpuKernel>(dlsym(result->handle, compiled.getSymName().str().c_str()));
  if (!result->function)
    return fail("has no entry point");
  return result;
}

CompiledKernel::~CompiledKernel() {
  if (handle)
    dlclose(handle);
  if (descriptor >= 0)
    close(descriptor);
}

void CompiledKernel::runInPieces(const std::vector<void *> &buffers, int64_t itemsPerCall) const {
  KernelMemory scratch(scratchBytes);
  for (int64_t end = items; end > 0; end -= itemsPerCall)
    function(buffers.data(), std::max<int64_t>(0, end - itemsPerCall), end, scratch.data());
  EXPECT_TRUE(scratch.isIntact()) << "wrote past the end of scratch memory";
}

} // namespace moe::test

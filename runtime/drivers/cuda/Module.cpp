//===- Module.cpp - Kernels of an artifact on a GPU -----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/Module.h"

#include "runtime/drivers/cuda/Architecture.h"
#include "runtime/drivers/cuda/TensorMap.h"

#include <array>
#include <cstring>
#include <elf.h>
#include <map>

namespace moe::drivers::cuda {

//===----------------------------------------------------------------------===//
// Module
//===----------------------------------------------------------------------===//

static std::string deviceText(const Device &device) {
  return device.name() + " (compute capability " + capabilityText(device.capability()) + ")";
}

static Status describeLoadFailure(const Device &device, CuResult result, const std::string &log) {
  const std::string reason = device.api().describe(result) + (log.empty() ? "" : "\n" + log);
  switch (result) {
  case kOutOfMemory:
    return Status(ErrorCode::doesNotFit, "the kernels do not fit into the GPU's memory: " + reason);
  case kUnsupportedPtxVersion:
    return Status(ErrorCode::unsupportedModel,
                  "the NVIDIA driver, of CUDA " + versionText(device.api().version) +
                      ", does not know this version of PTX: " + reason +
                      "; update the driver, or compile where ptxas is, so that the artifact holds machine code");
  case kNoBinaryForGpu:
    return Status(ErrorCode::unsupportedModel, "nothing in it runs on " + deviceText(device) + ": " + reason);
  case kInvalidPtx:
  case kInvalidImage:
    return Status(ErrorCode::corruptFile, "the NVIDIA driver refuses the code: " + reason);
  default:
    return Status(ErrorCode::failed, "the NVIDIA driver cannot load the code: " + reason);
  }
}

static Result<CuModule> loadImage(const Device &device, const void *image) {
  std::array<char, 8192> log = {};
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  // The second value is the size itself, in the place of a pointer.
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
  CuModule module = nullptr;
  ContextScope scope(device);
  const CuResult result = device.api().moduleLoadDataEx(&module, image, 2, options, values);
  if (result == kSuccess)
    return module;
  return describeLoadFailure(device, result, log.data());
}

Result<std::shared_ptr<Module>> Module::fromPtx(std::shared_ptr<const Device> device, std::string ptx) {
  auto handle = loadImage(*device, ptx.c_str());
  if (!handle)
    return handle.status();
  return std::shared_ptr<Module>(new Module(std::move(device), *handle));
}

/// Whether the headers and sections of an ELF file lie inside it.
static bool isWholeElf(std::span<const std::byte> bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < sizeof(header))
    return false;
  std::memcpy(&header, bytes.data(), sizeof(header));
  auto inside = [&](std::uint64_t offset, std::uint64_t size) {
    return offset <= bytes.size() && size <= bytes.size() - offset;
  };
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      !inside(header.e_phoff, std::uint64_t{header.e_phnum} * header.e_phentsize) ||
      !inside(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize) ||
      (header.e_shnum && header.e_shentsize != sizeof(Elf64_Shdr)))
    return false;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, bytes.data() + header.e_shoff + i * sizeof(section), sizeof(section));
    if (section.sh_type != SHT_NOBITS && !inside(section.sh_offset, section.sh_size))
      return false;
  }
  return true;
}

Result<std::shared_ptr<Module>> Module::fromCubin(std::shared_ptr<const Device> device,
                                                  std::span<const std::byte> cubin) {
  if (!isWholeElf(cubin))
    return Status(ErrorCode::corruptFile, "the machine code is not a whole cubin");
  auto handle = loadImage(*device, cubin.data());
  if (!handle)
    return handle.status();
  return std::shared_ptr<Module>(new Module(std::move(device), *handle));
}

Module::~Module() {
  ContextScope scope(*device);
  device->api().moduleUnload(handle);
}

CuFunction Module::find(const char *name) const {
  ContextScope scope(*device);
  CuFunction function = nullptr;
  return device->api().moduleGetFunction(&function, handle, name) == kSuccess ? function : nullptr;
}

//===----------------------------------------------------------------------===//
// CudaKernel
//===----------------------------------------------------------------------===//

/// Dynamic shared memory that needs no permission (CUDA Programming Guide, "Shared Memory", all architectures).
static constexpr unsigned kDefaultSharedBytes = 48 << 10;
/// What tensor maps are encoded for to see whether they can be: aligned as every buffer is.
static constexpr CuAddress kNominalAddress = 256;

Result<std::unique_ptr<CudaKernel>> CudaKernel::create(const Device &device, std::shared_ptr<const Module> module,
                                                       const format::Kernel &table) {
  const std::string name = table.name()->str();
  auto kernel = std::make_unique<CudaKernel>();
  kernel->function = module->find(name.c_str());
  if (!kernel->function)
    return Status(ErrorCode::corruptFile,
                  "blob " + std::to_string(table.blob()) + " does not hold the kernel '" + name + "'");
  kernel->module = std::move(module);
  kernel->grid = *table.grid();
  kernel->block = *table.block();
  kernel->sharedBytes = table.shared_bytes();
  kernel->dependentLaunch = table.dependent_launch();
  for (unsigned i = 0; table.tensor_maps() && i < table.tensor_maps()->size(); ++i)
    table.tensor_maps()->Get(i)->UnPackTo(&kernel->tensorMaps.emplace_back());
  if (!kernel->tensorMaps.empty()) { // Now rather than at the first launch.
    ContextScope scope(device);
    if (auto encoded = encodeTensorMap(device.api(), kernel->tensorMaps.front(), kNominalAddress); !encoded)
      return encoded.status().withContext("kernel '" + name + "'");
  }
  const std::size_t numBuffers = std::size_t{table.num_operands()} + table.num_results();
  if (Status status = kernel->checkParameters(device, name, numBuffers); !status)
    return status;
  if (Status status = kernel->checkLimits(device, name); !status)
    return status;
  return kernel;
}

/// A launch reads as many parameters as the function has, so the number must be right.
Status CudaKernel::checkParameters(const Device &device, const std::string &name, std::size_t numBuffers) const {
  const CudaApi &cuda = device.api();
  if (!cuda.funcGetParamInfo)
    return {};
  ContextScope scope(device);
  std::size_t numParameters = 0, offset = 0, size = 0;
  while (cuda.funcGetParamInfo(function, numParameters, &offset, &size) == kSuccess) {
    const bool isAddress = numParameters < numBuffers;
    if (size != (isAddress ? sizeof(CuAddress) : sizeof(CuTensorMap)))
      return Status(ErrorCode::corruptFile, "kernel '" + name + "': parameter " + std::to_string(numParameters) +
                                                " has " + std::to_string(size) + " bytes; " +
                                                (isAddress ? "an address has 8" : "a tensor map has 128"));
    ++numParameters;
  }
  if (numParameters == numBuffers + tensorMaps.size())
    return {};
  return Status(ErrorCode::corruptFile,
                "kernel '" + name + "' has " + std::to_string(numParameters) + " parameters for " +
                    std::to_string(numBuffers) + " buffers" +
                    (tensorMaps.empty() ? "" : " and " + std::to_string(tensorMaps.size()) + " tensor maps"));
}

Status CudaKernel::checkLimits(const Device &device, const std::string &name) {
  const CudaApi &cuda = device.api();
  ContextScope scope(device);
  auto attribute = [&](int attribute) {
    int value = 0; // This also makes the driver load the function now, and not within a recording.
    return cuda.funcGetAttribute(&value, attribute, function) == kSuccess ? static_cast<std::uint64_t>(value) : 0;
  };
  auto check = [&](std::uint64_t needed, std::uint64_t limit, const char *what) {
    if (needed <= limit)
      return Status();
    return Status(ErrorCode::doesNotFit, "kernel '" + name + "' needs " + std::to_string(needed) + " " + what +
                                             ", but " + deviceText(device) + " has " + std::to_string(limit));
  };
  auto deviceLimit = [&](int attribute) { return static_cast<std::uint64_t>(device.attribute(attribute)); };

  const std::uint64_t threads = std::uint64_t{block.x()} * block.y() * block.z();
  const std::uint64_t blocks = std::uint64_t{grid.x()} * grid.y() * grid.z();
  if (threads == 0 || blocks == 0)
    return Status(ErrorCode::corruptFile, "kernel '" + name + "' is launched with no threads");
  const std::uint64_t shared = std::uint64_t{sharedBytes} + attribute(kStaticSharedBytes);
  for (Status status : {check(threads, attribute(kMaxThreadsPerBlock), "threads in a block"),
                        check(grid.x(), deviceLimit(kMaxGridX), "blocks along x"),
                        check(grid.y(), deviceLimit(kMaxGridY), "blocks along y"),
                        check(grid.z(), deviceLimit(kMaxGridZ), "blocks along z"),
                        check(shared, deviceLimit(kMaxSharedBytesOptIn), "bytes of shared memory")})
    if (!status)
      return status;
  if (sharedBytes <= kDefaultSharedBytes)
    return {};
  return cuda
      .check(cuda.funcSetAttribute(function, kMaxDynamicSharedBytes, static_cast<int>(sharedBytes)),
             "asking for shared memory")
      .withContext("kernel '" + name + "'");
}

//===----------------------------------------------------------------------===//
// Artifacts
//===----------------------------------------------------------------------===//

static Status checkTarget(const Device &device, const format::Target &target) {
  if (target.name()->str() != "cuda")
    return Status(ErrorCode::unsupportedModel, "compiled for '" + target.name()->str() + "', not for 'cuda'");
  const std::string arch = target.arch()->str();
  const auto architecture = Architecture::parse(arch);
  if (!architecture)
    return Status(ErrorCode::unsupportedModel, "compiled for '" + arch + "', which is no architecture like sm_80");
  if (architecture->ptxRunsOn(device.capability()))
    return {};
  return Status(ErrorCode::unsupportedModel, "compiled for " + arch + ", which runs on " + architecture->requirement() +
                                                 ", but this is " + deviceText(device) +
                                                 "; compile with target=cuda:sm_80, which runs on 8.0 and later");
}

/// The blob to load for kernels that name `index`.
static unsigned chooseBlob(const Device &device, const format::Artifact &artifact, unsigned index) {
  const auto &blobs = *artifact.blobs();
  for (unsigned i = 0; i < blobs.size(); ++i)
    if (const format::Blob &blob = *blobs.Get(i);
        blob.kind() == format::BlobKind::cubin && blob.source() == static_cast<int>(index))
      if (const auto architecture = Architecture::parse(blob.arch()->str());
          architecture && architecture->capability == device.capability())
        return i;
  return index;
}

static Result<std::shared_ptr<Module>> loadBlob(const std::shared_ptr<const Device> &device, const format::Blob &blob,
                                                std::span<const std::byte> bytes) {
  switch (blob.kind()) {
  case format::BlobKind::ptx:
    return Module::fromPtx(device, std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
  case format::BlobKind::cubin: {
    const auto architecture = Architecture::parse(blob.arch()->str());
    if (!architecture || architecture->capability != device->capability())
      return Status(ErrorCode::unsupportedModel,
                    "it holds machine code for " + blob.arch()->str() + " alone, but this is " + deviceText(*device));
    return Module::fromCubin(device, bytes);
  }
  case format::BlobKind::elf:
    break;
  }
  return Status(ErrorCode::corruptFile, std::string("it is ") + format::EnumNameBlobKind(blob.kind()) +
                                            ", but the driver 'cuda' loads ptx and cubin");
}

Result<std::vector<std::unique_ptr<LoadedKernel>>> loadKernels(const std::shared_ptr<const Device> &device,
                                                               const format::Artifact &artifact,
                                                               std::span<const std::span<const std::byte>> blobs) {
  if (Status status = checkTarget(*device, *artifact.target()); !status)
    return status;
  std::map<unsigned, std::shared_ptr<Module>> modules;
  std::vector<std::unique_ptr<LoadedKernel>> kernels;
  for (const format::Kernel *table : *artifact.kernels()) {
    std::shared_ptr<Module> &module = modules[table->blob()];
    if (!module) {
      const unsigned index = chooseBlob(*device, artifact, table->blob());
      auto loaded = loadBlob(device, *artifact.blobs()->Get(index), blobs[index]);
      if (!loaded)
        return loaded.status().withContext("blob " + std::to_string(index));
      module = std::move(*loaded);
    }
    auto kernel = CudaKernel::create(*device, module, *table);
    if (!kernel)
      return kernel.status();
    kernels.push_back(std::move(*kernel));
  }
  return kernels;
}

} // namespace moe::drivers::cuda

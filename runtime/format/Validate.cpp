//===- Validate.cpp - Is an artifact's table meaningful? ------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/format/Validate.h"

#include "runtime/format/DType.h"
#include "runtime/format/FileLayout.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <string_view>

namespace moe::format {
namespace {

/// The most that all sizes in an artifact may add up to: an address space. No later sum of sizes can then overflow.
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 48;

template <typename Enum> bool isEnumerator(Enum value, Enum max) { return value >= Enum{} && value <= max; }

/// Walks the table; stops at the first error. Every check returns false once `status` holds it.
class Validator {
public:
  explicit Validator(const Artifact &artifact) : artifact(artifact) {}

  Status run() {
    (void)(checkTarget() && checkVariables() && checkBlobs() && checkKernels() && checkEntryPoints());
    return std::move(status);
  }

private:
  using Names = std::set<std::string_view>;

  bool fail(const std::string &what, const std::string &problem) {
    status = Status(ErrorCode::corruptFile, what + ": " + problem);
    return false;
  }

  /// `what` becomes "kernel 3 ('name')".
  bool checkName(std::string &what, const flatbuffers::String &name, Names &names) {
    const std::string_view text(name.data(), name.size());
    auto isControl = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (text.empty() || std::any_of(text.begin(), text.end(), isControl))
      return fail(what, "its name is empty or holds control characters");
    what += " ('" + std::string(text) + "')";
    return names.insert(text).second || fail(what, "the name occurs twice");
  }

  /// Counts a size in the file toward kMaxBytes.
  bool account(const std::string &what, std::uint64_t bytes) {
    if (bytes > kMaxBytes - accounted)
      return fail(what, std::to_string(bytes) + " bytes exceed what an artifact can describe");
    accounted += bytes;
    return true;
  }

  /// The FlatBuffers verifier checks the alignment of a vector's length, not of wider elements.
  template <typename Vector> bool checkAligned(const std::string &what, const Vector &vector) {
    return vector.size() == 0 || reinterpret_cast<std::uintptr_t>(vector.Data()) % alignof(std::uint64_t) == 0 ||
           fail(what, "the FlatBuffer's vectors are misaligned");
  }

  bool checkTensor(const std::string &what, DType dtype, const ShapeVector &shape) {
    if (!checkAligned(what, shape))
      return false;
    if (!isKnown(dtype))
      return fail(what, "unknown element type " + std::to_string(static_cast<int>(dtype)));
    const auto bytes = byteSize(dtype, toSpan(shape));
    if (!bytes)
      return fail(what, toString(dtype, toSpan(shape)) + " has no valid size");
    return account(what, *bytes);
  }

  bool checkTarget() {
    const Target &target = *artifact.target();
    if (target.name()->size() == 0)
      return fail("target", "its name is empty");
    return true;
  }

  bool checkCopy(const std::string &what, const Variable &variable, unsigned index) {
    const unsigned source = variable.initializer()->source();
    if (source >= index)
      return fail(what, "it copies variable " + std::to_string(source) + ", which does not come before it");
    const Variable &original = *artifact.variables()->Get(source);
    if (!isFloat(variable.dtype()) || !isFloat(original.dtype()) ||
        !std::ranges::equal(*variable.shape(), *original.shape()))
      return fail(what, typeString(variable) + " cannot be a copy of " + typeString(original));
    return true;
  }

  bool checkVariables() {
    Names names;
    for (unsigned i = 0; i < artifact.variables()->size(); ++i) {
      const Variable &variable = *artifact.variables()->Get(i);
      const Initializer &initializer = *variable.initializer();
      std::string what = "variable " + std::to_string(i);
      if (!checkName(what, *variable.name(), names) || !checkTensor(what, variable.dtype(), *variable.shape()))
        return false;
      if (!isEnumerator(variable.role(), VariableRole::MAX))
        return fail(what, "unknown role " + std::to_string(static_cast<int>(variable.role())));
      if (!isEnumerator(initializer.kind(), InitializerKind::MAX))
        return fail(what, "unknown initializer " + std::to_string(static_cast<int>(initializer.kind())));
      if (initializer.kind() == InitializerKind::normal) {
        if (!isFloat(variable.dtype()))
          return fail(what, "normal initial values need a floating-point type, not " +
                                std::string(toString(variable.dtype())));
        if (!(initializer.stddev() >= 0) || std::isinf(initializer.stddev()))
          return fail(what, "stddev is " + std::to_string(initializer.stddev()));
      }
      if (initializer.kind() == InitializerKind::copy && !checkCopy(what, variable, i))
        return false;
    }
    return true;
  }

  bool checkBlobs() {
    std::uint64_t end = 0;
    for (unsigned i = 0; i < artifact.blobs()->size(); ++i) {
      const Blob &blob = *artifact.blobs()->Get(i);
      const std::string what = "blob " + std::to_string(i);
      if (!isEnumerator(blob.kind(), BlobKind::MAX))
        return fail(what, "unknown kind " + std::to_string(static_cast<int>(blob.kind())));
      if (!account(what, blob.size()))
        return false;
      if (blob.offset() != alignTo(end, kBlobAlignment))
        return fail(what, "starts at " + std::to_string(blob.offset()) + " of the blob area, expected " +
                              std::to_string(alignTo(end, kBlobAlignment)));
      end = blob.offset() + blob.size();
      if (!checkMachineCode(what, blob))
        return false;
    }
    return true;
  }

  /// What only a cubin says.
  bool checkMachineCode(const std::string &what, const Blob &blob) {
    const bool isCubin = blob.kind() == BlobKind::cubin;
    if (isCubin && (!blob.arch() || blob.arch()->size() == 0))
      return fail(what, "is a cubin that names no architecture");
    if (blob.source() == -1)
      return true;
    const auto &blobs = *artifact.blobs();
    if (!isCubin || blob.source() < 0 || static_cast<unsigned>(blob.source()) >= blobs.size() ||
        blobs.Get(static_cast<unsigned>(blob.source()))->kind() != BlobKind::ptx)
      return fail(what, "is said to be assembled from blob " + std::to_string(blob.source()) +
                            ", but only a cubin is assembled, from ptx");
    return true;
  }

  bool checkKernels() {
    Names names;
    for (unsigned i = 0; i < artifact.kernels()->size(); ++i) {
      const Kernel &kernel = *artifact.kernels()->Get(i);
      std::string what = "kernel " + std::to_string(i);
      if (!checkName(what, *kernel.name(), names))
        return false;
      if (kernel.blob() >= artifact.blobs()->size())
        return fail(what, "is in blob " + std::to_string(kernel.blob()) + ", but there are " +
                              std::to_string(artifact.blobs()->size()) + " blobs");
      if (!account(what, kernel.scratch_bytes()))
        return false;
      for (unsigned j = 0; kernel.tensor_maps() && j < kernel.tensor_maps()->size(); ++j)
        if (!checkTensorMap(what + ", tensor map " + std::to_string(j), kernel, *kernel.tensor_maps()->Get(j)))
          return false;
    }
    return true;
  }

  /// What cuTensorMapEncodeTiled demands, so that it refuses nothing later.
  bool checkTensorMap(const std::string &what, const Kernel &kernel, const TensorMap &map) {
    constexpr std::uint64_t kLargestDim = std::uint64_t{1} << 32, kLargestStride = std::uint64_t{1} << 40;
    constexpr unsigned kMostDims = 5, kMostInBox = 256, kAlignment = 16;
    const auto &dims = *map.dims(), &strides = *map.strides();
    const auto &box = *map.box();
    if (map.buffer() >= std::uint64_t{kernel.num_operands()} + kernel.num_results())
      return fail(what, "buffer " + std::to_string(map.buffer()) + " does not exist");
    if (!isKnown(map.dtype()))
      return fail(what, "unknown element type " + std::to_string(static_cast<int>(map.dtype())));
    if (dims.size() < 1 || dims.size() > kMostDims || strides.size() != dims.size() - 1 || box.size() != dims.size())
      return fail(what, "has " + std::to_string(dims.size()) + " dimensions, " + std::to_string(strides.size()) +
                            " strides and " + std::to_string(box.size()) + " extents of a box");
    if (!checkAligned(what, dims) || !checkAligned(what, strides))
      return false;
    auto isDim = [](std::uint64_t dim) { return dim >= 1 && dim <= kLargestDim; };
    auto isStride = [](std::uint64_t stride) {
      return stride >= kAlignment && stride < kLargestStride && stride % kAlignment == 0;
    };
    auto isExtent = [](std::uint32_t extent) { return extent >= 1 && extent <= kMostInBox; };
    const std::uint64_t rowBytes = box.Get(0) * byteSize(map.dtype());
    const unsigned swizzle = map.swizzle();
    if (!std::all_of(dims.begin(), dims.end(), isDim) || !std::all_of(strides.begin(), strides.end(), isStride) ||
        !std::all_of(box.begin(), box.end(), isExtent) || rowBytes % kAlignment != 0 ||
        (swizzle != 0 && (swizzle < 32 || swizzle > 128 || (swizzle & (swizzle - 1)) != 0 || rowBytes > swizzle)))
      return fail(what, "no GPU can encode its dimensions, strides, box and swizzle");
    return true;
  }

  /// Bytes from the start of the buffer to the end of the map's last element; kMaxBytes if there are more.
  static std::uint64_t extentOf(const TensorMap &map) {
    std::uint64_t bytes = map.dims()->Get(0) * byteSize(map.dtype());
    for (unsigned i = 0; i < map.strides()->size(); ++i) {
      const std::uint64_t steps = map.dims()->Get(i + 1) - 1, stride = map.strides()->Get(i);
      if (steps > (kMaxBytes - bytes) / stride)
        return kMaxBytes;
      bytes += steps * stride;
    }
    return bytes;
  }

  bool checkEntryPoints() {
    Names names;
    for (unsigned i = 0; i < artifact.entry_points()->size(); ++i) {
      const EntryPoint &entry = *artifact.entry_points()->Get(i);
      std::string what = "entry point " + std::to_string(i);
      if (!checkName(what, *entry.name(), names))
        return false;
      if (!account(what, entry.workspace_bytes()))
        return false;
      if (!checkPorts(what + ", input ", *entry.inputs()) || !checkPorts(what + ", output ", *entry.outputs()))
        return false;
      for (unsigned j = 0; j < entry.program()->size(); ++j)
        if (!checkInstruction(what + ", instruction " + std::to_string(j), entry, *entry.program()->Get(j)))
          return false;
    }
    return true;
  }

  bool checkPorts(const std::string &prefix, const flatbuffers::Vector<flatbuffers::Offset<Port>> &ports) {
    Names names;
    for (unsigned i = 0; i < ports.size(); ++i) {
      std::string what = prefix + std::to_string(i);
      if (!checkName(what, *ports.Get(i)->name(), names) ||
          !checkTensor(what, ports.Get(i)->dtype(), *ports.Get(i)->shape()))
        return false;
    }
    return true;
  }

  bool checkInstruction(std::string what, const EntryPoint &entry, const Instruction &instruction) {
    if (const flatbuffers::String *label = instruction.label(); label && label->size() != 0)
      what += " ('" + label->str() + "')";
    switch (instruction.operation_type()) {
    case Operation::Launch:
      return checkLaunch(what, entry, *instruction.operation_as_Launch());
    case Operation::Copy:
      return checkCopy(what, entry, *instruction.operation_as_Copy());
    case Operation::Fill:
      return checkBuffer(what + ", destination", entry, *instruction.operation_as_Fill()->destination(), true);
    case Operation::NONE:
      break;
    }
    return fail(what, "unknown operation " + std::to_string(static_cast<int>(instruction.operation_type())));
  }

  bool checkLaunch(const std::string &what, const EntryPoint &entry, const Launch &launch) {
    if (launch.kernel() >= artifact.kernels()->size())
      return fail(what, "launches kernel " + std::to_string(launch.kernel()) + ", but there are " +
                            std::to_string(artifact.kernels()->size()) + " kernels");
    if (!checkAligned(what, *launch.buffers()))
      return false;
    const Kernel &kernel = *artifact.kernels()->Get(launch.kernel());
    const std::uint64_t expected = std::uint64_t{kernel.num_operands()} + kernel.num_results();
    if (launch.buffers()->size() != expected)
      return fail(what, "has " + std::to_string(launch.buffers()->size()) + " buffers, but kernel '" +
                            kernel.name()->str() + "' takes " + std::to_string(expected));
    for (unsigned i = 0; i < launch.buffers()->size(); ++i)
      if (!checkBuffer(what + ", buffer " + std::to_string(i), entry, *launch.buffers()->Get(i),
                       /*written=*/i >= kernel.num_operands()))
        return false;
    for (unsigned i = 0; kernel.tensor_maps() && i < kernel.tensor_maps()->size(); ++i) {
      const TensorMap &map = *kernel.tensor_maps()->Get(i);
      if (const std::uint64_t size = launch.buffers()->Get(map.buffer())->size(); extentOf(map) > size)
        return fail(what, "tensor map " + std::to_string(i) + " spans " + std::to_string(extentOf(map)) +
                              " bytes of buffer " + std::to_string(map.buffer()) + ", which has " +
                              std::to_string(size));
    }
    return true;
  }

  bool checkCopy(const std::string &what, const EntryPoint &entry, const Copy &copy) {
    const BufferRef &source = *copy.source(), &destination = *copy.destination();
    if (!checkBuffer(what + ", source", entry, source, /*written=*/false) ||
        !checkBuffer(what + ", destination", entry, destination, /*written=*/true))
      return false;
    if (source.size() != destination.size())
      return fail(what, "copies " + std::to_string(source.size()) + " bytes to " + std::to_string(destination.size()));
    const bool sameMemory = source.space() == destination.space() && source.index() == destination.index();
    if (sameMemory && source.offset() < destination.offset() + destination.size() &&
        destination.offset() < source.offset() + source.size())
      return fail(what, "source and destination overlap");
    return true;
  }

  bool checkBuffer(const std::string &what, const EntryPoint &entry, const BufferRef &ref, bool written) {
    std::uint64_t capacity = 0;
    switch (ref.space()) {
    case Space::workspace:
      if (ref.index() != 0)
        return fail(what, "workspace " + std::to_string(ref.index()) + " does not exist");
      capacity = entry.workspace_bytes();
      break;
    case Space::variable:
      if (!sizeOf(what, *artifact.variables(), "variable", ref.index(), capacity))
        return false;
      break;
    case Space::input:
      if (written)
        return fail(what, "writes an input, and inputs keep their value");
      if (!sizeOf(what, *entry.inputs(), "input", ref.index(), capacity))
        return false;
      break;
    case Space::output:
      if (!sizeOf(what, *entry.outputs(), "output", ref.index(), capacity))
        return false;
      break;
    default:
      return fail(what, "unknown space " + std::to_string(static_cast<int>(ref.space())));
    }
    // In this order nothing can wrap around.
    if (ref.size() > capacity || ref.offset() > capacity - ref.size())
      return fail(what, "bytes [" + std::to_string(ref.offset()) + ", +" + std::to_string(ref.size()) + ") of " +
                            EnumNameSpace(ref.space()) + " " + std::to_string(ref.index()) + ", which has " +
                            std::to_string(capacity));
    return true;
  }

  template <typename T>
  bool sizeOf(const std::string &what, const flatbuffers::Vector<flatbuffers::Offset<T>> &typed, const char *kind,
              std::uint32_t index, std::uint64_t &bytes) {
    if (index >= typed.size())
      return fail(what, std::string(kind) + " " + std::to_string(index) + " does not exist, there are " +
                            std::to_string(typed.size()));
    bytes = byteSize(*typed.Get(index));
    return true;
  }

  const Artifact &artifact;
  std::uint64_t accounted = 0;
  Status status;
};

} // namespace

Status validate(std::span<const std::byte> table) {
  if (table.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return Status(ErrorCode::corruptFile, "a FlatBuffer of " + std::to_string(table.size()) + " bytes is too large");
  const auto *bytes = reinterpret_cast<const std::uint8_t *>(table.data());
  // Every table takes at least 8 bytes (its own and a share of a vtable's), so this bound never refuses a real file.
  flatbuffers::Verifier verifier(bytes, table.size(), /*max_depth=*/16,
                                 /*max_tables=*/static_cast<flatbuffers::uoffset_t>(table.size() / 4 + 1));
  if (table.size() < 8 || !VerifyArtifactBuffer(verifier))
    return Status(ErrorCode::corruptFile, "the FlatBuffer does not follow the schema");
  return Validator(*GetArtifact(bytes)).run();
}

} // namespace moe::format

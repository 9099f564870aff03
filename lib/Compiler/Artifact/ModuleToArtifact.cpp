//===- ModuleToArtifact.cpp - A compiled module as an artifact file -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Artifact/ModuleToArtifact.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Layers/ModelInfo.h"
#include "runtime/format/ArtifactWriter.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace format = moe::format;

namespace mlir::moe {

/// The JSON of a dictionary of integers, floats, booleans, strings, arrays and dictionaries.
static llvm::json::Value toJSON(Attribute attribute) {
  return llvm::TypeSwitch<Attribute, llvm::json::Value>(attribute)
      .Case([](DictionaryAttr dictionary) {
        llvm::json::Object object;
        for (NamedAttribute entry : dictionary)
          object[entry.getName().getValue()] = toJSON(entry.getValue());
        return object;
      })
      .Case([](ArrayAttr array) {
        llvm::json::Array values;
        for (Attribute value : array)
          values.push_back(toJSON(value));
        return values;
      })
      .Case([](DenseI64ArrayAttr array) { return llvm::json::Array(array.asArrayRef()); })
      .Case([](BoolAttr value) { return value.getValue(); })
      .Case([](IntegerAttr value) { return value.getInt(); })
      .Case([](FloatAttr value) { return value.getValueAsDouble(); })
      .Case([](StringAttr value) { return value.getValue(); })
      .Default(nullptr);
}

static std::optional<format::DType> toDType(Type type) {
  return llvm::TypeSwitch<Type, std::optional<format::DType>>(type)
      .Case([](Float32Type) { return format::DType::f32; })
      .Case([](BFloat16Type) { return format::DType::bf16; })
      .Case([](Float16Type) { return format::DType::f16; })
      .Case([](Float64Type) { return format::DType::f64; })
      .Case([](IntegerType integer) -> std::optional<format::DType> {
        if (integer.getWidth() == 32)
          return format::DType::i32;
        if (integer.getWidth() == 64)
          return format::DType::i64;
        if (integer.getWidth() == 8)
          return integer.isUnsigned() ? format::DType::u8 : format::DType::i8;
        return std::nullopt;
      })
      .Default(std::nullopt);
}

format::TensorMapT toArtifact(moe_exec::TensorMapAttr map) {
  format::TensorMapT entry;
  entry.buffer = map.getBuffer();
  entry.dtype = toDType(map.getElementType()).value_or(format::DType::u8);
  entry.dims.assign(map.getDims().begin(), map.getDims().end());
  entry.strides.assign(map.getStrides().begin(), map.getStrides().end());
  entry.box.assign(map.getBox().begin(), map.getBox().end());
  entry.swizzle = map.getSwizzle();
  return entry;
}

namespace {
class ArtifactBuilder {
public:
  explicit ArtifactBuilder(ModuleOp module) : module(module) {}

  FailureOr<std::vector<std::byte>> build(StringRef description) {
    artifact.producer = "moe-opt " MOE_VERSION " (LLVM " LLVM_VERSION_STRING ")";
    artifact.description = description.str();
    auto info = module->getAttrOfType<DictionaryAttr>(modelInfoAttrName);
    llvm::raw_string_ostream(artifact.model) << (info ? toJSON(info) : llvm::json::Value(llvm::json::Object()));

    for (auto variable : module.getOps<VariableOp>())
      if (failed(add(variable)))
        return failure();
    for (auto object : module.getOps<moe_exec::ObjectOp>())
      if (failed(add(object)))
        return failure();
    for (auto kernel : module.getOps<moe_exec::KernelOp>())
      if (failed(add(kernel)))
        return failure();
    for (auto program : module.getOps<moe_exec::ProgramOp>())
      if (failed(add(program)))
        return failure();
    if (!artifact.target)
      return emitError(module.getLoc()) << "there is nothing to compile: describe a model with moe.model and add "
                                           "moe.training or moe.serving, or mark functions as entry points (moe.entry)";

    auto bytes = format::encodeArtifact(artifact, blobs);
    if (!bytes)
      return module.emitError() << "cannot be written as an artifact: " << bytes.status().message();
    return std::move(*bytes);
  }

private:
  LogicalResult add(VariableOp variable) {
    auto entry = std::make_unique<format::VariableT>();
    entry->name = variable.getSymName();
    entry->role = static_cast<format::VariableRole>(variable.getRole());
    auto type = cast<RankedTensorType>(variable.getType());
    std::optional<format::DType> dtype = toDType(type.getElementType());
    if (!dtype)
      return variable.emitOpError() << "has element type " << type.getElementType() << ", which artifacts cannot hold";
    entry->dtype = *dtype;
    entry->shape = type.getShape().vec();
    entry->initializer = std::make_unique<format::InitializerT>();
    entry->initializer->kind = static_cast<format::InitializerKind>(variable.getInitializer());
    entry->initializer->stddev = variable.getStddev() ? variable.getStddev()->convertToDouble() : 0.0;
    if (variable.getSource()) {
      auto source = variableIndex.find(*variable.getSource());
      if (source == variableIndex.end())
        return variable.emitOpError() << "copies " << variable.getSourceAttr() << ", which is declared after it";
      entry->initializer->source = source->second;
    }
    variableIndex[variable.getSymName()] = artifact.variables.size();
    artifact.variables.push_back(std::move(entry));
    return success();
  }

  LogicalResult add(moe_exec::ObjectOp object) {
    auto target = std::make_unique<format::TargetT>();
    target->name = object.getTarget();
    target->arch = object.getArch();
    for (auto feature : object.getFeatures().getAsRange<StringAttr>())
      target->features.push_back(feature.str());
    if (artifact.target && artifact.target->name != target->name)
      return object.emitOpError() << "is for target '" << target->name << "', another one for '"
                                  << artifact.target->name << "'; an artifact has one target";
    artifact.target = std::move(target);
    format::BlobKind kind = object.getKind() == "elf"   ? format::BlobKind::elf
                            : object.getKind() == "ptx" ? format::BlobKind::ptx
                                                        : format::BlobKind::cubin;
    int source = -1;
    if (FlatSymbolRefAttr symbol = object.getSourceAttr()) {
      auto found = objectIndex.find(symbol.getValue());
      if (found == objectIndex.end())
        return object.emitOpError() << "comes from " << symbol << ", which is not a moe_exec.object before it";
      source = found->second;
    }
    objectIndex[object.getSymName()] = blobs.size();
    StringRef data = object.getData();
    blobs.push_back({kind, std::as_bytes(std::span(data.data(), data.size())), object.getArch().str(), source});
    return success();
  }

  LogicalResult add(moe_exec::KernelOp kernel) {
    auto entry = std::make_unique<format::KernelT>();
    auto dim3 = [](ArrayRef<int64_t> dims) {
      auto extent = [&](size_t i) { return i < dims.size() ? uint32_t(dims[i]) : 1u; };
      return std::make_unique<format::Dim3>(extent(0), extent(1), extent(2));
    };
    entry->name = kernel.getSymName();
    auto object = objectIndex.find(kernel.getObject());
    if (object == objectIndex.end())
      return kernel.emitOpError() << "is in " << kernel.getObjectAttr() << ", which is not a moe_exec.object";
    entry->blob = object->second;
    entry->grid = dim3(kernel.getGrid());
    entry->block = dim3(kernel.getBlock());
    entry->shared_bytes = kernel.getSharedBytes();
    entry->scratch_bytes = kernel.getScratchBytes();
    entry->num_operands = kernel.getNumInputs();
    entry->num_results = kernel.getNumOutputs();
    entry->flops = kernel.getFlops();
    entry->bytes = kernel.getBytes();
    if (std::optional<ArrayAttr> maps = kernel.getTensorMaps())
      for (auto map : maps->getAsRange<moe_exec::TensorMapAttr>()) {
        if (!toDType(map.getElementType()))
          return kernel.emitOpError() << "has a tensor map of " << map.getElementType()
                                      << ", which artifacts cannot hold";
        entry->tensor_maps.push_back(std::make_unique<format::TensorMapT>(toArtifact(map)));
      }
    entry->dependent_launch = kernel.getDependentLaunch();
    kernelIndex[kernel.getSymName()] = artifact.kernels.size();
    artifact.kernels.push_back(std::move(entry));
    return success();
  }

  LogicalResult add(moe_exec::ProgramOp program) {
    auto entry = std::make_unique<format::EntryPointT>();
    entry->name = program.getSymName();
    entry->workspace_bytes = program.getWorkspaceBytes();
    if (failed(addPorts(program, program.getInputNames(), program.getInputTypes(), entry->inputs)) ||
        failed(addPorts(program, program.getOutputNames(), program.getOutputTypes(), entry->outputs)))
      return failure();
    for (Operation &op : program.getBody().front())
      entry->program.push_back(toInstruction(op));
    artifact.entry_points.push_back(std::move(entry));
    return success();
  }

  LogicalResult addPorts(moe_exec::ProgramOp program, ArrayAttr names, ArrayAttr types,
                         std::vector<std::unique_ptr<format::PortT>> &ports) {
    for (auto [name, type] : llvm::zip_equal(names.getAsRange<StringAttr>(), types.getAsRange<TypeAttr>())) {
      auto tensor = cast<RankedTensorType>(type.getValue());
      std::optional<format::DType> dtype = toDType(tensor.getElementType());
      if (!dtype)
        return program.emitOpError() << "has port " << name << " of type " << type << ", which artifacts cannot hold";
      auto port = std::make_unique<format::PortT>();
      port->name = name.str();
      port->dtype = *dtype;
      port->shape = tensor.getShape().vec();
      ports.push_back(std::move(port));
    }
    return success();
  }

  format::BufferRef toBuffer(moe_exec::BufferAttr buffer) {
    uint32_t index = buffer.getIndex();
    if (buffer.getSpace() == moe_exec::Space::variable)
      index = variableIndex.lookup(buffer.getVariable().getValue());
    return format::BufferRef(static_cast<format::Space>(buffer.getSpace()), index, buffer.getOffset(),
                             buffer.getSize());
  }

  std::unique_ptr<format::InstructionT> toInstruction(Operation &op) {
    auto instruction = std::make_unique<format::InstructionT>();
    if (auto label = op.getAttrOfType<StringAttr>("label"))
      instruction->label = label.str();
    if (auto launch = dyn_cast<moe_exec::LaunchOp>(op)) {
      format::LaunchT entry;
      entry.kernel = kernelIndex.lookup(launch.getKernel());
      for (ArrayAttr buffers : {launch.getInputs(), launch.getOutputs()})
        for (auto buffer : buffers.getAsRange<moe_exec::BufferAttr>())
          entry.buffers.push_back(toBuffer(buffer));
      instruction->operation.Set(std::move(entry));
    } else if (auto copy = dyn_cast<moe_exec::CopyOp>(op)) {
      format::CopyT entry;
      entry.source = std::make_unique<format::BufferRef>(toBuffer(copy.getSource()));
      entry.destination = std::make_unique<format::BufferRef>(toBuffer(copy.getDestination()));
      instruction->operation.Set(std::move(entry));
    } else {
      auto fill = cast<moe_exec::FillOp>(op);
      format::FillT entry;
      entry.destination = std::make_unique<format::BufferRef>(toBuffer(fill.getDestination()));
      entry.value = fill.getValue();
      instruction->operation.Set(std::move(entry));
    }
    return instruction;
  }

  ModuleOp module;
  format::ArtifactT artifact;
  std::vector<format::BlobData> blobs;
  llvm::StringMap<uint32_t> variableIndex, objectIndex, kernelIndex;
};
} // namespace

FailureOr<std::vector<std::byte>> moduleToArtifact(ModuleOp module, StringRef description) {
  return ArtifactBuilder(module).build(description);
}

LogicalResult writeArtifact(StringRef path, ArrayRef<std::byte> bytes, function_ref<InFlightDiagnostic()> emitError) {
  ::moe::Status status = format::writeFile(path.str(), bytes);
  return status ? success() : LogicalResult(emitError() << status.message());
}

} // namespace mlir::moe

//===- Bundle.cpp - Cases, compiled, with what they should give ---- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/Bundle.h"

#include "lib/Compiler/Artifact/ModuleToArtifact.h"
#include "lib/Compiler/Conformance/TensorFile.h"
#include "lib/Compiler/Pipeline/Compile.h"
#include "lib/Compiler/Reference/Interpreter.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;
using reference::Bounded;

using BoundedTensor = reference::TensorOf<Bounded>;

static TensorFile::Type toFileType(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF32() ? TensorFile::Type::F32 : element.isBF16() ? TensorFile::Type::BF16 : TensorFile::Type::I32;
}

static std::vector<double> valuesOf(const BoundedTensor &tensor) {
  std::vector<double> values;
  for (const Bounded &number : tensor.values)
    values.push_back(number.value());
  return values;
}
static std::vector<double> errorsOf(const BoundedTensor &tensor) {
  std::vector<double> errors;
  for (const Bounded &number : tensor.values)
    errors.push_back(number.error());
  return errors;
}

namespace {
/// Runs entry points in the reference and collects what they take and give.
class Recorder {
public:
  explicit Recorder(ModuleOp module) : interpreter(module) {}

  LogicalResult record(func::FuncOp entry, StringRef inputsOf);
  const TensorFile &getFile() const { return file; }

private:
  reference::InterpreterOf<Bounded> interpreter;
  TensorFile file;
};
} // namespace

/// Inputs that the entry point `inputsOf` has are there already.
LogicalResult Recorder::record(func::FuncOp entry, StringRef inputsOf) {
  FailureOr<SmallVector<Tensor>> drawn = drawInputs(entry);
  if (failed(drawn))
    return failure();
  SmallVector<BoundedTensor> inputs;
  for (auto [index, tensor] : llvm::enumerate(*drawn)) {
    inputs.emplace_back(tensor.shape, std::vector<Bounded>(tensor.values.begin(), tensor.values.end()));
    std::string name = (inputsOf + "/input/" + getInputName(entry, index)).str();
    if (!file.contains(name))
      file.add(name, toFileType(entry.getArgumentTypes()[index]), tensor.shape, tensor.values);
  }
  FailureOr<SmallVector<BoundedTensor>> outputs = interpreter.call(entry.getName(), inputs);
  if (failed(outputs))
    return failure();
  for (auto [index, tensor] : llvm::enumerate(*outputs)) {
    StringRef name = getOutputName(entry, index);
    bool isInteger = toFileType(entry.getResultTypes()[index]) == TensorFile::Type::I32;
    std::vector<double> values = valuesOf(tensor), errors = errorsOf(tensor);
    if (!llvm::all_of(errors, [](double error) { return std::isfinite(error); }))
      return entry.emitError() << "output '" << name
                               << "' is too sensitive to rounding for a tolerance; draw the inputs differently";
    file.add((entry.getName() + "/expected/" + name).str(), isInteger ? TensorFile::Type::I32 : TensorFile::Type::F64,
             tensor.shape, values);
    if (!isInteger)
      file.add((entry.getName() + "/tolerance/" + name).str(), TensorFile::Type::F32, tensor.shape, errors);
  }
  return success();
}

/// Compiles all cases for `target`.
static LogicalResult writeTarget(ModuleOp module, StringRef target, StringRef folder) {
  OwningOpRef<ModuleOp> clone = module.clone();
  CompileOptions options;
  options.target = target.str();
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(module.getContext())); };
  if (failed(runStages(*clone, options)))
    return failure();
  FailureOr<std::vector<std::byte>> bytes = moduleToArtifact(*clone, "conformance cases");
  if (failed(bytes))
    return failure();
  SmallString<128> path(folder);
  std::string name = target.str();
  std::replace(name.begin(), name.end(), ':', '-');
  llvm::sys::path::append(path, name + ".moe");
  return writeArtifact(path, *bytes, emitError);
}

LogicalResult conformance::writeBundle(const BundleOptions &options, MLIRContext &context) {
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(&context)); };
  if (std::error_code code = llvm::sys::fs::create_directories(options.output))
    return emitError() << "cannot make the folder '" << options.output << "': " << code.message();
  FailureOr<CaseList> list = CaseList::parse(options.files, options.storageTypes, context);
  if (failed(list))
    return failure();

  Recorder recorder(list->getModule());
  llvm::json::Array cases;
  auto record = [&](Case listed, func::FuncOp entry) -> LogicalResult {
    cases.push_back(llvm::json::Object{{"entry", entry.getName()},
                                       {"op", listed.op},
                                       {"case", listed.name},
                                       {"storage", listed.storage},
                                       {"inputs", listed.forward.getName()},
                                       {"gradient", entry != listed.forward}});
    return recorder.record(entry, listed.forward.getName());
  };
  for (const Case &listed : list->cases)
    if (failed(record(listed, listed.forward)) || (listed.gradient && failed(record(listed, listed.gradient))))
      return failure();
  SmallString<128> path(options.output);
  llvm::sys::path::append(path, "cases.safetensors");
  if (failed(recorder.getFile().write(path, std::move(cases), emitError)))
    return failure();
  for (StringRef target : options.targets)
    if (failed(writeTarget(list->getModule(), target, options.output)))
      return failure();
  return success();
}

//===- Link.cpp - Objects to one shared object with lld ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// lld runs as a process of its own. As a library it would reset every command line option of this one
/// (llvm::cl::ResetAllOptionOccurrences in its driver), and moe-opt would forget what it was asked to do.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/ObjectCode.h"
#include "passes/Target/Common/OutputFile.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

namespace mlir::moe::cpu {

/// The lld of the LLVM we are built with, else one of the same version on the PATH; "" if there is none.
static std::string findLinker() {
  if (llvm::sys::fs::can_execute(MOE_LLD))
    return MOE_LLD;
  llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName(MOE_LLD_ON_PATH);
  return found ? *found : "";
}

static FailureOr<ObjectCode> readFile(StringRef path, function_ref<InFlightDiagnostic()> emitError) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return emitError() << "cannot read " << path << ": " << buffer.getError().message();
  return ObjectCode((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
}

FailureOr<ObjectCode> link(ArrayRef<ObjectCode> objects, function_ref<InFlightDiagnostic()> emitError) {
  std::string linker = findLinker();
  if (linker.empty())
    return emitError() << "cannot find the linker, neither " << MOE_LLD << " nor " << MOE_LLD_ON_PATH
                       << " on the PATH; it is in Debian's package lld-22";

  SmallString<128> folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory("moe-link", folder))
    return emitError() << "cannot make the temporary folder '" << folder << "' (TMPDIR says where): " << code.message();
  llvm::scope_exit cleanUp([&] { llvm::sys::fs::remove_directories(folder); });
  auto inFolder = [&](const Twine &name) {
    SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    return std::string(path);
  };

  std::string output = inFolder("kernels.so"), messages = inFolder("messages");
  std::vector<std::string> arguments = {
      linker, "-shared", "--no-undefined", "--gc-sections", "-s", "--hash-style=gnu", "--build-id=none", "--threads=1",
      "-o",   output};
  std::string error;
  for (auto [index, object] : llvm::enumerate(objects)) {
    arguments.push_back(inFolder("kernel" + Twine(index) + ".o"));
    if (failed(writeOutputFile(
            arguments.back(), [&](auto &stream) { stream.write(object.data(), object.size()); }, error)))
      return emitError() << error;
  }

  SmallVector<StringRef> argumentRefs(arguments.begin(), arguments.end());
  std::string reason;
  int code = llvm::sys::ExecuteAndWait(linker, argumentRefs, /*Env=*/std::nullopt,
                                       /*Redirects=*/{StringRef(""), StringRef(""), StringRef(messages)},
                                       /*SecondsToWait=*/0, /*MemoryLimit=*/0, &reason);
  if (code != 0) {
    // A linker that could not be started has left no messages.
    auto said = llvm::MemoryBuffer::getFile(messages);
    StringRef text = said ? (*said)->getBuffer().trim() : StringRef();
    return emitError() << "cannot link the kernels: " << (text.empty() ? StringRef(reason) : text);
  }
  return readFile(output, emitError);
}

} // namespace mlir::moe::cpu

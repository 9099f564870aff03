//===- Link.cpp - Objects to one shared object with lld ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/ObjectCode.h"

#include "lld/Common/Driver.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

namespace mlir::moe::cpu {

static LogicalResult writeFile(StringRef path, ArrayRef<char> bytes, function_ref<InFlightDiagnostic()> emitError) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  if (!error) {
    stream.write(bytes.data(), bytes.size());
    stream.close();
    error = stream.error();
  }
  if (!error)
    return success();
  stream.clear_error();
  return emitError() << "cannot write " << path << ": " << error.message();
}

FailureOr<ObjectCode> link(ArrayRef<ObjectCode> objects, function_ref<InFlightDiagnostic()> emitError) {
  // lld reads and writes files.
  SmallString<128> folder;
  if (std::error_code error = llvm::sys::fs::createUniqueDirectory("moe-link", folder))
    return emitError() << "cannot create a temporary folder: " << error.message();
  llvm::scope_exit cleanUp([&] { llvm::sys::fs::remove_directories(folder); });
  auto inFolder = [&](const Twine &name) {
    SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    return std::string(path);
  };

  std::vector<std::string> paths;
  for (auto [index, object] : llvm::enumerate(objects)) {
    paths.push_back(inFolder("kernel" + Twine(index) + ".o"));
    if (failed(writeFile(paths.back(), object, emitError)))
      return failure();
  }
  std::string output = inFolder("kernels.so");
  SmallVector<const char *> arguments = {"ld.lld",           "-shared",     "--no-undefined", "--gc-sections", "-s",
                                         "--hash-style=gnu", "--build-id=none", "--threads=1",  "-o",         output.c_str()};
  for (const std::string &path : paths)
    arguments.push_back(path.c_str());

  static std::mutex oneAtATime; // lld's state is global.
  std::scoped_lock lock(oneAtATime);
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, llvm::nulls(), stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return emitError() << "cannot link the kernels: " << StringRef(messages).trim();
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return emitError() << "cannot read " << output << ": " << buffer.getError().message();
  return ObjectCode((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
}

} // namespace mlir::moe::cpu

//===- Assemble.cpp - PTX to machine code with ptxas ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ptx.h"
#include "passes/Target/Common/OutputFile.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::moe::cuda {

std::string findAssembler() {
  if (auto path = llvm::sys::findProgramByName("ptxas"))
    return *path;
  if (auto path = llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"}))
    return *path;
  return "";
}

namespace {
/// A file that is gone at the end of the scope.
struct TemporaryFile {
  explicit TemporaryFile(StringRef suffix) {
    error = llvm::sys::fs::createTemporaryFile("moe", suffix, path);
    remover.setFile(path);
  }
  /// "" if it cannot be read.
  std::string read() const {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : "";
  }

  std::error_code error;
  SmallString<128> path;
  llvm::FileRemover remover;
};
} // namespace

/// Reads what `ptxas -v` prints for every kernel:
///
///   ptxas info    : Function properties for scale
///       0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
///   ptxas info    : Used 16 registers, used 0 barriers
///
/// and, before all of that,
///
///   ptxas info    : (C7517) warpgroup.wait is injected in around line 216 by compiler to ... in function 'scale'
SmallVector<KernelResources> parseAssemblerLog(StringRef log) {
  static const llvm::Regex name("Function properties for '?([^' ]+)"), registers("Used ([0-9]+) registers"),
      memory("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads"),
      remark("\\((C75[0-9][0-9])\\) (.*) in (the )?function '?([^' ]+)");
  SmallVector<KernelResources> kernels;
  SmallVector<StringRef> lines, groups;
  log.split(lines, '\n');
  auto number = [&](unsigned group) {
    int64_t value = 0;
    (void)groups[group].getAsInteger(10, value);
    return value;
  };
  llvm::StringMap<SmallVector<std::string>> remarks;
  for (StringRef line : lines) {
    if (remark.match(line, &groups)) {
      remarks[groups[4].trim()].push_back((groups[1] + ": " + groups[2]).str());
    } else if (name.match(line, &groups)) {
      kernels.emplace_back();
      kernels.back().name = groups[1].trim().str();
    } else if (!kernels.empty() && memory.match(line, &groups)) {
      kernels.back().stackBytes = number(1);
      kernels.back().spillBytes = number(2) + number(3);
    } else if (!kernels.empty() && registers.match(line, &groups)) {
      kernels.back().registers = number(1);
    }
  }
  for (KernelResources &kernel : kernels)
    kernel.remarks = std::move(remarks[kernel.name]);
  return kernels;
}

FailureOr<MachineCode> assemble(StringRef path, StringRef ptx, StringRef arch,
                                function_ref<InFlightDiagnostic()> emitError) {
  TemporaryFile source("ptx"), object("cubin"), log("log");
  for (const TemporaryFile *file : {&source, &object, &log})
    if (file->error)
      return emitError() << "cannot make the temporary file '" << file->path
                         << "' (TMPDIR says where): " << file->error.message();
  std::string error;
  if (failed(writeOutputFile(source.path, [&](auto &stream) { stream << ptx; }, error)))
    return emitError() << error;

  std::string target = ("-arch=" + arch).str();
  StringRef arguments[] = {path, "-O3", "-v", target, "-o", object.path, source.path};
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log.path), StringRef(log.path)};
  std::string reason;
  int status = llvm::sys::ExecuteAndWait(path, arguments, /*Env=*/std::nullopt, redirects, /*SecondsToWait=*/0,
                                         /*MemoryLimit=*/0, &reason);
  MachineCode code;
  code.log = log.read();
  if (status != 0)
    return emitError() << path << " refuses the generated PTX: " << (reason.empty() ? code.log : reason);
  code.cubin = object.read();
  code.kernels = parseAssemblerLog(code.log);
  return code;
}

} // namespace mlir::moe::cuda

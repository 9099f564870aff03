//===- CheckpointSave.cpp - Saving a run ----------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Checkpoint.h"
#include "lib/Engine/Checkpoint/CheckpointFiles.h"
#include "lib/Engine/Checkpoint/Safetensors.h"
#include "lib/Engine/Checkpoint/StepDirectory.h"
#include "lib/Engine/Model/Variables.h"
#include "lib/Engine/Support/Files.h"
#include "runtime/format/DType.h"

#include <cstdio>
#include <fcntl.h>
#include <filesystem>

namespace moe::engine {
namespace {

namespace fs = std::filesystem;

/// All errors of a save are errors of the checkpoint, whatever their cause.
Status asCheckpointError(const Status &status) {
  return Status(ErrorCode::checkpoint, "cannot save a checkpoint: " + status.message());
}

Result<ManifestFile> writeFile(Session &session, const std::string &directory, const CheckpointFile &file) {
  std::vector<TensorSource> tensors;
  for (const format::Variable *variable : variablesWithRole(session.artifact(), file.roles)) {
    std::span<const std::int64_t> shape = format::toSpan(*variable->shape());
    tensors.push_back({variable->name()->str(),
                       std::string(safetensorsName(variable->dtype())),
                       {shape.begin(), shape.end()},
                       [&session, variable](std::span<std::byte> bytes) {
                         return session.readVariable(variable->name()->string_view(), bytes);
                       }});
  }
  Result<WrittenFile> written = writeSafetensors(directory + "/" + file.name, tensors, {{"format", "pt"}});
  if (!written)
    return written.status();
  return ManifestFile{file.name, written->size, written->checksum};
}

Status writeManifest(const std::string &directory, const Manifest &manifest) {
  Result<DurableFile> file = DurableFile::create(directory + "/" + std::string(Manifest::kFileName));
  if (!file)
    return file.status();
  if (Status status = file->write(manifestToJson(manifest)); !status)
    return status;
  return file->finish();
}

/// Makes `complete` the directory `target`. If `target` exists the two change places atomically, so that at no moment
/// there is none; the old one is then called `complete`.
Status publish(const std::string &complete, const std::string &target) {
  if (!fs::exists(target)) {
    if (::rename(complete.c_str(), target.c_str()) == 0)
      return {};
    return systemError(ErrorCode::checkpoint, "cannot name the checkpoint", target);
  }
  if (::renameat2(AT_FDCWD, complete.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0)
    return {};
  return systemError(ErrorCode::checkpoint, "cannot replace the checkpoint", target);
}

/// Removes a checkpoint so that a kill in between leaves no directory that looks like one.
void removeCheckpoint(const std::string &path) {
  const std::string doomed = path + ".tmp";
  std::error_code ignored;
  fs::remove_all(doomed, ignored);
  fs::rename(path, doomed, ignored);
  fs::remove_all(doomed, ignored);
}

void removeLeftovers(const std::string &directory) {
  std::error_code ignored;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, ignored))
    if (std::string name = entry.path().filename().string();
        name.ends_with(".tmp") && parseStepDirectory(name.substr(0, name.size() - 4)))
      leftovers.push_back(entry.path());
  for (const fs::path &path : leftovers)
    fs::remove_all(path, ignored);
}

/// Writes the files of a checkpoint, their manifest last.
Status writeFiles(Session &session, const std::string &directory, Manifest &state) {
  if (Status status = createDirectories(directory); !status)
    return status;
  state.files.clear();
  for (const CheckpointFile &file : kCheckpointFiles) {
    Result<ManifestFile> written = writeFile(session, directory, file);
    if (!written)
      return written.status();
    state.files.push_back(*written);
  }
  if (Status status = writeManifest(directory, state); !status)
    return status;
  return syncDirectory(directory);
}

} // namespace

Result<std::string> CheckpointStore::save(Session &session, Manifest state, std::int64_t keep) const {
  const std::string target = directory + "/" + stepDirectory(state.step), temporary = target + ".tmp";
  if (Status status = createDirectories(directory); !status)
    return asCheckpointError(status);
  removeLeftovers(directory);
  if (Status status = writeFiles(session, temporary, state); !status) {
    removeLeftovers(directory); // A full disk gets its space back.
    return asCheckpointError(status);
  }
  if (Status status = publish(temporary, target); !status)
    return status;
  if (Status status = syncDirectory(directory); !status)
    return asCheckpointError(status);

  prune(state.step, keep);
  return target;
}

void CheckpointStore::prune(std::int64_t step, std::int64_t keep) const {
  removeLeftovers(directory);
  if (keep <= 0)
    return;
  std::vector<std::int64_t> steps = listSteps(directory);
  std::erase_if(steps, [&](std::int64_t other) { return other > step; });
  for (std::size_t i = keep; i < steps.size(); ++i)
    removeCheckpoint(directory + "/" + stepDirectory(steps[i]));
}

} // namespace moe::engine

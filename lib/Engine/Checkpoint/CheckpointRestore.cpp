//===- CheckpointRestore.cpp - Finding and restoring a checkpoint ---------===//
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
#include "lib/Engine/Support/Hash.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <filesystem>

namespace moe::engine {
namespace {

namespace fs = std::filesystem;

Status invalid(const std::string &path, const std::string &reason) {
  return Status(ErrorCode::checkpoint, path + ": " + reason);
}

Status checkFile(const std::string &path, const ManifestFile &expected) {
  Result<format::MappedFile> file = format::MappedFile::open(path);
  if (!file)
    return Status(ErrorCode::checkpoint, file.status().message());
  if (file->bytes().size() != expected.size)
    return invalid(path, "it has " + std::to_string(file->bytes().size()) + " bytes, the manifest says " +
                             std::to_string(expected.size));
  if (hash64(file->bytes()) != expected.checksum)
    return invalid(path, "its checksum differs from the manifest's");
  return {};
}

/// Pairs the variables of one checkpoint file with its tensors.
Status checkTensors(const TensorDirectory &directory, const std::vector<const format::Variable *> &variables,
                    const std::string &path) {
  std::size_t found = 0;
  for (const format::Variable *variable : variables) {
    const std::string name = variable->name()->str();
    auto tensor = directory.tensors.find(name);
    if (tensor == directory.tensors.end())
      return invalid(path, "the tensor '" + name + "' is missing; was the checkpoint written with another model?");
    ++found;
    std::span<const std::int64_t> shape = format::toSpan(*variable->shape());
    const TensorView expected{std::string(safetensorsName(variable->dtype())), {shape.begin(), shape.end()}, {}};
    if (tensor->second.type() != expected.type())
      return invalid(path, "'" + name + "' is " + tensor->second.type() + " but the artifact's is " + expected.type() +
                               "; was the checkpoint written with another model?");
  }
  if (found == directory.tensors.size())
    return {};
  for (const auto &[name, tensor] : directory.tensors)
    if (std::ranges::none_of(variables, [&](auto *variable) { return variable->name()->string_view() == name; }))
      return invalid(path, "the tensor '" + name +
                               "' is not in the artifact; was the checkpoint written with another "
                               "model?");
  return {};
}

} // namespace

std::string checkpointsDirectory(const std::string &runDirectory) { return runDirectory + "/checkpoints"; }

Result<Checkpoint> openCheckpoint(const std::string &path) {
  const std::string manifestPath = path + "/" + std::string(Manifest::kFileName);
  if (!fs::exists(manifestPath))
    return invalid(path, "it has no manifest.json");
  Result<std::string> text = readFile(manifestPath);
  if (!text)
    return Status(ErrorCode::checkpoint, text.status().message());
  Result<Manifest> manifest = parseManifest(*text);
  if (!manifest)
    return invalid(manifestPath, manifest.status().message());
  for (const ManifestFile &file : manifest->files)
    if (Status status = checkFile(path + "/" + file.name, file); !status)
      return status;
  return Checkpoint{path, std::move(*manifest)};
}

Result<CheckpointStore::Newest> CheckpointStore::newest() const {
  Newest newest;
  for (std::int64_t step : listSteps(directory)) {
    const std::string path = directory + "/" + stepDirectory(step);
    Result<Checkpoint> checkpoint = openCheckpoint(path);
    if (checkpoint && checkpoint->manifest.step != step)
      checkpoint = invalid(path, "its manifest says step " + std::to_string(checkpoint->manifest.step));
    if (checkpoint) {
      newest.checkpoint = std::move(*checkpoint);
      break;
    }
    newest.skipped.push_back(checkpoint.status().message());
  }
  return newest;
}

Result<CheckpointStore::Newest> findCheckpoint(const std::string &path) {
  if (fs::exists(path + "/" + std::string(Manifest::kFileName))) {
    Result<Checkpoint> checkpoint = openCheckpoint(path);
    if (!checkpoint)
      return checkpoint.status();
    return CheckpointStore::Newest{std::move(*checkpoint), {}};
  }
  const std::string inside = checkpointsDirectory(path);
  Result<CheckpointStore::Newest> newest = CheckpointStore(fs::is_directory(inside) ? inside : path).newest();
  if (!newest || newest->checkpoint)
    return newest;
  std::string reason = fs::exists(path) ? "no valid checkpoint in '" + path + "'" : "'" + path + "' does not exist";
  for (const std::string &skipped : newest->skipped)
    reason += "\n  " + skipped;
  return Status(ErrorCode::checkpoint, reason);
}

Status restore(Session &session, const Checkpoint &checkpoint, Restore what) {
  struct Opened {
    SafetensorsFile file;
    std::vector<const format::Variable *> variables;
  };
  std::vector<Opened> opened;
  for (const CheckpointFile &file : kCheckpointFiles) {
    const bool isOptimizer = file.roles.front() == format::VariableRole::optimizer;
    if (isOptimizer && what == Restore::model)
      continue;
    const std::string path = checkpoint.path + "/" + file.name;
    Result<SafetensorsFile> tensors = SafetensorsFile::open(path);
    if (!tensors)
      return Status(ErrorCode::checkpoint, tensors.status().message());
    std::vector<const format::Variable *> variables = variablesWithRole(session.artifact(), file.roles);
    if (Status status = checkTensors(tensors->directory(), variables, path); !status)
      return status;
    opened.push_back({std::move(*tensors), std::move(variables)});
  }
  for (const Opened &source : opened)
    for (const format::Variable *variable : source.variables) {
      const TensorView &tensor = source.file.directory().tensors.at(variable->name()->str());
      if (Status status = session.writeVariable(variable->name()->string_view(), tensor.bytes); !status)
        return status;
    }
  return what == Restore::model ? session.initializeCopies() : Status();
}

} // namespace moe::engine

//===- Checkpoint.h - Saving and restoring a run ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A checkpoint is a directory `step-N`:
///
///   model.safetensors      parameters and buffers, in their own types (F32, BF16): what another program needs
///   optimizer.safetensors  AdamW's moments and the float32 masters of bf16 parameters: what only resuming needs
///   manifest.json          step, seed, model, data, and sizes and checksums of the files
///
/// It is written as `step-N.tmp`, each file flushed, the manifest last, and renamed when complete: whenever the process
/// is killed or power fails, the checkpoint before is untouched and the one after is complete or not there.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CHECKPOINT_CHECKPOINT_H
#define LIB_ENGINE_CHECKPOINT_CHECKPOINT_H

#include "lib/Engine/Checkpoint/Manifest.h"
#include "moe/Session.h"

#include <optional>
#include <string>
#include <vector>

namespace moe::engine {

struct Checkpoint {
  std::string path;
  Manifest manifest;
};

/// The directory of one run's checkpoints.
class CheckpointStore {
public:
  explicit CheckpointStore(std::string directory) : directory(std::move(directory)) {}

  /// Writes the checkpoint of `state.step` (`state.files` is ignored), then prunes. Errors have code `checkpoint`.
  /// Returns its path.
  Result<std::string> save(Session &session, Manifest state, std::int64_t keep) const;

  /// Removes what interrupted saves have left and, unless `keep` is 0, all but the newest `keep` of the checkpoints up
  /// to `step`. Later ones belong to a future that the run has gone back from; it will replace them.
  void prune(std::int64_t step, std::int64_t keep) const;

  struct Newest {
    std::optional<Checkpoint> checkpoint;
    std::vector<std::string> skipped; ///< "PATH: reason" of newer directories that are no valid checkpoints.
  };
  /// The valid checkpoint with the highest step. A directory that does not exist has none.
  Result<Newest> newest() const;

private:
  std::string directory;
};

/// Where the checkpoints of a run are.
std::string checkpointsDirectory(const std::string &runDirectory);

/// Checks manifest, sizes and checksums of one checkpoint directory.
Result<Checkpoint> openCheckpoint(const std::string &path);

/// Opens what a user names: a checkpoint, a run directory or a directory of checkpoints; of several the newest valid.
Result<CheckpointStore::Newest> findCheckpoint(const std::string &path);

enum class Restore {
  model,            ///< Parameters and buffers; masters become copies of the parameters.
  modelAndOptimizer ///< Moments and masters too.
};

/// Writes a checkpoint's tensors into the session. Every variable must be in the files and the other way round, with
/// the same type and shape; else the error (code `checkpoint`) names what is missing, unexpected or different, and the
/// session is unchanged.
Status restore(Session &session, const Checkpoint &checkpoint, Restore what);

} // namespace moe::engine

#endif // LIB_ENGINE_CHECKPOINT_CHECKPOINT_H

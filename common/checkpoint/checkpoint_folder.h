// The checkpoints of a run: OUTPUT/checkpoints/step-STEP, each whole or not there. Folders that begin with a point are
// still being written, or were left so; those that end in .abandoned are of a line of steps that a run did not go on
// with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/checkpoint/checkpoint_manifest.h"

namespace equipoise {

struct CheckpointEntry {
  std::filesystem::path folder;
  std::int64_t step = 0;  // as the folder's name says
};

std::filesystem::path checkpoints_folder(const std::filesystem::path& output);
std::filesystem::path checkpoint_folder(const std::filesystem::path& output, std::int64_t step);
// Its step by its name; -1: it is not called as a checkpoint.
std::int64_t step_of_checkpoint(const std::filesystem::path& folder);

// Those that stand in `output`, newest first, looked at by their names alone. Throws std::runtime_error where the
// folder cannot be read: that is not the same as none.
std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path& output);

// Its manifest. Throws std::invalid_argument as read_manifest(), and where its folder is called as another step's.
CheckpointManifest read_checkpoint_manifest(const std::filesystem::path& folder);

// What is wrong with its files, "FILE: ..." of the first; empty where each has the size and the SHA-256 that the
// manifest says. Every byte is read.
//   on_bytes  bytes read since the call before
std::string fault_of_files(const std::filesystem::path& folder, const CheckpointManifest& manifest,
                           const std::function<void(std::int64_t)>& on_bytes = {});
// The same of the whole checkpoint: of its manifest, its name and its files.
std::string fault_of_checkpoint(const std::filesystem::path& folder,
                                const std::function<void(std::int64_t)>& on_bytes = {});

// The same of a folder that is taken as a model or an adapter: of those files of the checkpoint that are in it, as
// people may leave out the optimiser's. Empty where it is no checkpoint.
std::string fault_of_model(const std::filesystem::path& folder, const std::function<void(std::int64_t)>& on_bytes = {});

// What goes where the newest `keep` of `output` stay: older ones, newest first, and what was left half written or
// abandoned of steps below the newest one. Of those that are kept one at least is whole: where none of them is, the
// newest whole one stays too.
//   whole_step  of one that is known to be whole; -1: none, so that those that are kept are read
struct PrunePlan {
  std::vector<CheckpointEntry> checkpoints;
  std::vector<std::filesystem::path> leftovers;
};
PrunePlan plan_pruning(const std::filesystem::path& output, int keep, std::int64_t whole_step = -1);
// Throws std::runtime_error where a checkpoint cannot be removed.
void remove_planned(const std::filesystem::path& output, const PrunePlan& plan);
// Both. Returns the steps of the checkpoints that were removed.
std::vector<std::int64_t> prune_checkpoints(const std::filesystem::path& output, int keep,
                                            std::int64_t whole_step = -1);

// Removes what was left half written. For who has the output alone.
void remove_unfinished_checkpoints(const std::filesystem::path& output);

// Checkpoints of later steps than `step` do not belong to a run that goes on from there: they are renamed.
void abandon_checkpoints_after(const std::filesystem::path& output, std::int64_t step);

}  // namespace equipoise

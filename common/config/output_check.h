// Whether a folder can be a run's output, as far as looking tells. Who has it now: common/base/output_lock.h.
#pragma once

#include "common/config/job_config.h"

namespace equipoise {

// What a run leaves in its folder, and a run over it replaces.
inline constexpr const char* kCheckpoints = "checkpoints";
inline constexpr const char* kTensorboard = "tensorboard";  // event files
inline constexpr const char* kRunOwner = ".equipoise-run";  // a line with the id of the job whose run this is
inline constexpr const char* kRunParts[] = {
    "metrics.jsonl", "ledger.bin",         "receipt.json",    "job.yaml",          "data.json",
    "report.html",   "trainer_state.json", "pair_shares.bin", "pair_shares.index", "final",
    kCheckpoints,    kTensorboard,         kRunOwner};

// Both throw std::invalid_argument, and change nothing.
// Whether config.output is a place of its own: a folder, or to be made one, that can be written; not the root of the
// file system, a coordinator's state folder, the job's model folders or data, or inside of those; nothing that the job
// reads may be what it replaces.
void check_output_place(const JobConfig& config);
// Whether it holds no run, or may be overwritten, or has a checkpoint that the job goes on from, or with `latest` a run
// that did not come to its end.
void check_output_free(const JobConfig& config);

}  // namespace equipoise

// The calls that make a job, in parts: what they ask of the files of jobs may take hours, as over a network whose
// server is gone, and everybody else is served meanwhile. What is decided, and stored, is in TrainingJobs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "common/base/output_lock.h"
#include "common/config/job_config.h"
#include "coordinator/job/job_fork.h"
#include "coordinator/job/output_folders.h"
#include "coordinator/store/database.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// A job between the parts of the call that makes it.
struct JobMaking {
  std::optional<v1::TrainingJob> answer = {};  // the call was answered before, and nothing is left to do
  v1::CreateTrainingJobRequest request = {};
  std::string requester = {};
  std::optional<ForkOrigin> origin = {};      // absent: it begins by itself
  std::optional<CheckpointLinks> links = {};  // of the checkpoint that it begins with
  JobConfig config = {};
  std::string id = {};  // empty: it is only checked
  std::optional<OutputLock> lock = {};
};

// Of the exception that is handled, where a record was stored: whether the next coordinator may find it all the same.
// Of a commit that the disk did not confirm nobody knows whether it is there.
inline bool may_be_stored() {
  try {
    throw;
  } catch (const StoreError& error) {
    return error.cause() == StoreError::Cause::kOther;
  } catch (...) {
    return false;
  }
}

// For a CreateTrainingJobRequest or a ForkTrainingJobRequest. Links of a job that may be stored stay: should it not be
// there, the next coordinator removes them (remove_unused_links).
//   core  core.look(call) and core.change(call) return call(TrainingJobs&), which nobody else calls meanwhile, or throw
//         where nobody waits for the answer any more; change() is for what is stored. core.end(call) is the same
//         whoever waits. core.reach(file) is called before files of one more place are asked for, which no other part
//         of this needs the core for
template <typename Core, typename Request>
v1::TrainingJob make_job(Core& core, const Request& request, const std::string& requester) {
  JobMaking making = core.look([&](auto& jobs) { return jobs.begin(request, requester); });
  if (making.answer) return *std::move(making.answer);
  const OutputFiles files = core.look([](auto& jobs) { return jobs.outputs().files(); });
  for (const auto& file : files.files_of(making.config)) core.reach(file);
  if (making.links) core.reach(making.links->output);
  core.look([&](auto& jobs) { jobs.note(request, making); });
  if (making.answer) return *std::move(making.answer);
  try {
    if (making.links) link_checkpoint(*making.links);
    const std::filesystem::path output = files.checked_place(making.config);
    const auto leaving = core.look([&](auto& jobs) { return jobs.outputs().take(making.id, making.config, output); });
    for (const auto& lock : leaving) lock->remove();
    files.check_free(making.config);
    if (!making.id.empty()) {
      if (auto lock = files.reserve(making.id, making.config)) making.lock.emplace(*std::move(lock));
    }
    return core.change([&](auto& jobs) { return jobs.finish(request, making); });
  } catch (...) {
    making.lock.reset();
    if (making.links && !may_be_stored()) remove_links(making.links->folder());
    core.end([&](auto& jobs) { jobs.abandon(making); });
    throw;
  }
}

}  // namespace equipoise::coordinator

// Settings of a job that people change while it runs: which changes are taken, and when they take effect.
// docs/decisions/0017-settings-that-change-while-a-job-runs.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/protocol/live_settings.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// What of the changes that have taken effect is the weights', as WeightOwner takes it.
std::vector<WeightChange> weight_changes(const SettingsChanges& changes);

// 0 where there is none.
std::int64_t newest_version(const SettingsChanges& changes);

// Those up to `version` that wait take effect now. True: there were any.
bool take_effect(SettingsChanges& changes, std::int64_t steps_done, std::int64_t version);

// Those that a new job's request has, for steps that are known beforehand. Throws std::invalid_argument
// "settings_changes[I]
// ..." and Refusal kFailedPrecondition where one is none, or not of such a job.
void add_planned_changes(const v1::CreateTrainingJobRequest& request, const JobConfig& config,
                         const std::string& requester, v1::TrainingJob& job);

// `steps`: of the plan as the spec makes it. The schedules linear and cosine are made for those, and end there.
PlannedEnd planned_end(const JobConfig& config, std::int64_t steps);

}  // namespace equipoise::coordinator

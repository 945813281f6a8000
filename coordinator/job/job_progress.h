// What people see of a job while it trains: group weights and losses, speed, time left, conditions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/data_config.h"
#include "common/dataset/shard_plan.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// The job's groups, without losses yet.
void set_groups(v1::TrainingJob& job, const GroupTable& groups, const std::vector<double>& alpha_K);
void set_weights(v1::TrainingJob& job, const std::vector<double>& alpha_K);

// Throws std::invalid_argument naming the field, the value and what would be right: a group or a step outside the job,
// no split, a file that the job is not evaluated on, a negative total, too many phases.
void check_metrics(const v1::ReportMetricsRequest& request, const v1::TrainingJob& job, const DataConfig& data);
// Values that are not finite leave the ones before; those of one validation file change nothing.
void apply_metrics(v1::TrainingJob& job, const v1::ReportMetricsRequest& request);

// Pairs that remain, divided by the newest speed; none while no speed is known.
void set_time_left(v1::TrainingJob& job, const ShardPlan& plan);

// Newest last; of more than 16 the oldest is dropped.
void add_condition(v1::TrainingJob& job, std::string sentence);

}  // namespace equipoise::coordinator

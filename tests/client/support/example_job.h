// A job as a coordinator would report it in the middle of training.
#pragma once

#include "equipoise/v1/training.pb.h"

namespace equipoise {

inline v1::GroupStatus example_group(const std::string& name, double train_loss, double weight) {
  v1::GroupStatus group;
  group.set_name(name);
  group.set_pair_count(100);
  group.set_train_loss(train_loss);
  group.set_weight(weight);
  return group;
}

inline v1::TrainingJob example_job() {
  v1::TrainingJob job;
  job.set_id("gr-dpo-0123abcd");
  job.mutable_spec()->set_name("gr-dpo");
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_phase("training");
  job.set_step(50);
  job.set_total_steps(200);
  job.set_loss(0.625);
  job.set_pairs_per_second(118.4);
  job.mutable_time_left()->set_seconds(42);
  *job.add_groups() = example_group("Democrat", 0.5, 0.25);
  *job.add_groups() = example_group("Republican", 0.75, 0.75);
  return job;
}

}  // namespace equipoise

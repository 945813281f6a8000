// What Kubeflow Trainer is told of a job: the body of a POST to the status of its TrainJob.
#pragma once

#include <chrono>
#include <string>

#include "equipoise/v1/training.pb.h"

namespace equipoise {

// {"trainerStatus": {...}}: percent done and seconds left, where they are known, the time `now`, and as metrics the
// step, the loss, the speed, restarts, and the group that is worst off, in the newest batch and in the newest
// evaluation. Names and values have at most 64 characters, as Trainer wants them.
std::string trainer_status_json(const v1::TrainingJob& job, std::chrono::system_clock::time_point now);

}  // namespace equipoise

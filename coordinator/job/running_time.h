// How long a job has been RUNNING, over all its attempts, and how long it may be.
#pragma once

#include <chrono>

#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

std::chrono::milliseconds running_time(const v1::TrainingJob& job);
void add_running_time(v1::TrainingJob& job, std::chrono::nanoseconds more);

// Until what running time an attempt may go on that begins after `before`: each resume gives a job that has used up its
// limit as much again, and no other start of an attempt gives it anything.
std::chrono::milliseconds end_of_running_time(std::chrono::milliseconds before, std::chrono::seconds limit);

}  // namespace equipoise::coordinator

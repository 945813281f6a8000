// Which training data a step is made of, for people.
#pragma once

#include <cstdint>
#include <string>

#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"

namespace equipoise::coordinator {

// "pairs 32 to 39 of epoch 2, which are the pairs 17, 4, 99 and 5 more of data.train": places and pairs count from 1,
// pairs in the order of the files, without those that were left out (data.json says how many). Only the places for data
// of over a million pairs, whose order takes long to make; empty where the plan does not say which pairs they are:
// batches by groups or by weights of files.
std::string batch_text(const JobConfig& config, const ShardPlan& plan, std::int64_t step);

}  // namespace equipoise::coordinator

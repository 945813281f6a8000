#include "coordinator/sharding/plan_maker.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "common/config/data_config.h"
#include "common/config/group_settings.h"

namespace equipoise::coordinator {
namespace {

constexpr double kMostSteps = 1e12;

// ceil, but 1.1 * 10 pairs are 11, not the 12 that rounding of the product would make of them.
double ceil_of_product(double value) {
  const double nearest = std::nearbyint(value);
  return std::abs(value - nearest) <= 1e-9 * std::max(1.0, std::abs(value)) ? nearest : std::ceil(value);
}

}  // namespace

std::int64_t global_batch_size(const TrainingConfig& training, DatasetSize dataset) {
  return training.full_batch ? dataset.num_pairs : training.global_batch_size;
}

std::int64_t planned_steps(const TrainingConfig& training, DatasetSize dataset) {
  if (training.max_steps) return *training.max_steps;
  const double whole_epochs = std::floor(training.epochs);
  const double rest = (training.epochs - whole_epochs) * static_cast<double>(dataset.num_pairs) /
                      static_cast<double>(global_batch_size(training, dataset));
  const auto per_epoch = steps_per_epoch(dataset.num_pairs, global_batch_size(training, dataset));
  const double steps = whole_epochs * static_cast<double>(per_epoch) + ceil_of_product(rest);
  if (!(steps <= kMostSteps)) {
    throw std::invalid_argument("training.epochs is " + std::to_string(training.epochs) +
                                ", expected a number that makes at most 10^12 steps of " +
                                std::to_string(dataset.num_pairs) + " pairs");
  }
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
}

ShardPlan make_shard_plan(const JobConfig& job, DatasetSize dataset, int world_size) {
  return ShardPlan{
      .seed = job.training.seed,
      .shuffle = job.data.shuffle,
      .num_pairs = dataset.num_pairs,
      .global_batch_size = global_batch_size(job.training, dataset),
      .world_size = world_size,
      .stratified = sampling_for(job.training, dataset.num_groups, dataset.num_pairs) == Sampling::kStratified,
      .mixed = is_mixture(job.data),
      .first_step = 0,
      .end_step = planned_steps(job.training, dataset)};
}

std::int64_t pairs_done(const ShardPlan& plan, std::int64_t step) {
  if (plan.stratified || plan.mixed) return step * plan.global_batch_size;
  const std::int64_t per_epoch = steps_per_epoch(plan.num_pairs, plan.global_batch_size);
  const std::int64_t within = std::min((step % per_epoch) * plan.global_batch_size, plan.num_pairs);
  return step / per_epoch * plan.num_pairs + within;
}

}  // namespace equipoise::coordinator

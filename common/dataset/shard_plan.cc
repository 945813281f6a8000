#include "common/dataset/shard_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/base/split_mix64.h"
#include "common/dataset/stratified_order.h"

namespace equipoise {
namespace {

void check_positive(const char* field, std::int64_t value) {
  if (value <= 0) {
    throw std::invalid_argument(std::string("shard plan: ") + field + " is " + std::to_string(value) +
                                ", expected > 0");
  }
}

// Places are counted over all batches before a step.
void check_countable(const ShardPlan& plan) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (plan.global_batch_size <= std::numeric_limits<std::int32_t>::max() &&
      plan.end_step <= kMost / plan.global_batch_size) {
    return;
  }
  throw std::invalid_argument("shard plan: " + std::to_string(plan.end_step) + " batches by shares, of " +
                              std::to_string(plan.global_batch_size) + " pairs, are too many to be counted");
}

void check_plan(const ShardPlan& plan) {
  check_positive("num_pairs", plan.num_pairs);
  check_positive("global_batch_size", plan.global_batch_size);
  check_positive("world_size", plan.world_size);
  EQUIPOISE_CHECK(!(plan.stratified && plan.mixed));
  if (plan.stratified || plan.mixed) check_countable(plan);
  if (plan.first_step >= 0 && plan.first_step <= plan.end_step) return;
  throw std::invalid_argument("shard plan: steps are [" + std::to_string(plan.first_step) + ", " +
                              std::to_string(plan.end_step) + "), expected 0 <= first <= end");
}

}  // namespace

std::int64_t steps_per_epoch(std::int64_t num_pairs, std::int64_t global_batch_size) {
  check_positive("num_pairs", num_pairs);
  check_positive("global_batch_size", global_batch_size);
  return num_pairs / global_batch_size + (num_pairs % global_batch_size != 0 ? 1 : 0);
}

std::vector<std::int64_t> epoch_order(const ShardPlan& plan, std::int64_t epoch) {
  check_plan(plan);
  std::vector<std::int64_t> order(static_cast<std::size_t>(plan.num_pairs));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  if (!plan.shuffle) return order;
  // Seed and epoch go through the mixer one after the other, so (1, 0) and (0, 1) are different streams.
  seeded_shuffle(order, SplitMix64(SplitMix64(plan.seed).next() ^ static_cast<std::uint64_t>(epoch)));
  return order;
}

ShardCursor::ShardCursor(ShardPlan plan, const std::optional<Strata>& strata) : plan_(std::move(plan)) {
  check_plan(plan_);
  EQUIPOISE_CHECK((plan_.stratified || plan_.mixed) == strata.has_value());
  if (!strata) return;
  EQUIPOISE_CHECK(strata->stratum_N.size() == static_cast<std::size_t>(plan_.num_pairs));
  stratified_.emplace(
      *strata, StratifiedSettings{.batch_size = plan_.global_batch_size, .seed = plan_.seed, .shuffle = plan_.shuffle});
}

const std::vector<std::int64_t>& ShardCursor::global_batch(std::int64_t step) {
  if (step < 0) throw std::invalid_argument("step is " + std::to_string(step) + ", expected >= 0");
  if (step == batch_step_) return batch_;
  if (stratified_) {
    stratified_->draw(step);
    batch_ = stratified_->batch();
    batch_step_ = step;
    return batch_;
  }
  const std::int64_t per_epoch = steps_per_epoch(plan_.num_pairs, plan_.global_batch_size);
  const std::int64_t epoch = step / per_epoch;
  if (epoch != epoch_) order_ = epoch_order(plan_, epoch);
  epoch_ = epoch;
  const std::int64_t begin = step % per_epoch * plan_.global_batch_size;  // < num_pairs
  const std::int64_t end = begin + std::min(plan_.global_batch_size, plan_.num_pairs - begin);
  batch_.assign(order_.begin() + begin, order_.begin() + end);
  batch_step_ = step;
  return batch_;
}

std::vector<std::int64_t> ShardCursor::rank_batch(std::int64_t step, int rank) {
  if (rank < 0 || rank >= plan_.world_size) {
    throw std::invalid_argument("rank is " + std::to_string(rank) + ", expected one below " +
                                std::to_string(plan_.world_size));
  }
  const std::vector<std::int64_t>& batch = global_batch(step);
  const auto size = static_cast<std::int64_t>(batch.size());
  // The first size % W ranks take one pair more.
  const std::int64_t least = size / plan_.world_size, longer_ranks = size % plan_.world_size;
  const std::int64_t begin = rank * least + std::min<std::int64_t>(rank, longer_ranks);
  const std::int64_t end = begin + least + (rank < longer_ranks ? 1 : 0);
  return {batch.begin() + begin, batch.begin() + end};
}

double ShardCursor::pair_weight(std::int64_t step, std::int64_t pair) {
  if (!plan_.stratified) return 1;
  global_batch(step);
  return stratified_->pair_weight(pair);
}

double ShardCursor::group_weight(std::int64_t step, std::uint32_t group) {
  if (!plan_.stratified) return 1;
  global_batch(step);
  return stratified_->group_weight(group);
}

double ShardCursor::epochs_done(std::int64_t step) const {
  const std::int64_t per_epoch = steps_per_epoch(plan_.num_pairs, plan_.global_batch_size);
  if (stratified_) return static_cast<double>(step) / static_cast<double>(per_epoch);
  const double pairs_of_part = static_cast<double>(step % per_epoch) * static_cast<double>(plan_.global_batch_size);
  return static_cast<double>(step / per_epoch) + pairs_of_part / static_cast<double>(plan_.num_pairs);
}

}  // namespace equipoise

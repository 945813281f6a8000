#include "coordinator/sharding/batch_text.h"

#include <algorithm>
#include <vector>

namespace equipoise::coordinator {
namespace {

constexpr std::int64_t kMostPairs = 1'000'000;
constexpr std::size_t kMostNamed = 16;

std::string numbered(const std::vector<std::int64_t>& pairs) {
  std::string text;
  for (std::size_t i = 0; i < std::min(pairs.size(), kMostNamed); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(pairs[i] + 1);
  }
  if (pairs.size() > kMostNamed) text += " and " + std::to_string(pairs.size() - kMostNamed) + " more";
  return text;
}

}  // namespace

std::string batch_text(const JobConfig& config, const ShardPlan& plan, std::int64_t step) {
  const bool is_known = !config.log_linear && !plan.stratified && !plan.mixed && step >= 0 && step < plan.end_step;
  if (!is_known) return "";
  const std::int64_t per_epoch = steps_per_epoch(plan.num_pairs, plan.global_batch_size);
  const std::int64_t begin = step % per_epoch * plan.global_batch_size;
  const std::int64_t end = begin + std::min(plan.global_batch_size, plan.num_pairs - begin);
  const std::string text = "pairs " + std::to_string(begin + 1) + " to " + std::to_string(end) + " of epoch " +
                           std::to_string(step / per_epoch + 1);
  if (plan.num_pairs > kMostPairs) return text;
  return text + ", which are the pairs " + numbered(ShardCursor(plan).global_batch(step)) + " of data.train";
}

}  // namespace equipoise::coordinator

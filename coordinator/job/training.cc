#include "coordinator/job/training.h"

#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/message_text.h"
#include "common/config/group_settings.h"
#include "coordinator/job/live_settings.h"
#include "coordinator/sharding/plan_maker.h"

namespace equipoise::coordinator {
namespace {

constexpr int kMostGroups = 4096;
constexpr std::size_t kLongestGroupName = 256;
constexpr std::size_t kDatasetDigestBytes = 32;
constexpr std::size_t kManifestDigestBytes = 32;
constexpr std::size_t kLongestJobId = 128;

void check_names(const v1::StartTrainingRequest& request) {
  std::set<std::string> seen;
  for (int g = 0; g < request.group_names_size(); ++g) {
    const std::string& name = request.group_names(g);
    const std::string where = "group_names[" + std::to_string(g) + "]";
    if (name.empty() || name.size() > kLongestGroupName) {
      throw std::invalid_argument(where + " has " + std::to_string(name.size()) + " bytes, expected 1 to " +
                                  std::to_string(kLongestGroupName));
    }
    if (has_control(name)) {
      throw std::invalid_argument(where + " is " + quoted_text(name) + ", expected a name without control characters");
    }
    if (!seen.insert(name).second)
      throw std::invalid_argument(where + " is \"" + name + "\", which an earlier group has");
  }
}

GroupTable group_table(const JobConfig& config, const v1::StartTrainingRequest& request) {
  GroupTable groups{.names = {request.group_names().begin(), request.group_names().end()}, .pair_count_K = {}};
  const std::vector<double> counted_K(request.group_pair_count().begin(), request.group_pair_count().end());
  groups.pair_count_K = group_counts_for(config.data, groups.names, counted_K);
  return groups;
}

void check_baselines(const RobustConfig& robust, const std::vector<std::string>& names,
                     const std::vector<double>& label_floor_K) {
  const std::size_t wanted = robust.baseline == Baseline::kLabelEntropy ? names.size() : 0;
  if (label_floor_K.size() != wanted) {
    throw std::invalid_argument("group_baseline has " + std::to_string(label_floor_K.size()) + " values, expected " +
                                std::to_string(wanted) + " with this robust.baseline");
  }
  for (std::size_t g = 0; g < label_floor_K.size(); ++g) {
    if (std::isfinite(label_floor_K[g]) && label_floor_K[g] >= 0) continue;
    throw std::invalid_argument("group_baseline of group \"" + names[g] + "\" is " + number_text(label_floor_K[g]) +
                                ", expected a finite number >= 0");
  }
}

void check_step_size(const v1::WeightState& weights) {
  if (!weights.has_step_size()) throw std::invalid_argument("resume.weights.step_size is absent, expected eta_alpha");
  const v1::StepSizeState& state = weights.step_size();
  const std::string field = "resume.weights.step_size";
  check_number(std::isfinite(state.step_size()) && state.step_size() >= 0, field + ".step_size", state.step_size(),
               "a finite number >= 0");
  check_number(!std::isnan(state.best()), field + ".best", state.best(), "a number, or infinity where there is none");
  if (state.waited() >= 0) return;
  throw std::invalid_argument(field + ".waited is " + std::to_string(state.waited()) + ", expected >= 0");
}

void check_one_for_each_group(const char* field, int length, int num_groups) {
  if (length == num_groups) return;
  throw std::invalid_argument(std::string(field) + " has " + std::to_string(length) +
                              " values, expected one for each of " + std::to_string(num_groups) + " groups");
}

void check_weights(const v1::StartTrainingRequest& request) {
  const v1::WeightState& weights = request.resume().weights();
  if (weights.steps() < 0) {
    throw std::invalid_argument("resume.weights.steps is " + std::to_string(weights.steps()) + ", expected >= 0");
  }
  check_one_for_each_group("resume.weights.log_alpha", weights.log_alpha_size(), request.group_names_size());
  if (weights.group_loss_size() != 0) {
    check_one_for_each_group("resume.weights.group_loss", weights.group_loss_size(), request.group_names_size());
  }
  for (int g = 0; g < request.group_names_size(); ++g) {
    const std::string of_group = " of group \"" + request.group_names(g) + "\"";
    check_number(std::isfinite(weights.log_alpha(g)), "resume.weights.log_alpha" + of_group, weights.log_alpha(g),
                 "a finite number");
    const double loss = weights.group_loss_size() == 0 ? 0 : weights.group_loss(g);
    check_number(!std::isinf(loss), "resume.weights.group_loss" + of_group, loss,
                 "a finite number, or NaN where it is not known");
  }
  check_step_size(weights);
}

void check_resume(const v1::StartTrainingRequest& request) {
  if (!request.has_resume()) return;
  const v1::ResumePoint& resume = request.resume();
  if (resume.job_id().empty() || resume.job_id().size() > kLongestJobId) {
    throw std::invalid_argument("resume.job_id has " + std::to_string(resume.job_id().size()) +
                                " bytes, expected 1 to " + std::to_string(kLongestJobId));
  }
  if (resume.generation() < 1) {
    throw std::invalid_argument("resume.generation is " + std::to_string(resume.generation()) + ", expected >= 1");
  }
  if (resume.manifest_digest().size() != kManifestDigestBytes) {
    throw std::invalid_argument("resume.manifest_digest has " + std::to_string(resume.manifest_digest().size()) +
                                " bytes, expected " + std::to_string(kManifestDigestBytes));
  }
  if (!resume.has_weights()) throw std::invalid_argument("resume.weights is absent, expected those of the checkpoint");
  check_weights(request);
}

// `weights` as the checkpoint has them.
void restore_weights(const v1::WeightState& state, const ShardPlan& plan, WeightOwner& weights) {
  if (state.steps() > plan.end_step) {
    throw std::invalid_argument("resume.weights.steps is " + std::to_string(state.steps()) + ", expected 0 to " +
                                std::to_string(plan.end_step) + ", the end of the plan");
  }
  const auto num_losses = static_cast<int>(weights.group_loss_K().size());
  if (state.group_loss_size() != num_losses) {
    throw std::invalid_argument("resume.weights.group_loss has " + std::to_string(state.group_loss_size()) +
                                " values, expected " + std::to_string(num_losses) + " with these robust settings");
  }
  try {
    weights.restore(state);
  } catch (const std::invalid_argument& wrong) {
    throw std::invalid_argument(std::string("resume.weights: ") + wrong.what());
  }
}

v1::StartTrainingResponse answer(const ShardPlan& plan, const WeightOwner& weights, std::int64_t schedule_steps,
                                 const SettingsChanges& changes) {
  v1::StartTrainingResponse response;
  v1::ShardPlan& message = *response.mutable_plan();
  message.set_seed(plan.seed);
  message.set_shuffle(plan.shuffle);
  message.set_num_pairs(plan.num_pairs);
  message.set_global_batch_size(plan.global_batch_size);
  message.set_world_size(plan.world_size);
  message.set_first_step(plan.first_step);
  message.set_end_step(plan.end_step);
  message.set_stratified(plan.stratified);
  message.set_mixed(plan.mixed);
  message.set_schedule_steps(schedule_steps);
  response.mutable_log_alpha()->Add(weights.log_alpha_K().begin(), weights.log_alpha_K().end());
  response.mutable_group_loss()->Add(weights.group_loss_K().begin(), weights.group_loss_K().end());
  const std::vector<double> alpha_K = weights.alpha_K();
  response.mutable_alpha()->Add(alpha_K.begin(), alpha_K.end());
  *response.mutable_step_size() = weights.state().step_size();
  for (const v1::SettingsChange& change : changes) {
    if (change.has_effective_step()) *response.add_settings_changes() = change;
  }
  return response;
}

}  // namespace

void check_start_training(const v1::StartTrainingRequest& request) {
  if (request.group_names().empty() || request.group_names_size() > kMostGroups) {
    throw std::invalid_argument("group_names has " + std::to_string(request.group_names_size()) +
                                " groups, expected 1 to " + std::to_string(kMostGroups));
  }
  check_names(request);
  if (request.group_pair_count_size() != request.group_names_size()) {
    throw std::invalid_argument("group_pair_count has " + std::to_string(request.group_pair_count_size()) +
                                " values, expected one for each of " + std::to_string(request.group_names_size()) +
                                " groups");
  }
  for (int g = 0; g < request.group_pair_count_size(); ++g) {
    const double count = request.group_pair_count(g);
    if (std::isfinite(count) && count > 0) continue;
    throw std::invalid_argument("group_pair_count of group \"" + request.group_names(g) + "\" is " +
                                number_text(count) + ", expected a finite number > 0");
  }
  if (request.num_pairs() < 1)
    throw std::invalid_argument("num_pairs is " + std::to_string(request.num_pairs()) + ", expected >= 1");
  if (request.dataset_digest().size() != kDatasetDigestBytes) {
    throw std::invalid_argument("dataset_digest has " + std::to_string(request.dataset_digest().size()) +
                                " bytes, expected " + std::to_string(kDatasetDigestBytes));
  }
  check_resume(request);
}

WeightOwner weight_owner_for(const JobConfig& config, const v1::StartTrainingRequest& request) {
  GroupTable groups = group_table(config, request);
  const CountedPairs counted{{request.group_pair_count().data(), groups.pair_count_K.size()},
                             static_cast<double>(request.num_pairs())};
  const double num_pairs = population_size(groups.pair_count_K, counted.counted_K, counted.num_pairs);
  const std::vector<double> label_floor_K(request.group_baseline().begin(), request.group_baseline().end());
  check_baselines(config.robust, groups.names, label_floor_K);
  return {robust_settings_for(config.robust, groups.names, label_floor_K, counted), std::move(groups), num_pairs};
}

Training begin_training(const JobConfig& config, const v1::StartTrainingRequest& request, int world_size,
                        const SettingsChanges& changes) {
  const DatasetSize dataset{.num_pairs = request.num_pairs(),
                            .num_groups = static_cast<std::size_t>(request.group_names_size())};
  ShardPlan plan = make_shard_plan(config, dataset, world_size);
  const std::int64_t schedule_steps = plan.end_step;
  plan.end_step = end_with(changes, planned_end(config, schedule_steps));
  WeightOwner weights = weight_owner_for(config, request);
  weights.set_changes(weight_changes(changes));
  if (request.has_resume()) restore_weights(request.resume().weights(), plan, weights);
  plan.first_step = weights.next_step();
  StoredTraining stored{.request = request, .response = answer(plan, weights, schedule_steps, changes)};
  return {.plan = plan, .weights = std::move(weights), .stored = std::move(stored), .schedule_steps = schedule_steps};
}

}  // namespace equipoise::coordinator

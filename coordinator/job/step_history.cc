#include "coordinator/job/step_history.h"

#include <exception>
#include <utility>

#include "coordinator/job/live_settings.h"
#include "coordinator/job/training.h"

namespace equipoise::coordinator {
namespace {

std::string name_of_step(std::int64_t generation, std::int64_t step) {
  return "step " + std::to_string(step) + " of attempt " + std::to_string(generation);
}

// As StartTraining was answered.
v1::WeightState state_at_start(const v1::StartTrainingResponse& response) {
  v1::WeightState state;
  state.set_steps(response.plan().first_step());
  *state.mutable_log_alpha() = response.log_alpha();
  *state.mutable_group_loss() = response.group_loss();
  *state.mutable_step_size() = response.step_size();
  return state;
}

}  // namespace

StepHistory::StepHistory(JobStore& store, const JobConfig& config, std::string job_id, const SettingsChanges& changes)
    : store_(store),
      config_(config),
      job_id_(std::move(job_id)),
      changes_(weight_changes(changes)),
      extent_(store.step_rows().extent(job_id_)) {}

void StepHistory::fail(const std::string& what) const {
  throw StoreError(StoreError::Cause::kDamaged, "job " + job_id_ + ": " + what);
}

StepHistory::Attempt& StepHistory::attempt(std::int64_t generation) {
  const auto known = attempts_.find(generation);
  if (known != attempts_.end()) return known->second;
  const auto training = store_.training(job_id_, generation);
  if (!training) fail("the training of attempt " + std::to_string(generation) + " is missing");
  WeightOwner owner = weight_owner_for(config_, training->request);
  owner.set_changes(changes_);
  // Programs before checkpoints began every attempt at step 0 and did not say with which eta_alpha.
  if (training->response.has_step_size()) owner.restore(state_at_start(training->response));
  WeightOwner now = owner;
  return attempts_.emplace(generation, Attempt{.at_start = std::move(owner), .now = std::move(now)}).first->second;
}

WeightOwner& StepHistory::owner_before(std::int64_t generation, std::int64_t step) {
  Attempt& known = attempt(generation);
  const std::int64_t from = known.now.next_step();
  if (from == step) return known.now;
  const auto state = store_.step_rows().state(job_id_, generation, step);
  const bool goes_on = from < step && from >= extent_.thinned_end && !(state && state->steps() > from);
  if (!goes_on) {
    known.now = known.at_start;
    if (state) known.now.restore(*state);
  }
  for (const StepRecord& record : store_.step_rows().between(job_id_, generation, known.now.next_step(), step)) {
    if (record.request.step() != known.now.next_step()) break;
    if (record.result_digest.empty()) {
      if (record.digest != step_digest(record.request)) {
        fail(name_of_step(generation, record.request.step()) + ": its numbers are not those that were stored");
      }
      known.now.accept(record);
    } else {
      known.now.advance(record.request);
    }
  }
  if (known.now.next_step() != step) fail(name_of_step(generation, known.now.next_step()) + " is missing");
  return known.now;
}

std::optional<StepRecord> StepHistory::step(std::int64_t generation, std::int64_t step) {
  if (step < extent_.thinned_end) return std::nullopt;
  auto record = store_.step({.job_id = job_id_, .generation = generation, .step = step});
  if (!record) return std::nullopt;
  return whole(std::move(*record));
}

StepRecord StepHistory::whole(StepRecord record) {
  if (record.result_digest.empty()) return record;  // of a program that stored all of it
  const std::int64_t generation = record.request.generation(), step = record.request.step();
  if (step < extent_.thinned_end) {
    const v1::WeightState after = weights_after(generation, step + 1);
    record.log_alpha_K = {after.log_alpha().begin(), after.log_alpha().end()};
    record.group_loss_K = {after.group_loss().begin(), after.group_loss().end()};
    return record;
  }
  try {
    return owner_before(generation, step).replay(std::move(record));
  } catch (const std::invalid_argument& refused) {
    attempts_.erase(generation);
    fail(name_of_step(generation, step) + ": " + refused.what());
  }
}

v1::WeightState StepHistory::weights_after(std::int64_t generation, std::int64_t steps) {
  const std::string what =
      "the weights after " + std::to_string(steps) + " steps of attempt " + std::to_string(generation);
  try {
    const auto state = store_.step_rows().state(job_id_, generation, steps);
    if (state && state->steps() == steps) {
      WeightOwner owner = attempt(generation).at_start;
      owner.restore(*state);
      return owner.state();
    }
    if (steps <= attempt(generation).at_start.next_step()) return owner_before(generation, steps).state();
    if (steps <= extent_.thinned_end) fail(what + " are no longer on record");
    auto last = store_.step({.job_id = job_id_, .generation = generation, .step = steps - 1});
    if (!last) fail(name_of_step(generation, steps - 1) + " is missing");
    whole(std::move(*last));  // compared with what is on record, as it depends on all before
    return owner_before(generation, steps).state();
  } catch (const std::invalid_argument& refused) {
    attempts_.erase(generation);
    fail(what + ": " + refused.what());
  }
}

std::vector<double> StepHistory::alpha_after(const StepRecord& record) {
  return attempt(record.request.generation()).at_start.alpha_at(record.log_alpha_K);
}

}  // namespace equipoise::coordinator

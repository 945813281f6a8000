#include "tests/coordinator/simulation/job_promises.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/protocol/job_state.h"
#include "common/robust/group_weights.h"
#include "coordinator/job/live_settings.h"
#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace {

std::string text_of(const v1::TrainingJob& job) {
  return state_name(job.state()) + ", " + job.state_reason() + "; attempt " + std::to_string(job.generation());
}

// What a watcher must be shown anew when it changes.
std::string content_of(const v1::TrainingJob& job) {
  std::string text = text_of(job) + "; step " + std::to_string(job.step()) + "; checkpoint " +
                     std::to_string(job.has_checkpoint_step() ? job.checkpoint_step() : -1);
  for (const std::string& condition : job.conditions()) text += "; " + condition;
  return text;
}

bool same_bits(double left, double right) {
  return std::bit_cast<std::uint64_t>(left) == std::bit_cast<std::uint64_t>(right);
}

GroupSums sums_of(const v1::ReportStepRequest& report) {
  GroupSums sums{.group = {report.group().begin(), report.group().end()},
                 .loss_sum = {report.loss_sum().begin(), report.loss_sum().end()},
                 .pair_count = {report.pair_count().begin(), report.pair_count().end()},
                 .batch_pairs = report.batch_pairs()};
  return sums;
}

namespace fs = std::filesystem;

v1::CreateTrainingJobRequest creation_of(const v1::ForkTrainingJobRequest& fork) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = fork.spec();
  request.set_request_id(fork.request_id());
  return request;
}

GroupWeightsState state_of(const v1::WeightState& weights) {
  return {.log_alpha_K = {weights.log_alpha().begin(), weights.log_alpha().end()},
          .group_loss_K = {weights.group_loss().begin(), weights.group_loss().end()},
          .step_size = {.step_size = weights.step_size().step_size(),
                        .best = weights.step_size().best(),
                        .waited = weights.step_size().waited()}};
}

}  // namespace

v1::ResumePoint read_point(const std::string& manifest) {
  std::ifstream file(manifest, std::ios::binary);
  v1::ResumePoint point;
  if (!file || !point.ParseFromIstream(&file)) throw InvariantBroken(manifest + " cannot be read");
  return point;
}

JobPromises::JobPromises(v1::ForkTrainingJobRequest fork, std::uint64_t salt)
    : request_(creation_of(fork)), fork_(std::move(fork)), salt_(salt) {}

void JobPromises::given(const SimulatedWorld& world, std::int64_t generation, int mpirun) {
  const auto [known, is_new] = mpirun_of_.emplace(generation, mpirun);
  world.require(is_new || known->second == mpirun, name() + ": attempt " + std::to_string(generation) +
                                                       " is that of mpirun " + std::to_string(known->second) +
                                                       " of the user's, and given to mpirun " + std::to_string(mpirun));
}

void JobPromises::write_checkpoint(const std::string& output, const v1::ResumePoint& point) {
  output_ = output;
  const fs::path place = fs::path(output) / "checkpoints" / ("step-" + std::to_string(point.weights().steps()));
  fs::remove_all(place);  // its files may have other names too
  fs::create_directories(place);
  std::ofstream file(place / "manifest.json", std::ios::binary);
  point.SerializeToOstream(&file);
}

void JobPromises::remove_checkpoint(std::int64_t step, bool with_links) const {
  const std::string place = "step-" + std::to_string(step);
  fs::remove_all(fs::path(output_) / "checkpoints" / place);
  if (!with_links) return;
  for (const auto& entry : fs::directory_iterator(output_)) {
    if (entry.path().filename().string().starts_with("fork-")) fs::remove_all(entry.path() / place);
  }
}

v1::ReportStepRequest JobPromises::report(const std::string& id, std::int64_t generation, std::int64_t step) const {
  SplitMix64 numbers(
      mixed_bits(mixed_bits(salt_, static_cast<std::uint64_t>(generation)), static_cast<std::uint64_t>(step)));
  const double north = numbers.uniform(), south = 2 * numbers.uniform();
  v1::ReportStepRequest report = step_request(id, generation, step, {north, south});
  if (numbers.below(10) == 0) {  // a batch without the second group
    report.mutable_group()->RemoveLast();
    report.mutable_loss_sum()->RemoveLast();
    report.mutable_pair_count()->RemoveLast();
  } else if (numbers.below(20) == 0) {  // a step that is skipped
    report.set_loss_sum(1, 0);
    report.add_non_finite_group(1);
  }
  return report;
}

void JobPromises::begun(const SimulatedWorld& world, const v1::StartTrainingRequest& asked, const v1::ShardPlan& plan) {
  const std::int64_t first = asked.has_resume() ? asked.resume().weights().steps() : 0;
  world.require(plan.first_step() == first, name() + ": asked to begin at step " + std::to_string(first) +
                                                ", it begins at " + std::to_string(plan.first_step()));
  v1::ShardPlan order = plan;
  order.clear_first_step();
  order.clear_world_size();
  order.clear_end_step();  // that people may move
  if (!plan_) plan_ = order;
  world.require(plan_->SerializeAsString() == order.SerializeAsString(),
                name() + ": two of its attempts have plans with another order of the data");
  const bool is_origin = asked.has_resume() && asked.resume().job_id() != asked.job_id();
  if (is_origin) origin_ = asked.resume().weights();
  if (asked_at_) asked_at_ = std::min(*asked_at_, first + 1);
  writer_ = asked.generation();
  evaluations.resize(asked.has_resume() && !is_origin ? folder.back().evaluations : 0);
}

void JobPromises::asked_for_evaluation(std::int64_t step) {
  evaluations_asked_.push_back(step);
  // That of this very step answers it, and may have been told of already.
  const bool is_there = std::ranges::any_of(evaluations, [&](const EvaluationLine& line) { return line.step >= step; });
  if (!is_there) evaluations_open_.insert(step);
}

void JobPromises::may_be_evaluated(std::int64_t step) {
  evaluations_open_.erase(evaluations_open_.begin(), evaluations_open_.upper_bound(step));
}

void JobPromises::evaluated(const EvaluationLine& line) {
  if (line.was_asked) evaluations_made_.insert(line.step);
}

void JobPromises::check_due(const SimulatedWorld& world, const v1::ShardPlan& plan,
                            const std::set<std::int64_t>& steps) const {
  if (evaluations_open_.empty() || plan.first_step() >= plan.end_step()) return;
  const std::int64_t asked = *evaluations_open_.rbegin();
  world.require(asked > plan.end_step() || steps.lower_bound(asked) != steps.end(),
                name() + ": an evaluation was asked for after step " + std::to_string(asked) +
                    ", and an attempt that begins after step " + std::to_string(plan.first_step()) +
                    " is not told of it");
}

bool JobPromises::write_evaluation(std::int64_t generation, EvaluationLine line) {
  if (generation != writer_) return false;
  evaluations.push_back(line);
  return true;
}

void JobPromises::acknowledged(const SimulatedWorld& world, const v1::ReportStepRequest& report,
                               std::vector<double> weight, std::string settings) {
  const auto known = acknowledged_.find(report.step());
  const bool is_known = known != acknowledged_.end() && known->second.generation == report.generation();
  world.require(!is_known || known->second.weight == weight,
                name() + ": step " + std::to_string(report.step()) + " was answered with other weights before");
  acknowledged_[report.step()] = {
      .generation = report.generation(), .weight = std::move(weight), .settings = std::move(settings)};
}

int JobPromises::changes_in_force() const {
  return static_cast<int>(
      std::ranges::count_if(changes_, [](const auto& entry) { return entry.second.has_effective_step(); }));
}

void JobPromises::check_presence(const SimulatedWorld& world, const JobTable& table) const {
  if (!id_) return;
  world.require(may_be_deleted_ || table.contains(*id_), "job " + *id_ + " was acknowledged, and is not there");
  world.require(!is_deleted_ || !table.contains(*id_), "job " + *id_ + " was deleted, and is there again");
}

void JobPromises::check_shown(const SimulatedWorld& world, const v1::TrainingJob& job) {
  const std::string now = content_of(job), before = std::exchange(shown_.content, now);
  const std::int64_t revision = std::exchange(shown_.revision, job.revision());
  world.require(!id_ || *id_ == job.id(), "jobs " + id_.value_or("") + " and " + job.id() + " are of one request");
  world.require(job.revision() >= revision, "job " + job.id() + ": its revision fell from " + std::to_string(revision) +
                                                " to " + std::to_string(job.revision()));
  world.require(job.revision() > revision || now == before,
                "job " + job.id() + ": it has changed, its revision has not; before: " + before + "; now: " + now);
  if (!shown_.final_content.empty()) {
    world.require(text_of(job) == shown_.final_content,
                  "job " + job.id() + " was final: " + shown_.final_content + "; now it is " + text_of(job));
  }
  if (is_final(job.state())) shown_.final_content = text_of(job);
  check_settings(world, job);
  check_origin(world, job);
  const bool is_or_will_be_cancelled =
      job.state() == v1::JOB_STATE_CANCELLING || job.state() == v1::JOB_STATE_CANCELLED;
  world.require(!is_cancelled_ || is_or_will_be_cancelled,
                "job " + job.id() + ": its cancel was acknowledged, and it is " + text_of(job));
  const bool has_checkpoint = asked_at_ && job.has_checkpoint_step() && job.checkpoint_step() >= *asked_at_;
  world.require(!asked_at_ || has_checkpoint || job.open_requests().has_checkpoint_step() || is_final(job.state()),
                "job " + job.id() + ": a checkpoint after step " + std::to_string(asked_at_.value_or(0)) +
                    " was acknowledged, there is none, and nobody is asked for one");
  if (has_checkpoint) asked_at_.reset();
  world.require(!job.open_requests().has_checkpoint_step() || job.open_requests().checkpoint_step() <= job.step(),
                "job " + job.id() + ": it is at step " + std::to_string(job.step()) +
                    ", and a checkpoint is not wanted before step " +
                    std::to_string(job.open_requests().checkpoint_step()));
  world.require(!paused_at_ || job.generation() <= *paused_at_,
                "job " + job.id() + ": its pause was acknowledged with attempt " +
                    std::to_string(paused_at_.value_or(0)) + ", and it is " + text_of(job));
}

// Whatever has been shown stays: the change, and the step from which it holds.
void JobPromises::check_settings(const SimulatedWorld& world, const v1::TrainingJob& job) {
  std::map<std::int64_t, v1::SettingsChange> shown;
  for (const v1::SettingsChange& change : job.settings_changes()) shown[change.version()] = change;
  for (const auto& [version, change] : changes_) {
    const auto now = shown.find(version);
    const std::string what = "job " + job.id() + ": change " + std::to_string(version) + " of its settings";
    world.require(now != shown.end(), what + " was shown, and is not there");
    world.require(settings_text(now->second.settings()) == settings_text(change.settings()),
                  what + " was another one: " + settings_text(change.settings()));
    world.require(!change.has_effective_step() || now->second.effective_step() == change.effective_step(),
                  what + " held from step " + std::to_string(change.effective_step()) + ", now from " +
                      std::to_string(now->second.effective_step()));
  }
  changes_ = std::move(shown);
}

// A fork has its parent's checkpoint until it has one of its own.
void JobPromises::check_origin(const SimulatedWorld& world, const v1::TrainingJob& job) const {
  if (!fork_ || is_final(job.state()) || job.has_checkpoint_step()) return;
  const fs::path checkpoint = job.spec().training().resume_from_checkpoint();
  world.require(fs::exists(checkpoint / "manifest.json"),
                "job " + job.id() + ": the checkpoint of its parent is gone, and it has none of its own");
}

void JobPromises::check_record(const SimulatedWorld& world, JobController& core, const v1::TrainingJob& job) const {
  check_history(world, core, job);
  const v1::JobState state = job.state();
  const bool has_finished = state == v1::JOB_STATE_SUCCEEDED;
  const PlannedEnd planned =
      planned_end(core.table().find(job.id()).checked_config(), request_.spec().training().max_steps());
  const std::int64_t end = end_with(job.settings_changes(), planned);
  world.require(!has_finished || job.step() == end, "job " + job.id() + " has succeeded after " +
                                                        std::to_string(job.step()) + " of " + std::to_string(end) +
                                                        " steps");
  if (has_finished) check_evaluations(world, job);
}

// Of a job that has succeeded: those that it makes of itself, and those that people have asked for, each once.
void JobPromises::check_evaluations(const SimulatedWorld& world, const v1::TrainingJob& job) const {
  const std::string of = "job " + job.id() + ": the evaluation ";
  const auto is_there = [&](std::int64_t step) {
    return std::ranges::find(evaluations, step, &EvaluationLine::step) != evaluations.end();
  };
  for (std::size_t i = 1; i < evaluations.size(); ++i) {
    world.require(evaluations[i - 1].step < evaluations[i].step, of + "of step " + std::to_string(evaluations[i].step) +
                                                                     " is on record after that of step " +
                                                                     std::to_string(evaluations[i - 1].step));
  }
  const std::int64_t every = request_.spec().evaluation().every_steps(), first = origin_ ? origin_->steps() + 1 : 0;
  for (std::int64_t step = first; step <= job.step(); ++step) {
    const bool is_planned = step % every == 0 || step == job.step();
    world.require(!is_planned || is_there(step), of + "of step " + std::to_string(step) + " was not made");
  }
  for (const std::int64_t step : evaluations_asked_) {
    const bool is_made = std::ranges::any_of(
        evaluations, [&](const EvaluationLine& line) { return line.step >= std::min(step, job.step()); });
    world.require(is_made, of + "that was asked for after step " + std::to_string(step) + " was not made");
  }
  for (const std::int64_t step : evaluations_made_) {
    world.require(step > job.step() || is_there(step),
                  of + "that was made for people after step " + std::to_string(step) + " was not made again");
  }
  std::size_t made = 0, asked = most_evaluations_ - evaluations_asked_.size();
  for (const EvaluationLine& line : evaluations) {
    if (!line.was_asked) continue;
    ++made;
    const auto before = [&](std::int64_t step) { return step <= line.step; };
    const std::size_t wanted = asked + static_cast<std::size_t>(std::ranges::count_if(evaluations_asked_, before));
    world.require(made <= wanted, of + "of step " + std::to_string(line.step) + " is number " + std::to_string(made) +
                                      " of those that were asked for, and people had asked for " +
                                      std::to_string(wanted));
  }
}

void JobPromises::check_history(const SimulatedWorld& world, JobController& core, const v1::TrainingJob& job) const {
  v1::ListGroupWeightsRequest request;
  request.set_id(job.id());
  const v1::ListGroupWeightsResponse history = core.training_jobs().group_weights(request);
  GroupWeights replay(core.table().find(job.id()).checked_config().robust.settings, {4, 2}, 6);
  if (origin_) replay.restore(state_of(*origin_));
  const std::int64_t first = origin_ ? origin_->steps() : 0;
  for (int i = 0; i < history.records_size(); ++i) {
    const v1::GroupWeightRecord& record = history.records(i);
    const std::string where = "job " + job.id() + ", step " + std::to_string(record.step()) + " of attempt " +
                              std::to_string(record.generation()) + ": ";
    world.require(record.step() == first + i,
                  where + "it is on record as the one after " + std::to_string(first + i - 1));
    const v1::TrainingJobSettings settings = settings_from(job.settings_changes(), record.step());
    if (settings.has_trade_off()) replay.set_trade_off(settings.trade_off());
    if (settings.has_step_size()) replay.set_step_size(settings.step_size());
    const v1::ReportStepRequest reported = report(job.id(), record.generation(), record.step());
    world.require(std::ranges::equal(record.group(), reported.group()) &&
                      std::ranges::equal(record.loss_sum(), reported.loss_sum(), same_bits),
                  where + "on record are other losses than its ranks reported");
    std::vector<double> weight(static_cast<std::size_t>(reported.group_size()));
    const std::vector<std::uint32_t> skipped(reported.non_finite_group().begin(), reported.non_finite_group().end());
    replay.step(sums_of(reported), skipped, weight);
    world.require(std::ranges::equal(record.alpha(), replay.alpha_K(), same_bits),
                  where + "alpha on record is not what the steps up to it give");
    const auto promise = acknowledged_.find(record.step());
    if (promise == acknowledged_.end()) continue;
    world.require(promise->second.generation == record.generation(),
                  where + "that of attempt " + std::to_string(promise->second.generation) + " was acknowledged");
    world.require(std::ranges::equal(promise->second.weight, weight, same_bits),
                  where + "it was answered with weights that do not follow from the steps up to it");
    const std::string in_force = settings_text(settings_in_force(job.settings_changes(), record.step()));
    world.require(
        promise->second.settings == in_force,
        where + "its ranks had the settings [" + promise->second.settings + "], on record are [" + in_force + "]");
  }
  const std::int64_t steps = first + history.records_size();
  const std::int64_t promised = acknowledged_.empty() ? 0 : acknowledged_.rbegin()->first + 1;
  world.require(steps >= promised, "job " + job.id() + ": step " + std::to_string(promised - 1) +
                                       " was acknowledged, but on record are " + std::to_string(steps));
  for (const StoredCheckpoint& checkpoint : core.table().store().checkpoints(job.id())) {
    world.require(checkpoint.state != "COMMITTED" || checkpoint.step <= steps,
                  "job " + job.id() + ": a checkpoint of step " + std::to_string(checkpoint.step) +
                      " is on record, but only " + std::to_string(steps) + " steps are");
  }
}

}  // namespace equipoise::coordinator

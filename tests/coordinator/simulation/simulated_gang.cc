#include "tests/coordinator/simulation/simulated_gang.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "coordinator/job/live_settings.h"
#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace {

constexpr int kKilled = 137, kTold = 77, kNoCoordinator = 75;
constexpr std::chrono::seconds kRankWait{30};
constexpr std::size_t kKeptCheckpoints = 2;
constexpr std::int64_t kCheckpointEvery = 3;

// The attempt is over, and its ranks are told so.
bool is_over(ErrorReason reason) {
  return reason == ErrorReason::kStaleGeneration || reason == ErrorReason::kJobEnded ||
         reason == ErrorReason::kJobCancelled || reason == ErrorReason::kWrongToken ||
         reason == ErrorReason::kJobNotFound;
}

}  // namespace

SimulatedGang::SimulatedGang(SimulatedWorld& world, JobPromises& job, LaunchRequest launch)
    : world_(world),
      job_(job),
      launch_(std::move(launch)),
      rank_wait_(kRankWait),
      ranks_(static_cast<std::size_t>(launch_.workers)) {}

SimulatedGang::SimulatedGang(SimulatedWorld& world, JobPromises& job, int workers, int number)
    : world_(world),
      job_(job),
      launch_({.attempt = {.job_id = job.id().value(), .generation = 0}, .workers = workers, .token = ""}),
      number_(number),
      rank_wait_(world.random.below(2) == 0 ? kRankWait : 3 * kRankWait),
      ranks_(static_cast<std::size_t>(workers)) {}

bool SimulatedGang::is_running() const {
  return std::ranges::any_of(ranks_, [this](const Rank& rank) { return is_alive(rank); });
}

bool SimulatedGang::is_whole() const {
  return !ends_at_ && std::ranges::all_of(ranks_, [this](const Rank& rank) {
    return rank.state == State::kReady && !is_stopped(rank);
  });
}

std::string SimulatedGang::text(std::size_t rank, const std::string& what) const {
  return launch_.attempt.job_id + ", attempt " + std::to_string(launch_.attempt.generation) + ", rank " +
         std::to_string(rank) + ": " + what;
}

void SimulatedGang::check_token(JobController& core) const {
  core.worker_calls().check_token(launch_.attempt.job_id, launch_.token);
}

template <typename Call>
auto SimulatedGang::send(JobController& core, std::size_t rank, const std::string& what, const Call& call) {
  const auto signed_call = [call, id = launch_.attempt.job_id, token = launch_.token](JobController& to) {
    to.worker_calls().check_token(id, token);
    return call(to.worker_calls());
  };
  return world_.send(core, text(rank, what), SimulatedWorld::Repeats::kSafe, signed_call);
}

void SimulatedGang::act(JobController& core) {
  if (!is_running()) return;
  // They wait for each other at every step.
  const bool is_blocked =
      std::ranges::any_of(ranks_, [this](const Rank& rank) { return is_stopped(rank) || rank.state == State::kEnded; });
  if (is_blocked) return;
  const bool may_be_early = plan_ && (must_leave_ || step_ == plan_->end_step());
  try {
    go_on(core);
  } catch (const StoreError& error) {
    world_.note(std::string("  not stored: ") + error.what());
  } catch (const Refusal& refusal) {
    handle(refusal, may_be_early);
  } catch (const std::invalid_argument& wrong) {
    world_.require(false, text(0, std::string("keeps to the protocol, and is refused: ") + wrong.what()));
  }
}

void SimulatedGang::handle(const Refusal& refusal, bool may_be_early) {
  world_.note(std::string("  refused: ") + refusal.what());
  if (refusal.code() == Refusal::Code::kUnavailable) return;  // it is called again
  // Another mpirun of the user's has the job, or the coordinator believes so still.
  const bool is_unknown = launch_.attempt.generation == 0 && refusal.reason() == ErrorReason::kWrongState;
  if (is_unknown) return end_within(std::chrono::seconds(1), kTold);
  const bool is_early = may_be_early && refusal.reason() == ErrorReason::kWrongState;
  world_.require(is_over(refusal.reason()) || is_early,
                 text(0, std::string("keeps to the protocol, and is refused: ") + refusal.what()));
  if (is_over(refusal.reason())) end_within(std::chrono::seconds(1), kTold);
}

void SimulatedGang::go_on(JobController& core) {
  if (register_next(core)) return;
  if (!plan_) return start(core);
  if (step_ < reported_until_) return report(core);  // the coordinator may have more steps than this rank knows of
  decide_on_evaluation();
  if (evaluation_) return evaluate(core);
  const bool has_news = settings_version_ > newest_version(changes_) && step_ < plan_->end_step();
  if (has_news) return apply_settings(core);
  const bool has_steps = step_ > plan_->first_step();
  if (step_ == plan_->end_step()) return finish_next(core);
  const bool is_due = wants_checkpoint_ || must_leave_ || step_ % kCheckpointEvery == 0;
  if (is_due && has_steps && committed_ != step_) return make_checkpoint(core);
  const bool has_own_start = step_ > 0 && !job_.folder.empty();  // else it begins with another job's checkpoint
  if (must_leave_ && (has_steps || has_own_start)) return leave_next(core);
  report(core);
}

// Whether there was one to register.
bool SimulatedGang::register_next(JobController& core) {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::kStarting) continue;
    if (is_stopped(ranks_[rank])) return true;
    const v1::RegisterWorkerRequest request = registration(rank);
    const auto answer =
        send(core, rank, "registers", [request](WorkerCalls& calls) { return calls.register_worker(request); });
    if (!answer) return true;
    if (is_of_user() && rank == 0) be_given(answer->generation());
    world_.require(answer->generation() == launch_.attempt.generation,
                   text(rank, "was given attempt " + std::to_string(answer->generation())));
    ranks_[rank].state = State::kReady;
    if (rank == 0) spec_ = answer->spec();
    return true;
  }
  return false;
}

v1::RegisterWorkerRequest SimulatedGang::registration(std::size_t rank) const {
  constexpr std::int64_t kFirstOfUser = 100'000, kMostRanks = 10;
  v1::RegisterWorkerRequest request = register_request(
      launch_.attempt.job_id, rank == 0 ? 0 : launch_.attempt.generation, static_cast<int>(rank), launch_.workers);
  request.set_attempt_token(launch_.token);
  if (number_) request.set_pid(kFirstOfUser + kMostRanks * *number_ + static_cast<std::int64_t>(rank));
  return request;
}

// No two gangs are ever one attempt.
void SimulatedGang::be_given(std::int64_t generation) {
  launch_.attempt.generation = generation;
  world_.note(text(0, "is of mpirun " + std::to_string(*number_) + " of a user"));
  job_.given(world_, generation, *number_);
}

void SimulatedGang::start(JobController& core) {
  if (is_stopped(ranks_.front()) || ranks_.front().state != State::kReady) return;
  if (!start_) {
    // The newest checkpoint may be damaged, where there is one before it.
    if (job_.folder.size() > 1 && world_.chance(10)) {
      world_.note(text(0, "cannot read its newest checkpoint"));
      job_.remove_checkpoint(job_.folder.back().weights.steps(), false);
      job_.folder.pop_back();
    }
    start_ = start_request(launch_.attempt.job_id, launch_.attempt.generation);
    if (!job_.folder.empty()) {
      const SimulatedCheckpoint& newest = job_.folder.back();
      *start_->mutable_resume() = resume_point(launch_.attempt.job_id, newest.generation, newest.weights);
    } else if (!spec_.training().resume_from_checkpoint().empty()) {
      *start_->mutable_resume() = start_of_fork();
    }
  }
  const std::int64_t first = start_->has_resume() ? start_->resume().weights().steps() : 0;
  job_.may_begin_at(first);
  const auto answer = send(core, 0, "starts training at step " + std::to_string(first),
                           [request = *start_](WorkerCalls& calls) { return calls.start_training(request); });
  if (!answer) return;
  job_.begun(world_, *start_, answer->plan());
  plan_ = answer->plan();
  changes_ = answer->settings_changes();
  asked_evaluations_ = {answer->evaluation_steps().begin(), answer->evaluation_steps().end()};
  // The answer to a repeat is the first one: of what was asked for between them, heartbeats tell.
  const bool is_told_later = core.table().find(launch_.attempt.job_id).job.open_requests().evaluations() > 0;
  if (!is_told_later) job_.check_due(world_, *plan_, asked_evaluations_);
  if (world_.planted.ranks_forget_evaluations) asked_evaluations_.clear();
  step_ = first;
}

bool SimulatedGang::is_planned_evaluation(std::int64_t step) const {
  return step == plan_->end_step() || step % spec_.evaluation().every_steps() == 0;
}

// Once after each step, before anything else.
void SimulatedGang::decide_on_evaluation() {
  if (decided_at_ == step_) return;
  decided_at_ = step_;
  const bool is_first = step_ == plan_->first_step();
  if (is_planned_evaluation(step_) && !(is_first && start_->has_resume())) {
    evaluation_ = EvaluationLine{.step = step_};
  } else if (!is_first && (wants_evaluation_ || asked_evaluations_.contains(step_))) {
    evaluation_ = EvaluationLine{.step = step_, .was_asked = true};
  }
  if (evaluation_) wants_evaluation_ = false;
}

void SimulatedGang::evaluate(JobController& core) {
  if (!is_written_ && !job_.write_evaluation(launch_.attempt.generation, *evaluation_)) {
    return end_within(std::chrono::seconds(1), kTold);  // the output is another attempt's
  }
  is_written_ = true;
  job_.may_be_evaluated(evaluation_->step);
  v1::ReportMetricsRequest request;
  request.set_job_id(launch_.attempt.job_id);
  request.set_generation(launch_.attempt.generation);
  request.set_step(evaluation_->step);
  request.set_split(v1::SPLIT_VALIDATION);
  request.set_loss(0.5);
  const auto answer =
      send(core, 0, "has evaluated after step " + std::to_string(evaluation_->step), [request](WorkerCalls& calls) {
        calls.report_metrics(request);
        return v1::ReportMetricsResponse();
      });
  if (!answer) return;
  job_.evaluated(*evaluation_);
  evaluation_.reset();
  is_written_ = false;
}

std::int64_t SimulatedGang::steps_before_evaluation() const {
  std::int64_t steps = 1;
  while (!is_planned_evaluation(step_ + steps) && !asked_evaluations_.contains(step_ + steps)) ++steps;
  return steps;
}

v1::ResumePoint SimulatedGang::start_of_fork() const {
  const std::string manifest = spec_.training().resume_from_checkpoint() + "/manifest.json";
  world_.require(std::filesystem::exists(manifest),
                 text(0, "the checkpoint that its job begins with is gone, and it has none of its own"));
  return read_point(manifest);
}

void SimulatedGang::apply_settings(JobController& core) {
  v1::ApplySettingsRequest request;
  request.set_job_id(launch_.attempt.job_id);
  request.set_generation(launch_.attempt.generation);
  request.set_step(step_);
  request.set_version(settings_version_);
  const std::string what =
      "takes settings up to version " + std::to_string(settings_version_) + " from step " + std::to_string(step_);
  const auto answer = send(core, 0, what, [request](WorkerCalls& calls) { return calls.apply_settings(request); });
  if (!answer) return;
  plan_->set_end_step(answer->end_step());
  const std::int64_t known = newest_version(changes_);
  changes_.MergeFrom(answer->settings_changes());
  world_.require(newest_version(changes_) >= settings_version_,
                 text(0, what + ", and is answered with those up to " + std::to_string(newest_version(changes_)) +
                             " after " + std::to_string(known)));
}

std::string SimulatedGang::settings_of(std::int64_t step) const {
  return world_.planted.ranks_ignore_settings ? "" : settings_text(settings_in_force(changes_, step));
}

void SimulatedGang::report(JobController& core) {
  const std::int64_t count = world_.chance(20) ? std::min<std::int64_t>(3, steps_before_evaluation()) : 1;
  v1::ReportStepsRequest request;
  request.set_job_id(launch_.attempt.job_id);
  request.set_generation(launch_.attempt.generation);
  for (std::int64_t i = 0; i < count; ++i) {
    *request.add_steps() = job_.report(launch_.attempt.job_id, launch_.attempt.generation, step_ + i);
  }
  if (world_.planted.ranks_change_reports) {
    v1::ReportStepRequest& first = *request.mutable_steps(0);
    first.set_loss_sum(0, first.loss_sum(0) + static_cast<double>(report_salt_++));
  }
  reported_until_ = std::max(reported_until_, step_ + count);
  const std::string what = "reports " + std::to_string(count) + " from step " + std::to_string(step_);
  std::vector<double> weight;
  if (count == 1) {
    const auto answer =
        send(core, 0, what, [step = request.steps(0)](WorkerCalls& calls) { return calls.report_step(step); });
    if (!answer) return;
    weight.assign(answer->weight().begin(), answer->weight().end());
  } else {
    const auto answer = send(core, 0, what, [request](WorkerCalls& calls) { return calls.report_steps(request); });
    if (!answer) return;
    weight.assign(answer->weight().begin(), answer->weight().end());
  }
  auto next = weight.begin();
  for (const v1::ReportStepRequest& step : request.steps()) {
    const auto end = next + step.group_size();
    job_.acknowledged(world_, step, {next, end}, settings_of(step.step()));
    next = end;
  }
  step_ += count;
}

bool SimulatedGang::has_checkpoint_here() const {
  return !job_.folder.empty() && job_.folder.back().generation == launch_.attempt.generation &&
         job_.folder.back().weights.steps() == step_;
}

void SimulatedGang::write_checkpoint(v1::WeightState weights) {
  job_.write_checkpoint(spec_.output(), resume_point(launch_.attempt.job_id, launch_.attempt.generation, weights));
  job_.folder.push_back({.generation = launch_.attempt.generation,
                         .weights = std::move(weights),
                         .evaluations = job_.evaluations.size()});
  while (job_.folder.size() > kKeptCheckpoints) {
    removed_.push_back(job_.folder.front().weights.steps());
    job_.remove_checkpoint(removed_.back(), world_.planted.parents_remove_links);
    job_.folder.erase(job_.folder.begin());
  }
}

void SimulatedGang::make_checkpoint(JobController& core) {
  if (!has_checkpoint_here()) {
    v1::GetGroupWeightsRequest request;
    request.set_job_id(launch_.attempt.job_id);
    request.set_generation(launch_.attempt.generation);
    const auto weights =
        send(core, 0, "asks for the weights", [request](WorkerCalls& calls) { return calls.group_weights(request); });
    if (!weights) return;
    world_.require(weights->steps() == step_,
                   text(0, "has done " + std::to_string(step_) + " steps, the weights are of " +
                               std::to_string(weights->steps())));
    write_checkpoint(weights->state());
  }
  v1::CommitCheckpointRequest request = commit_request(launch_.attempt.job_id, launch_.attempt.generation, step_);
  request.mutable_removed_steps()->Add(removed_.begin(), removed_.end());
  const auto answer =
      send(core, 0, "commits the checkpoint of step " + std::to_string(step_), [request](WorkerCalls& calls) {
        calls.commit_checkpoint(request);
        return v1::CommitCheckpointResponse();
      });
  if (!answer) return;
  removed_.clear();
  committed_ = step_;
  wants_checkpoint_ = false;
}

void SimulatedGang::finish_next(JobController& core) {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::kReady) continue;
    v1::FinishWorkerRequest request =
        finish_request(launch_.attempt.job_id, launch_.attempt.generation, static_cast<int>(rank), 'x');
    request.set_final_step(step_);
    const auto answer = send(core, rank, "finishes", [request](WorkerCalls& calls) {
      calls.finish_worker(request);
      return v1::FinishWorkerResponse();
    });
    if (answer) ranks_[rank].state = State::kFinished;
    return;
  }
}

void SimulatedGang::leave_next(JobController& core) {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::kReady) continue;
    v1::LeaveWorkerRequest request;
    request.set_job_id(launch_.attempt.job_id);
    request.set_generation(launch_.attempt.generation);
    request.set_rank(static_cast<int>(rank));
    request.set_step(step_);
    const auto answer = send(core, rank, "leaves at step " + std::to_string(step_), [request](WorkerCalls& calls) {
      calls.leave_worker(request);
      return v1::LeaveWorkerResponse();
    });
    if (answer) ranks_[rank].state = State::kLeft;
    return;
  }
}

void SimulatedGang::heartbeat(JobController& core) {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    const bool beats = ranks_[rank].state == State::kReady && !is_stopped(ranks_[rank]);
    if (beats && !world_.chance(5)) heartbeat(core, rank);
  }
}

void SimulatedGang::heartbeat(JobController& core, std::size_t rank) {
  v1::HeartbeatRequest request =
      heartbeat_request(launch_.attempt.job_id, launch_.attempt.generation, static_cast<int>(rank));
  request.set_step(step_);
  if (rank == 0) request.set_pause_failure(std::exchange(pause_failure_, ""));
  if (!request.pause_failure().empty()) job_.may_go_on();
  try {
    check_token(core);
    const v1::HeartbeatResponse answer = core.worker_calls().heartbeat(request);
    if (answer.command() == v1::HeartbeatResponse::COMMAND_EXIT) {
      world_.note(text(rank, "is told to exit"));
      return end_within(std::chrono::seconds(1), kTold);
    }
    if (rank != 0) return;
    wants_checkpoint_ = wants_checkpoint_ || answer.checkpoint_requests() > checkpoint_requests_;
    checkpoint_requests_ = answer.checkpoint_requests();
    wants_evaluation_ = wants_evaluation_ || answer.evaluation_requests() > evaluation_requests_;
    evaluation_requests_ = answer.evaluation_requests();
    settings_version_ = std::max(settings_version_, answer.settings_version());
    if (answer.command() != v1::HeartbeatResponse::COMMAND_PAUSE) return;
    if (!must_leave_) world_.note(text(rank, "is told to leave with a checkpoint"));
    must_leave_ = true;
    const bool is_at_work = std::ranges::all_of(ranks_, [](const Rank& each) { return each.state == State::kReady; });
    if (!is_at_work || !world_.chance(3)) return;
    world_.note(text(rank, "cannot write the checkpoint, and the ranks go on"));
    pause_failure_ = "No space left on device";
    must_leave_ = false;
  } catch (const Refusal& refusal) {
    handle(refusal, true);
  }
}

void SimulatedGang::pass() {
  if (ends_at_ && world_.clock.now() >= *ends_at_) end_now(exit_code_);
  if (alone_since_ && world_.clock.now() >= *alone_since_ + rank_wait_) end_now(kNoCoordinator);
}

void SimulatedGang::lose_rank() {
  std::vector<std::size_t> alive;
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (is_alive(ranks_[rank])) alive.push_back(rank);
  }
  if (alive.empty()) return;
  const std::size_t lost = alive[world_.random.below(alive.size())];
  world_.note(text(lost, "is killed"));
  ranks_[lost].state = State::kEnded;
  end_within(std::chrono::seconds(world_.between(0, 2)), kKilled);
}

void SimulatedGang::fail_rank(JobController& core) {
  if (ranks_.front().state != State::kReady) return;
  v1::FailWorkerRequest request;
  request.set_job_id(launch_.attempt.job_id);
  request.set_generation(launch_.attempt.generation);
  request.set_reason("its device is gone");
  request.set_kind(world_.chance(80) ? v1::FAILURE_KIND_INFRASTRUCTURE : v1::FAILURE_KIND_PROGRAM);
  try {
    send(core, 0, "fails", [request](WorkerCalls& calls) {
      calls.fail_worker(request);
      return v1::FailWorkerResponse();
    });
  } catch (const Refusal& refusal) {
    handle(refusal, true);
  }
  ranks_.front().state = State::kEnded;
  end_within(std::chrono::seconds(1), 1);
}

void SimulatedGang::stop_rank(std::chrono::seconds duration) {
  const std::size_t rank = world_.random.below(ranks_.size());
  if (!is_alive(ranks_[rank])) return;
  world_.note(text(rank, "is stopped for " + std::to_string(duration.count()) + " s"));
  ranks_[rank].stopped_until = world_.clock.now() + duration;
}

void SimulatedGang::end_within(std::chrono::seconds grace, int exit_code) {
  const bool has_lost_rank = std::ranges::any_of(ranks_, [](const Rank& rank) { return rank.state == State::kEnded; });
  if (exit_code_ == 0 && (is_running() || has_lost_rank)) exit_code_ = exit_code;
  if (!is_running()) return;
  const SteadyTime at = world_.clock.now() + grace;
  if (!ends_at_ || at < *ends_at_) ends_at_ = at;
}

void SimulatedGang::end_now(int exit_code) {
  if (!is_running()) return;
  for (Rank& rank : ranks_) {
    if (is_alive(rank)) rank.state = State::kEnded;
  }
  exit_code_ = exit_code;
}

}  // namespace equipoise::coordinator

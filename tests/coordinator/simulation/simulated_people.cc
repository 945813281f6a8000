// What people ask of the simulated coordinator, and what it is once nothing fails any more.
#include <algorithm>
#include <utility>

#include "common/protocol/job_state.h"
#include "common/protocol/live_settings.h"
#include "coordinator/job/refusal.h"
#include "tests/coordinator/simulation/simulation.h"
#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace {

using std::chrono::seconds;
using Repeats = SimulatedWorld::Repeats;

constexpr std::size_t kMostJobs = 5;
constexpr int kLongestRest = 1200;        // seconds in which all jobs end once faults have stopped
constexpr int kLargestJob = 3;            // ranks; the hosts have four slots
constexpr std::int64_t kLongestJob = 18;  // steps
constexpr std::int64_t kNever = 1000;     // steps between evaluations
// Numbers that stand for wishes: Simulation::wish().
constexpr std::uint64_t kCancels = 0, kPauses = 20, kResumes = 50, kCheckpoints = 70, kEvaluates = 77, kDeletes = 85,
                        kLists = 90, kChanges = 92;

void name_spec(v1::JobSpec& spec, std::size_t number, const std::filesystem::path& outputs) {
  spec.set_name("job" + std::to_string(number));
  spec.set_output((outputs / spec.name()).string());
}

std::string request_id_of(std::size_t number) { return "request-" + std::to_string(number); }

// Some that the job cannot have.
v1::TrainingJobSettings drawn_settings(SimulatedWorld& world) {
  v1::TrainingJobSettings settings;
  const std::uint64_t kinds = 1 + world.random.below(31);
  if ((kinds & 1) != 0) settings.set_trade_off(0.125 * static_cast<double>(world.between(0, 8)));
  if ((kinds & 2) != 0) settings.set_step_size(0.125 * static_cast<double>(world.between(1, 8)));
  if ((kinds & 4) != 0) settings.set_learning_rate(1e-6 * static_cast<double>(world.between(1, 9)));
  if ((kinds & 8) != 0) settings.set_max_steps(world.between(2, kLongestJob));
  if ((kinds & 16) != 0) settings.set_priority(static_cast<int>(world.between(-1, 1)));
  return settings;
}

}  // namespace

v1::CreateTrainingJobRequest Simulation::drawn_request(v1::LaunchMode mode) {
  const int workers = static_cast<int>(world_.between(1, kLargestJob));
  v1::JobSpec spec =
      world_.random.below(4) == 0 ? two_group_cvar_spec(mode, workers, 0.6) : two_group_spec(mode, workers);
  name_spec(spec, jobs_.size(), folder_);
  spec.mutable_training()->set_max_steps(world_.between(4, 14));
  spec.mutable_data()->set_validation("/data/validation.jsonl");
  spec.mutable_evaluation()->set_every_steps(world_.random.below(2) == 0 ? 4 : kNever);
  spec.mutable_launch()->set_max_restarts(world_.random.below(5) == 0 ? 0 : 3);
  if (world_.random.below(3) == 0) spec.mutable_launch()->set_priority(1);
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id_of(jobs_.size()));
  return request;
}

void Simulation::person() {
  const std::uint64_t wish = world_.random.below(100);
  if (jobs_.size() < kMostJobs && wish < 22) return create();
  if (jobs_.empty()) return;
  if (jobs_.size() < kMostJobs && wish < 35) return fork();
  ask(*jobs_[world_.random.below(jobs_.size())], wish);
}

template <typename Request>
JobPromises& Simulation::add_job(Request request) {
  jobs_.push_back(std::make_unique<JobPromises>(std::move(request), mixed_bits(seed_, jobs_.size())));
  return *jobs_.back();
}

void Simulation::create() {
  const bool is_external = world_.random.below(4) == 0;
  ask(add_job(drawn_request(is_external ? v1::LAUNCH_MODE_EXTERNAL : v1::LAUNCH_MODE_COORDINATOR)), 0);
}

// As run-ranks does: where the job waits for them. Now and then somebody starts a second mpirun.
void Simulation::users_start_ranks() {
  for (const auto& job : jobs_) {
    const v1::LaunchSpec& launch = job->request().spec().launch();
    if (launch.mode() != v1::LAUNCH_MODE_EXTERNAL || !job->id() || !core_->table().contains(*job->id())) continue;
    const bool is_awaited =
        core_->table().find(*job->id()).job.state() == v1::JOB_STATE_QUEUED && !launcher_.has_ranks_of_user(*job->id());
    const bool is_started = is_awaited ? world_.random.below(2) == 0 : world_.chance(1);
    if (is_started) launcher_.start_for_user(*job, launch.workers());
  }
}

void Simulation::fork() {
  const JobPromises& parent = *jobs_[world_.random.below(jobs_.size())];
  if (parent.id()) ask(add_job(drawn_fork(parent)), 0);
}

v1::ForkTrainingJobRequest Simulation::drawn_fork(const JobPromises& parent) {
  v1::ForkTrainingJobRequest request;
  request.set_id(*parent.id());
  v1::JobSpec& spec = *request.mutable_spec();
  spec = parent.request().spec();
  name_spec(spec, jobs_.size(), folder_);
  const std::int64_t longest = std::max(kLongestJob, spec.training().max_steps());  // wherever its parent is
  spec.mutable_training()->set_max_steps(world_.between(longest, longest + 4));
  if (world_.random.below(2) == 0) spec.mutable_robust()->set_trade_off(0.25);
  if (spec.robust().has_step_size() && world_.random.below(2) == 0) spec.mutable_robust()->set_step_size(0.75);
  if (world_.random.below(2) == 0) spec.mutable_optimizer()->set_learning_rate(2e-6);
  request.set_request_id(request_id_of(jobs_.size()));
  return request;
}

// A job that people have not been told of they ask for again, with the same request.
void Simulation::ask(JobPromises& job, std::uint64_t wish_kind) {
  try {
    if (job.id()) return wish(job, *job.id(), wish_kind);
    const std::string of = job.fork() ? ", a fork of " + job.fork()->id() : "";
    const auto made =
        world_.send(*core_, "somebody asks for " + job.name() + of, Repeats::kSafe,
                    [create = job.request(), fork = job.fork()](JobController& core) {
                      return fork ? core.training_jobs().fork(*fork) : core.training_jobs().create(create);
                    });
    if (made) job.created(made->id());
  } catch (const StoreError& error) {
    world_.note(std::string("  not stored: ") + error.what());
  } catch (const Refusal& refusal) {
    world_.note(std::string("  refused: ") + refusal.what());
    const bool is_of_people = refusal.code() == Refusal::Code::kFailedPrecondition ||
                              refusal.code() == Refusal::Code::kNotFound ||
                              refusal.code() == Refusal::Code::kUnavailable;
    world_.require(is_of_people, std::string("a wish is refused so: ") + refusal.what());
  }
}

void Simulation::wish(JobPromises& job, const std::string& id, std::uint64_t kind) {
  const auto send = [&](const std::string& what, auto call) {
    return world_.send(*core_, "somebody asks to " + what + " " + id, Repeats::kNever, call);
  };
  if (kind < 8) {
    const auto answer = send("cancel", [id](JobController& core) { return core.training_jobs().cancel(id); });
    if (answer) job.cancelled();
  } else if (kind < 34) {
    const auto answer = send("pause", [id](JobController& core) { return core.training_jobs().pause(id); });
    const bool is_paused =
        answer && (answer->state() == v1::JOB_STATE_PAUSING || answer->state() == v1::JOB_STATE_PAUSED);
    if (is_paused) job.paused(answer->generation());
  } else if (kind < 68) {
    job.may_go_on();
    send("resume", [id](JobController& core) { return core.training_jobs().resume(id); });
  } else if (kind < 75) {
    const auto answer = send("checkpoint", [id](JobController& core) { return core.training_jobs().checkpoint(id); });
    if (answer) job.asked_for_checkpoint(answer->step());
  } else if (kind < 82) {
    job.may_be_asked_for_evaluation();
    const auto answer = send("evaluate", [id](JobController& core) { return core.training_jobs().evaluate(id); });
    if (answer) job.asked_for_evaluation(answer->step());
  } else if (kind < 88) {
    remove(job, id);
  } else if (kind >= kChanges) {
    change_settings(job, id);
  } else {
    send("list", [](JobController& core) { return core.training_jobs().list({}); });
  }
}

void Simulation::change_settings(JobPromises& job, const std::string& id) {
  v1::UpdateTrainingJobRequest request;
  request.set_id(id);
  *request.mutable_settings() = drawn_settings(world_);
  request.set_request_id("change-" + std::to_string(++asked_));
  const std::string what = "somebody sets " + settings_text(request.settings()) + " of " + id;
  try {
    const auto answer = world_.send(*core_, what, Repeats::kSafe,
                                    [request](JobController& core) { return core.training_jobs().update(request); });
    if (answer) job.check_settings(world_, *answer);
  } catch (const std::invalid_argument& wrong) {
    world_.note(std::string("  refused: ") + wrong.what());
  }
}

void Simulation::remove(JobPromises& job, const std::string& id) {
  const bool is_there = core_->table().contains(id);
  if (!is_there || is_final(core_->table().find(id).job.state())) job.may_be_deleted();
  const auto answer = world_.send(*core_, "somebody asks to delete " + id, Repeats::kNever, [id](JobController& core) {
    core.training_jobs().remove(id);
    return v1::TrainingJob();
  });
  if (answer) job.deleted();
}

// Once more, where the coordinator was lost with the first call. A job that is not there yet is made by any wish.
void Simulation::insist(JobPromises& job, std::uint64_t wish_kind) {
  const int crashes = crashes_;
  ask(job, wish_kind);
  settle();
  if (crashes_ != crashes) ask(job, wish_kind);
  settle();
  check();
}

void Simulation::run_script(std::int64_t writes, Loss loss) {
  world_.is_calm = true;
  loss_ = loss;
  settings_.supervisor.max_running_jobs = 2;
  settings_.supervisor.hosts = {{.name = "node1", .slots = 2}, {.name = "node2", .slots = 2}};
  disk_.stop_after(writes);
  start();
  v1::CreateTrainingJobRequest request = drawn_request(v1::LAUNCH_MODE_COORDINATOR);
  request.mutable_spec()->mutable_launch()->set_max_restarts(3);
  request.mutable_spec()->mutable_training()->set_max_steps(14);
  JobPromises& trained = add_job(std::move(request));
  insist(trained, kLists);
  v1::CreateTrainingJobRequest of_user = drawn_request(v1::LAUNCH_MODE_EXTERNAL);
  of_user.mutable_spec()->mutable_launch()->set_max_restarts(3);
  JobPromises& external = add_job(std::move(of_user));
  insist(external, kLists);
  advance(seconds(6));
  insist(trained, kCheckpoints);
  insist(trained, kEvaluates);
  advance(seconds(4));
  insist(trained, kPauses);
  await_rest();
  insist(trained, kChanges);
  insist(trained, kResumes);
  advance(seconds(3));
  insist(trained, kChanges);
  JobPromises& forked = add_job(drawn_fork(trained));
  insist(forked, kLists);
  JobPromises& cancelled = add_job(drawn_request(v1::LAUNCH_MODE_COORDINATOR));
  insist(cancelled, kLists);
  advance(seconds(4));
  insist(cancelled, kCancels);
  await_rest();
  if (!forked.id()) insist(forked, kLists);  // the job had no checkpoint yet, as the coordinator was lost before
  await_rest();
  check_records();
  const v1::JobState state = core_->table().find(*trained.id()).job.state();
  world_.require(state == v1::JOB_STATE_SUCCEEDED, "the job that is trained is " + state_name(state));
  if (forked.id()) {  // the job may have ended, where the coordinator was lost early, before its first checkpoint
    const v1::JobState state_of_fork = core_->table().find(*forked.id()).job.state();
    world_.require(state_of_fork == v1::JOB_STATE_SUCCEEDED, "the fork is " + state_name(state_of_fork));
  }
  const v1::JobState state_of_external = core_->table().find(external.id().value()).job.state();
  world_.require(state_of_external == v1::JOB_STATE_SUCCEEDED,
                 "the job whose ranks a user has started is " + state_name(state_of_external));
  check_links();
  insist(cancelled, kDeletes);
  insist(trained, kDeletes);
  advance(seconds(20));
  use_all_slots();
  check_records();
}

// Nothing fails any more: what is promised comes to be.
void Simulation::calm_down() {
  world_.note("faults stop");
  world_.is_calm = true;
  world_.late_calls.clear();
  disk_.set_full(false);
  disk_.stop_after(-1);
  settle();
  for (const auto& job : jobs_) {
    if (!job->id()) ask(*job, kLists);  // who does not know whether there is one asks again
  }
  await_rest();
  for (const auto& job : jobs_) {
    if (job->id() && !job->is_deleted()) ask(*job, kResumes);
  }
  await_rest();
  use_all_slots();
  check_records();
  delete_all();
}

// Then nobody needs anything any more.
void Simulation::delete_all() {
  for (const auto& job : jobs_) {
    const bool is_over =
        job->id() && core_->table().contains(*job->id()) && is_final(core_->table().find(*job->id()).job.state());
    if (is_over) insist(*job, kDeletes);
  }
  check_links();
}

bool Simulation::is_at_rest() {
  return std::ranges::all_of(core_->table().jobs(), [](const auto& entry) {
    const v1::JobState state = entry.second.job.state();
    return is_final(state) || state == v1::JOB_STATE_PAUSED;
  });
}

void Simulation::await_rest() {
  constexpr int kActsASecond = 8;
  for (int second = 0; !is_at_rest(); ++second) {
    if (second == kLongestRest) {
      for (const auto& [sequence, record] : core_->table().jobs()) {
        world_.note(record.job.id() + " is " + state_name(record.job.state()) + ", " + record.job.state_reason());
      }
      throw InvariantBroken("nothing fails any more, and after " + std::to_string(kLongestRest) +
                            " s a job neither ends nor rests");
    }
    for (int act = 0; act < kActsASecond; ++act) launcher_.act_all(*core_);
    advance(seconds(1));
  }
}

// None was lost on the way.
void Simulation::use_all_slots() {
  v1::CreateTrainingJobRequest request = drawn_request(v1::LAUNCH_MODE_COORDINATOR);
  if (!settings_.supervisor.hosts.empty()) request.mutable_spec()->mutable_launch()->set_workers(kLargestJob + 1);
  request.mutable_spec()->mutable_launch()->set_max_restarts(3);
  JobPromises& job = add_job(std::move(request));
  insist(job, kLists);
  world_.require(job.id().has_value(), "nothing fails any more, and a job is not taken");
  await_rest();
  const v1::JobState state = core_->table().find(*job.id()).job.state();
  world_.require(state == v1::JOB_STATE_SUCCEEDED,
                 "nothing fails any more, and a job on all slots is " + state_name(state));
}

}  // namespace equipoise::coordinator

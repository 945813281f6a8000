// What people ask of the simulated coordinator, and what it is once nothing fails any more.
#include <algorithm>
#include <utility>

#include "common/protocol/job_state.h"
#include "coordinator/job/refusal.h"
#include "tests/coordinator/simulation/simulation.h"
#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace {

using std::chrono::seconds;
using Repeats = SimulatedWorld::Repeats;

constexpr std::size_t kMostJobs = 4;
constexpr int kLongestRest = 1200;  // seconds in which all jobs end once faults have stopped
constexpr int kLargestJob = 3;      // ranks; the hosts have four slots
// Numbers that stand for wishes: Simulation::wish().
constexpr std::uint64_t kCancels = 0, kPauses = 20, kResumes = 50, kCheckpoints = 80, kDeletes = 90, kLists = 95;

v1::CreateTrainingJobRequest drawn_request(SimulatedWorld& world, std::size_t number) {
  const int workers = static_cast<int>(world.between(1, kLargestJob));
  v1::JobSpec spec = world.random.below(4) == 0 ? two_group_cvar_spec(v1::LAUNCH_MODE_COORDINATOR, workers, 0.6)
                                                : two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers);
  spec.set_name("job" + std::to_string(number));
  spec.mutable_training()->set_max_steps(world.between(4, 14));
  spec.mutable_launch()->set_max_restarts(world.random.below(5) == 0 ? 0 : 3);
  spec.set_output("/simulated/" + spec.name());
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id("request-" + std::to_string(number));
  return request;
}

}  // namespace

void Simulation::person() {
  const std::uint64_t wish = world_.random.below(100);
  if (jobs_.size() < kMostJobs && wish < 25) return create();
  if (jobs_.empty()) return;
  ask(*jobs_[world_.random.below(jobs_.size())], wish);
}

JobPromises& Simulation::add_job(v1::CreateTrainingJobRequest request) {
  jobs_.push_back(std::make_unique<JobPromises>(std::move(request), mixed_bits(seed_, jobs_.size())));
  return *jobs_.back();
}

void Simulation::create() { ask(add_job(drawn_request(world_, jobs_.size())), 0); }

// A job that people have not been told of they ask for again, with the same request.
void Simulation::ask(JobPromises& job, std::uint64_t wish_kind) {
  try {
    if (job.id()) return wish(job, *job.id(), wish_kind);
    const auto made =
        world_.send(*core_, "somebody asks for " + job.name(), Repeats::kSafe,
                    [request = job.request()](JobController& core) { return core.training_jobs().create(request); });
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
  if (kind < 10) {
    const auto answer = send("cancel", [id](JobController& core) { return core.training_jobs().cancel(id); });
    if (answer) job.cancelled();
  } else if (kind < 40) {
    const auto answer = send("pause", [id](JobController& core) { return core.training_jobs().pause(id); });
    const bool is_paused =
        answer && (answer->state() == v1::JOB_STATE_PAUSING || answer->state() == v1::JOB_STATE_PAUSED);
    if (is_paused) job.paused(answer->generation());
  } else if (kind < 75) {
    job.may_go_on();
    send("resume", [id](JobController& core) { return core.training_jobs().resume(id); });
  } else if (kind < 85) {
    send("checkpoint", [id](JobController& core) { return core.training_jobs().checkpoint(id); });
  } else if (kind < 92) {
    remove(job, id);
  } else {
    send("list", [](JobController& core) { return core.training_jobs().list({}); });
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
  v1::CreateTrainingJobRequest request = drawn_request(world_, jobs_.size());
  request.mutable_spec()->mutable_launch()->set_max_restarts(3);
  request.mutable_spec()->mutable_training()->set_max_steps(14);
  JobPromises& trained = add_job(std::move(request));
  insist(trained, kLists);
  advance(seconds(6));
  insist(trained, kCheckpoints);
  advance(seconds(4));
  insist(trained, kPauses);
  await_rest();
  insist(trained, kResumes);
  advance(seconds(3));
  JobPromises& cancelled = add_job(drawn_request(world_, jobs_.size()));
  insist(cancelled, kLists);
  advance(seconds(4));
  insist(cancelled, kCancels);
  await_rest();
  check_records();
  const v1::JobState state = core_->table().find(*trained.id()).job.state();
  world_.require(state == v1::JOB_STATE_SUCCEEDED, "the job that is trained is " + state_name(state));
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
  await_rest();
  for (const auto& job : jobs_) {
    if (job->id() && !job->is_deleted()) ask(*job, kResumes);
  }
  await_rest();
  use_all_slots();
  check_records();
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
  v1::CreateTrainingJobRequest request = drawn_request(world_, jobs_.size());
  if (!settings_.supervisor.hosts.empty()) request.mutable_spec()->mutable_launch()->set_workers(kLargestJob + 1);
  JobPromises& job = add_job(std::move(request));
  insist(job, kLists);
  world_.require(job.id().has_value(), "nothing fails any more, and a job is not taken");
  await_rest();
  const v1::JobState state = core_->table().find(*job.id()).job.state();
  world_.require(state == v1::JOB_STATE_SUCCEEDED,
                 "nothing fails any more, and a job on all slots is " + state_name(state));
}

}  // namespace equipoise::coordinator

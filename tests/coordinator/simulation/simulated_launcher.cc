#include "tests/coordinator/simulation/simulated_launcher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/error.h"

namespace equipoise::coordinator {
namespace {

constexpr const char* kRefusal = "fork: Resource temporarily unavailable";
constexpr int kExitKilled = 137, kExitTerminated = 143;
constexpr std::chrono::seconds kRemoteLease{25};  // less than the coordinator waits for ranks that it cannot reach

std::string text_of(const AttemptKey& attempt) {
  return attempt.job_id + ", attempt " + std::to_string(attempt.generation);
}

}  // namespace

// Each of them is a promise of the supervisor's.
void SimulatedLauncher::check_start(const LaunchRequest& request) const {
  std::map<std::string, int> taken;
  for (const HostSlots& host : request.hosts) taken[host.name] += host.slots;
  for (const Process& process : processes_) {
    if (is_of_user(process)) continue;
    const AttemptKey& key = process.gang->key();
    const bool is_same_job = key.job_id == request.attempt.job_id;
    world_.require(!is_same_job || !process.gang->is_running(), text_of(request.attempt) +
                                                                    " is started while ranks of attempt " +
                                                                    std::to_string(key.generation) + " still run");
    world_.require(!is_same_job || key.generation < request.attempt.generation,
                   text_of(request.attempt) + " is started after attempt " + std::to_string(key.generation));
    const bool has_slots = !process.is_orphan && (process.exits_told == 0 || process.gang->is_running());
    if (!has_slots) continue;
    for (const HostSlots& host : process.gang->hosts()) taken[host.name] += host.slots;
  }
  for (const HostSlots& host : hosts_) {
    world_.require(taken[host.name] <= host.slots,
                   text_of(request.attempt) + " is started with " + std::to_string(taken[host.name]) + " of the " +
                       std::to_string(host.slots) + " slots of " + host.name + " taken");
  }
}

void SimulatedLauncher::start(const LaunchRequest& request) {
  check_start(request);
  world_.note(text_of(request.attempt) + ": mpirun is started with " + std::to_string(request.workers) + " ranks");
  if (world_.chance(2)) {
    if (world_.random.below(2) == 0) throw PeerError(kRefusal);
    refused_.push_back(request.attempt);  // said later
    return;
  }
  Process process{.gang = std::make_unique<SimulatedGang>(world_, find_job_(request.attempt.job_id), request)};
  process.hangs = world_.chance(2);
  processes_.push_back(std::move(process));
}

void SimulatedLauncher::terminate(const AttemptKey& attempt) {
  world_.note(text_of(attempt) + ": mpirun is asked to end");
  for (Process& process : processes_) {
    if (process.gang->key() != attempt || !is_held(process)) continue;
    if (process.hangs && !process.gang->is_running()) process.exit_code = kExitTerminated;
    process.hangs = false;
    process.gang->end_within(std::chrono::seconds(world_.between(1, 3)), kExitTerminated);
  }
}

void SimulatedLauncher::kill(const AttemptKey& attempt) {
  world_.note(text_of(attempt) + ": mpirun is killed");
  for (Process& process : processes_) {
    if (process.gang->key() != attempt || !is_held(process)) continue;
    if (process.hangs && !process.gang->is_running()) process.exit_code = kExitKilled;
    process.hangs = false;
    process.was_killed = true;
    if (!process.gang->has_lost_contact()) process.gang->end_now(kExitKilled);
  }
}

void SimulatedLauncher::start_for_user(JobPromises& job, int workers) {
  const int number = ++started_by_users_;
  world_.note("a user starts mpirun " + std::to_string(number) + " with " + std::to_string(workers) + " ranks of " +
              job.name());
  processes_.push_back({.gang = std::make_unique<SimulatedGang>(world_, job, workers, number)});
}

bool SimulatedLauncher::has_ranks_of_user(const std::string& job_id) const {
  return std::ranges::any_of(processes_, [&](const Process& process) {
    return is_of_user(process) && process.gang->key().job_id == job_id && process.gang->is_running();
  });
}

SimulatedGang* SimulatedLauncher::any_running() {
  std::vector<SimulatedGang*> running;
  for (Process& process : processes_) {
    if (process.gang->is_running()) running.push_back(process.gang.get());
  }
  return running.empty() ? nullptr : running[world_.random.below(running.size())];
}

void SimulatedLauncher::act_all(JobController& core) {
  for (Process& process : processes_) process.gang->act(core);
}

// mpirun sees the end of its ranks at once or later, that of those on a host that is cut off never.
void SimulatedLauncher::schedule_exit(Process& process) {
  SimulatedGang& gang = *process.gang;
  if (process.exits_at || !is_held(process)) return;
  const bool is_lost_early = world_.planted.launcher_tells_of_ends_early && gang.is_ending();
  const bool loses_contact = gang.is_ending() && gang.hosts().size() > 1 && world_.chance(10);
  if (loses_contact) {
    world_.note(text_of(gang.key()) + ": mpirun ends, as it has lost a host");
    gang.lose_contact();
  }
  if (loses_contact || is_lost_early) gang.live_on(kRemoteLease);
  if (gang.is_running() && !gang.has_lost_contact() && !is_lost_early) return;
  process.exit_code = gang.exit_code();
  process.was_away = process.is_alone;
  process.exits_at = world_.clock.now() + std::chrono::seconds(world_.chance(10) ? world_.between(1, 20) : 0);
}

void SimulatedLauncher::tell_exit(JobController& core, Process& process) {
  world_.note(text_of(process.gang->key()) + ": mpirun exits with " + std::to_string(process.exit_code));
  ++process.exits_told;
  std::optional<RankEnd> killed;
  if (process.exit_code == kExitKilled && !process.was_killed) killed = RankEnd{.rank = 0, .signal = 9};
  core.attempts().handle_exit({.attempt = process.gang->key(),
                               .exit_code = process.exit_code,
                               .last_line = process.exit_code == 0 ? "" : "a rank has ended",
                               .lost_contact = process.gang->has_lost_contact(),
                               .first_end = killed,
                               .was_away = process.was_away});
}

void SimulatedLauncher::pass(JobController& core, bool with_heartbeats) {
  for (const AttemptKey& key : std::exchange(refused_, {})) {
    world_.note(text_of(key) + ": mpirun could not be started");
    core.attempts().handle_exit({.attempt = key, .exit_code = 1, .last_line = kRefusal, .refusal = kRefusal});
  }
  for (Process& process : processes_) {
    if (with_heartbeats && !(process.gang->has_lost_contact() && world_.chance(50))) process.gang->heartbeat(core);
    process.gang->pass();
    schedule_exit(process);
    const bool is_due = process.exits_at && world_.clock.now() >= *process.exits_at && !process.hangs;
    const bool repeats = process.exits_told == 1 && world_.chance(2);
    if (is_due && is_held(process) && (process.exits_told == 0 || repeats)) tell_exit(core, process);
  }
  const SteadyTime now = world_.clock.now();
  std::erase_if(processes_, [now](const Process& process) {
    const bool is_told = process.exits_told > 0 && now > *process.exits_at + std::chrono::seconds(10);
    return !process.gang->is_running() && (!is_held(process) || (is_told && process.is_forgotten));
  });
}

std::vector<AttemptKey> SimulatedLauncher::find() {
  std::vector<AttemptKey> found;
  if (world_.planted.launcher_finds_nothing) return found;
  for (Process& process : processes_) {
    if (is_of_user(process)) process.gang->find_coordinator();
    if (!is_held(process) || process.is_forgotten) continue;
    process.is_alone = false;
    process.exits_told = 0;
    process.gang->find_coordinator();
    found.push_back(process.gang->key());
  }
  return found;
}

void SimulatedLauncher::forget(const AttemptKey& attempt) {
  for (Process& process : processes_) {
    if (process.gang->key() == attempt && process.exits_told > 0) process.is_forgotten = true;
  }
}

std::vector<AttemptKey> SimulatedLauncher::whole() const {
  std::vector<AttemptKey> keys;
  for (const Process& process : processes_) {
    const bool is_there = is_of_user(process) || (is_held(process) && !process.exits_at);
    if (is_there && process.gang->is_whole()) keys.push_back(process.gang->key());
  }
  return keys;
}

// What is left of it ends by itself.
void SimulatedLauncher::lose_shim(Process& process) {
  process.is_orphan = true;
  process.gang->end_within(process.gang->hosts().empty() ? std::chrono::seconds(1) : kRemoteLease, kExitKilled);
}

void SimulatedLauncher::lose_coordinator(Left left) {
  refused_.clear();
  for (Process& process : processes_) {
    process.is_alone = true;
    process.gang->lose_coordinator();
    if (!is_of_user(process) && (left == Left::kNothing || world_.chance(10))) lose_shim(process);
  }
}

void SimulatedLauncher::pass_alone() {
  for (Process& process : processes_) {
    if (world_.chance(3)) process.gang->lose_rank();
    if (is_held(process) && world_.chance(1)) {
      world_.note(text_of(process.gang->key()) + ": its shim is killed");
      lose_shim(process);
    }
    process.gang->pass();
    schedule_exit(process);
  }
}

}  // namespace equipoise::coordinator

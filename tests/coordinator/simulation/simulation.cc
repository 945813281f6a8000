#include "tests/coordinator/simulation/simulation.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "common/protocol/job_state.h"
#include "coordinator/job/refusal.h"
#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace {

using std::chrono::seconds;

SimulatedLauncher::Left left_after(Loss loss) {
  return loss == Loss::kNothing ? SimulatedLauncher::Left::kShims : SimulatedLauncher::Left::kNothing;
}

constexpr const char* kDatabase = "/simulated/coordinator.sqlite3";
constexpr std::size_t kSuffixBytes = 9;  // of an id, after the job's name: a dash and eight digits

ControllerSettings drawn_settings(SplitMix64& random) {
  ControllerSettings settings;
  settings.supervisor.max_running_jobs = static_cast<int>(1 + random.below(3));
  if (random.below(2) == 0) {
    settings.supervisor.hosts = {{.name = "node1", .slots = 2}, {.name = "node2", .slots = 2}};
  }
  return settings;
}

// In memory, where there is such a place.
std::filesystem::path folder_of(std::uint64_t seed) {
  const std::filesystem::path memory = "/dev/shm";
  const bool has_memory = std::filesystem::is_directory(memory) && ::access(memory.c_str(), W_OK) == 0;
  const std::filesystem::path base = has_memory ? memory : std::filesystem::temp_directory_path();
  return base / ("equipoise-simulation-" + std::to_string(::getpid())) / std::to_string(seed);
}

}  // namespace

Simulation::Simulation(std::uint64_t seed, PlantedFaults planted)
    : world_(mixed_bits(seed), planted),
      seed_(seed),
      folder_(folder_of(seed)),
      settings_(drawn_settings(world_.random)),
      source_(mixed_bits(seed, 1)),
      launcher_(world_, settings_.supervisor.hosts,
                [this](const std::string& id) -> JobPromises& { return promises_of(id); }) {}

Simulation::~Simulation() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  std::filesystem::remove(folder_.parent_path(), ignored);  // where it is empty
}

JobPromises& Simulation::promises_of(const std::string& id) {
  const std::string name = id.substr(0, id.size() - std::min(id.size(), kSuffixBytes));
  const auto job = std::ranges::find_if(jobs_, [&](const auto& each) { return each->name() == name; });
  if (job == jobs_.end()) throw InvariantBroken("job " + id + " was never asked for");
  return **job;
}

void Simulation::run() {
  start();
  if (world_.planted.disk_ignores_syncs) disk_.ignore_syncs();
  create();
  const std::int64_t events = world_.between(40, 140);
  for (std::int64_t i = 0; i < events; ++i) {
    event();
    settle();
    users_start_ranks();
    check();
  }
  calm_down();
}

// --- the coordinator's lives

void Simulation::start_once() {
  metrics_.emplace();
  store_.emplace(kDatabase);
  core_.emplace(settings_, Dependencies{.clock = world_.clock,
                                        .random_source = source_,
                                        .store = *store_,
                                        .metrics = *metrics_,
                                        .launcher = launcher_});
  if (disk_.has_stopped()) throw StoreError(StoreError::Cause::kOther, "the coordinator is killed as it starts");
}

void Simulation::start() {
  constexpr int kMostTries = 3;
  for (int tries = 0;; ++tries) {
    const bool is_killed_early = tries == 0 && world_.chance(15);
    if (is_killed_early) disk_.stop_after(world_.between(0, 60));
    try {
      world_.note("a coordinator starts");
      start_once();
      if (is_killed_early) disk_.stop_after(-1);
      break;
    } catch (const StoreError& error) {
      world_.note(std::string("  and does not: ") + error.what());
      world_.require(tries < kMostTries, std::string("the coordinator does not start: ") + error.what());
      lose_core();
      const Loss loss = drawn_loss();
      disk_.crash(loss, world_.random);
      launcher_.lose_coordinator(left_after(loss));
      disk_.set_full(false);
    }
  }
  check_taken_over();
  check();
  check_records();
}

// What it has found goes on under it.
void Simulation::check_taken_over() {
  for (const AttemptKey& key : launcher_.whole()) {
    if (!core_->table().contains(key.job_id)) continue;
    const v1::TrainingJob& job = core_->table().find(key.job_id).job;
    if (job.generation() != key.generation || job.state() == v1::JOB_STATE_CANCELLED) continue;
    world_.require(job.state_reason().find("the coordinator was lost") == std::string::npos,
                   "job " + key.job_id + ": the ranks of attempt " + std::to_string(key.generation) +
                       " wait for a coordinator, and one that comes back says: " + job.state_reason());
    const bool goes_on = has_attempt(job.state()) || job.state() == v1::JOB_STATE_PAUSING;
    if (goes_on) ++world_.takeovers;
  }
}

Loss Simulation::drawn_loss() {
  ++crashes_;
  if (loss_) return *loss_;
  if (world_.planted.disk_ignores_syncs) return Loss::kAll;
  return std::array{Loss::kNothing, Loss::kNothing, Loss::kNothing, Loss::kAll, Loss::kSome}[world_.random.below(5)];
}

void Simulation::lose_core() {
  disk_.stop_after(0);
  core_.reset();
  store_.reset();
}

// Nothing is left but what is on the disk.
void Simulation::crash() {
  const Loss loss = drawn_loss();
  world_.note(loss == Loss::kNothing ? "the coordinator is killed" : "the coordinator's machine loses its power");
  lose_core();
  disk_.crash(loss, world_.random);
  launcher_.lose_coordinator(left_after(loss));
  be_away();
  start();
}

// Mostly for so short that ranks wait for the next coordinator.
void Simulation::be_away() {
  if (!world_.chance(50)) return;
  const std::int64_t away = world_.chance(30) ? world_.between(20, 70) : world_.between(1, 20);
  world_.note("there is no coordinator for " + std::to_string(away) + " s");
  for (std::int64_t second = 0; second < away; ++second) {
    world_.clock.advance(seconds(1));
    launcher_.pass_alone();
  }
}

void Simulation::stop_in_order() {
  if (world_.chance(50)) {
    keep_in_order();
  } else {
    end_in_order();
  }
}

// --on-shutdown keep
void Simulation::keep_in_order() {
  world_.note("the coordinator is asked to end, and to keep the ranks");
  core_->attempts().hold_launches();
  core_->table().store_unstored();
  if (disk_.has_stopped()) return crash();
  check();
  core_.reset();
  store_.reset();
  launcher_.lose_coordinator(SimulatedLauncher::Left::kShims);
  be_away();
  start();
}

// --on-shutdown leave
void Simulation::end_in_order() {
  world_.note("the coordinator is asked to end");
  constexpr int kLeaving = 20, kEnding = 60;
  const int crashes = crashes_;
  core_->attempts().begin_leaving();
  for (int second = 0; second < kLeaving && core_->attempts().are_leaving(); ++second) {
    advance(seconds(1));
  }
  if (crashes_ != crashes) return;
  core_->attempts().begin_shutdown();
  for (int second = 0; core_->attempts().has_live_attempts(); ++second) {
    world_.require(second < kEnding, "attempts do not end with their coordinator");
    advance(seconds(1));
  }
  if (crashes_ != crashes) return;
  core_->table().store_unstored();
  check();
  core_.reset();
  store_.reset();
  launcher_.lose_coordinator(SimulatedLauncher::Left::kShims);
  world_.note("it has ended");
  start();
}

// What the shell around the core does after every call: it holds all writes once one has failed.
void Simulation::settle() {
  if (disk_.has_stopped()) return crash();
  JobTable& table = core_->table();
  const auto failure = table.take_failure();
  if (failure && failure->cause() != StoreError::Cause::kDamaged && !table.is_held()) {
    world_.note(std::string("writes are held: ") + failure->what());
    table.hold(failure->what());
  }
  if (!table.is_held() || disk_.is_full()) return;
  try {
    table.store().probe();
    table.release();
    world_.note("writes go on");
  } catch (const StoreError&) {
    if (disk_.has_stopped()) crash();
  }
}

void Simulation::tick() {
  try {
    core_->attempts().tick();
    if (world_.random.below(5) == 0) core_->cleaner().tick();
  } catch (const StoreError& error) {  // what is due stays due
    world_.note(std::string("  not stored: ") + error.what());
  }
}

void Simulation::advance(seconds duration) {
  for (seconds second{0}; second < duration; ++second) {
    world_.clock.advance(seconds(1));
    const int crashes = crashes_;
    launcher_.pass(*core_, second.count() % 2 == 0);
    if (world_.random.below(100) < 60) launcher_.act_all(*core_);
    tick();
    settle();
    users_start_ranks();
    check();
    if (crashes_ != crashes) return;
  }
}

// --- invariants

void Simulation::check() {
  std::vector<std::string> names;
  for (auto& [sequence, record] : core_->table().jobs()) {
    JobPromises& promises = promises_of(record.job.id());
    promises.check_shown(world_, record.job);
    world_.require(std::ranges::find(names, promises.name()) == names.end(),
                   "there are two jobs of one request, the second is " + record.job.id());
    names.push_back(promises.name());
  }
  for (const auto& job : jobs_) job->check_presence(world_, core_->table());
}

// No second name of a checkpoint is left for a fork that is gone, or has one of its own.
void Simulation::check_links() {
  std::vector<std::string> needed;
  for (const auto& [sequence, record] : core_->table().jobs()) {
    const bool goes_on_from_own = record.job.has_checkpoint_step() && !is_final(record.job.state());
    if (!goes_on_from_own) needed.push_back(record.job.spec().training().resume_from_checkpoint());
  }
  if (!std::filesystem::is_directory(folder_)) return;
  for (const auto& output : std::filesystem::directory_iterator(folder_)) {
    for (const auto& entry : std::filesystem::directory_iterator(output)) {
      if (!entry.path().filename().string().starts_with("fork-")) continue;
      const bool is_needed = std::ranges::any_of(
          needed, [&](const std::string& each) { return each.starts_with(entry.path().string() + "/"); });
      world_.require(is_needed, "nobody needs " + entry.path().filename().string() + " in the output " +
                                    output.path().filename().string() + ", and it is there");
    }
  }
}

int Simulation::changes() const {
  int changes = 0;
  for (const auto& job : jobs_) changes += job->changes_in_force();
  return changes;
}

int Simulation::forks() const {
  return static_cast<int>(std::ranges::count_if(jobs_, [](const auto& job) { return job->has_begun_as_fork(); }));
}

void Simulation::check_records() {
  steps_on_record_ = 0;
  for (auto& [sequence, record] : core_->table().jobs()) {
    promises_of(record.job.id()).check_record(world_, *core_, record.job);
    steps_on_record_ += static_cast<int>(record.job.step());
  }
}

// --- events

void Simulation::event() {
  const std::uint64_t kind = world_.random.below(100);
  if (kind < 40) {
    SimulatedGang* const gang = launcher_.any_running();
    if (gang == nullptr) return advance(seconds(1));
    const std::int64_t acts = world_.between(1, 5);
    for (std::int64_t i = 0; i < acts && !disk_.has_stopped(); ++i) gang->act(*core_);
  } else if (kind < 58) {
    advance(seconds(world_.between(1, 3)));
  } else if (kind < 62) {
    advance(seconds(world_.between(10, 45)));
  } else if (kind < 78) {
    person();
  } else if (kind < 88) {
    disturb_ranks(kind);
  } else if (kind < 97) {
    disturb_coordinator(kind);
  } else if (kind < 98) {
    deliver_late_calls();
  } else {
    check_records();
  }
}

void Simulation::disturb_ranks(std::uint64_t kind) {
  SimulatedGang* const gang = launcher_.any_running();
  if (gang == nullptr) return;
  if (kind < 81) return gang->lose_rank();
  if (kind < 84) return gang->stop_rank(seconds(world_.between(2, 50)));
  if (kind < 86) return gang->ask_to_leave();
  try {
    gang->fail_rank(*core_);
  } catch (const StoreError& error) {
    world_.note(std::string("  not stored: ") + error.what());
  }
}

void Simulation::disturb_coordinator(std::uint64_t kind) {
  if (kind < 90) return crash();
  if (kind < 91) return stop_in_order();
  if (kind < 93) {
    disk_.set_full(!disk_.is_full());
    world_.note(disk_.is_full() ? "the disk is full" : "the disk has room");
  } else if (kind < 95) {
    const std::int64_t writes = world_.between(0, 40);
    world_.note("the coordinator is to be killed after " + std::to_string(writes) + " writes");
    disk_.stop_after(writes);
  } else if (kind < 96) {
    const std::int64_t stopped = world_.between(6, 60);
    world_.note("the coordinator is stopped for " + std::to_string(stopped) + " s");
    world_.clock.advance(seconds(stopped));
    launcher_.pass(*core_, false);
    tick();
  } else {
    const std::int64_t hours = world_.between(-1, 1);
    world_.note("the wall clock jumps by " + std::to_string(hours) + " h");
    world_.clock.jump_wall(std::chrono::hours(hours));
  }
}

void Simulation::deliver_late_calls() {
  world_.note(std::to_string(world_.late_calls.size()) + " calls arrive late");
  for (const auto& call : std::exchange(world_.late_calls, {})) {
    try {
      call(*core_);
    } catch (const Refusal&) {  // nobody hears of it
    } catch (const StoreError&) {
    } catch (const std::invalid_argument&) {
    }
  }
}

}  // namespace equipoise::coordinator

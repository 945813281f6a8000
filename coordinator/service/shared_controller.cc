#include "coordinator/service/shared_controller.h"

#include <spdlog/spdlog.h>

#include <exception>
#include <filesystem>
#include <utility>

#include "common/protocol/job_state.h"
#include "coordinator/job/refusal.h"
#include "coordinator/store/log_folder.h"

namespace equipoise::coordinator {
namespace {

using namespace std::chrono_literals;

constexpr auto kTickInterval = 100ms;
constexpr int kTicksBetweenTouches = 36'000;  // an hour, or less where calls wake the thread
constexpr int kTicksBetweenLooks = 10;        // at the disk: a second, or less
constexpr auto kWatcherDrainTimeout = 5s;

}  // namespace

SharedController::SharedController(JobController& controller, std::size_t max_watchers)
    : controller_(controller),
      watchers_(
          [this](const std::string& id) {
            return read([&](JobController& core) { return core.training_jobs().get(id); });
          },
          max_watchers) {}

SharedController::~SharedController() {
  tick_watch_.reset();
  {
    const std::lock_guard lock(timer_mutex_);
    is_stopping_ = true;
  }
  due_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SharedController::start_timer(TickRules rules) {
  thread_ = std::thread([this] { run_timer(); });
  tick_watch_.emplace(rules, ended_ticks_, [this](bool is_ticking) { show_ticking(is_ticking); });
}

void SharedController::show_ticking(bool is_ticking) {
  is_ticking_ = is_ticking;
  if (is_ticking) {
    spdlog::info("the coordinator goes on: what hung has ended");
  } else {
    spdlog::error(
        "the coordinator hangs, and neither looks after its jobs nor answers: the disk of its state, or what else it "
        "waits for, does not answer");
  }
  const std::lock_guard lock(ticking_mutex_);
  if (on_ticking_) on_ticking_(is_ticking);
}

void SharedController::wake() {
  {
    const std::lock_guard lock(timer_mutex_);
    is_due_ = true;
  }
  due_.notify_all();
}

void SharedController::queue_exit(const LaunchExit& exit) {
  {
    const std::lock_guard lock(timer_mutex_);
    exits_.push_back(exit);
    is_due_ = true;
  }
  due_.notify_all();
}

void SharedController::run_timer() {
  while (true) {
    {
      std::unique_lock lock(timer_mutex_);
      due_.wait_for(lock, kTickInterval, [this] { return is_due_ || is_stopping_; });
      is_due_ = false;
      if (is_stopping_) return;
    }
    try {
      tick();
      clean();
    } catch (const std::exception& error) {  // what is due stays due
      spdlog::error("{}; trying again", error.what());
    }
    ++ended_ticks_;
  }
}

void SharedController::watch_state(StateWatch watch) {
  {
    const std::lock_guard lock(ticking_mutex_);
    on_ticking_ = watch.on_ticking;
  }
  const std::lock_guard lock(mutex_);
  state_ = std::move(watch);
  if (state_.room == nullptr || !loss_.empty() || controller_.table().is_held()) return;
  show_space(state_.room->space());
  // Without it ends of jobs could not be stored later, so nothing else is stored from the beginning.
  if (!state_.room->make_reserve()) {
    hold_writes(StoreError(StoreError::Cause::kFull, "there is no room for the reserve"));
  }
}

bool SharedController::hold_writes(const StoreError& failure) {
  JobTable& table = controller_.table();
  if (failure.cause() == StoreError::Cause::kDamaged || table.is_held()) return false;
  const std::string why = failure.what() + (state_.room != nullptr ? state_.room->space_sentence() : "");
  spdlog::error("{}: until there is room, nothing is stored but ends of jobs, cancels and deletes, and ranks wait",
                why);
  table.hold(why);
  is_storing_ = false;
  table.metrics().show_state_writable(false);
  if (state_.on_writable) state_.on_writable(false);
  ticks_since_look_ = 0;
  if (state_.room == nullptr || failure.cause() == StoreError::Cause::kBusy) return false;
  if (!loss_.empty()) return false;  // the folder may be another coordinator's by now
  state_.room->release_reserve();
  return true;
}

void SharedController::take_failures() {
  const auto failure = controller_.table().take_failure();
  const bool is_damaged = failure && failure->cause() == StoreError::Cause::kDamaged;
  if (is_damaged && failure->what() != damage_) spdlog::error("{}", damage_ = failure->what());
  if (failure && hold_writes(*failure)) controller_.table().store_unstored();
}

void SharedController::keep_room(const StateLook& look) {
  if (!loss_.empty() || !look.was_due) return;
  if (controller_.table().is_held()) try_to_go_on();
  if (state_.room != nullptr) show_space(look.space);
}

void SharedController::try_to_go_on() {
  if (state_.room != nullptr && !state_.room->make_reserve()) return;
  JobTable& table = controller_.table();
  try {
    table.store().probe();
  } catch (const StoreError&) {  // said when the first write failed
    if (state_.room != nullptr) state_.room->release_reserve();
    return;
  }
  spdlog::info("what is stored can be written again: all calls are taken, and ranks go on");
  table.release();
  is_storing_ = loss_.empty();
  table.metrics().show_state_writable(true);
  if (loss_.empty() && state_.on_writable) state_.on_writable(true);
}

void SharedController::show_space(const std::optional<DiskSpace>& space) {
  if (!space) return;
  JobTable& table = controller_.table();
  table.metrics().show_state_disk(space->free_bytes, space->total_bytes);
  table.metrics().show_database(table.store().bytes());
  const std::uint64_t alarm = alarm_bytes(*space);
  // Not again for every file that comes and goes.
  if (space->free_bytes >= alarm + alarm / 8) nearly_full_.clear();
  if (nearly_full_.empty() && space->free_bytes < alarm) {
    nearly_full_ = "the disk of the coordinator's state is nearly full" + state_.room->space_sentence();
    spdlog::warn("{}: once it is full, ranks wait until there is room", nearly_full_);
  }
  if (!nearly_full_.empty()) table.warn_running(nearly_full_);  // also jobs that have begun since
}

void SharedController::refuse_if_lost() const {
  if (loss_.empty()) return;
  throw Refusal(Refusal::Code::kUnavailable, ErrorReason::kStateLost,
                loss_ + ": nothing is taken any more, as it would be lost; stop the coordinator, and start it again");
}

void SharedController::note_loss(const std::string& loss) {
  if (loss_.empty()) loss_ = loss;
  if (!loss_.empty()) is_storing_ = false;
}

void SharedController::look_for_loss() {
  if (loss_.empty() && state_.loss) note_loss(state_.loss());
  refuse_if_lost();
}

// While the disk does not answer, what needs none of it is answered: jobs as they are, health.
SharedController::StateLook SharedController::look_at_state() {
  StateWatch state;
  StateLook look;
  bool is_touch_due = false;
  {
    const std::lock_guard lock(mutex_);
    if (!loss_.empty()) return {.loss = loss_};
    state = state_;
    if (state.touch && ++ticks_ >= kTicksBetweenTouches) {
      is_touch_due = true;
      ticks_ = 0;
    }
    look.was_due = ++ticks_since_look_ >= kTicksBetweenLooks;
    if (look.was_due) ticks_since_look_ = 0;
  }
  if (state.loss) look.loss = state.loss();
  if (!look.loss.empty()) return look;
  if (is_touch_due) state.touch();
  if (look.was_due && state.room != nullptr) look.space = state.room->space();
  return look;
}

void SharedController::keep_state(const std::string& loss) {
  note_loss(loss);
  if (loss_.empty() || is_loss_told_) return;
  is_loss_told_ = true;
  spdlog::error(
      "{}: no call that changes anything is taken any more, and no job is started; stop this coordinator, "
      "which ends its jobs' processes, and start it again",
      loss_);
  controller_.attempts().hold_launches();
  if (state_.on_loss) state_.on_loss();
}

void SharedController::tick() {
  const StateLook look = look_at_state();
  run_always([&](JobController& controller) {
    keep_state(look.loss);
    take_exits();
    controller.attempts().tick();
    take_failures();
    keep_room(look);
  });
}

// Watchers need not look: nobody sees any of it.
void SharedController::clean() {
  std::optional<JobCleaner::Logs> logs;
  {
    const std::lock_guard lock(mutex_);
    if (!loss_.empty()) return;
    controller_.cleaner().tick();
    logs = controller_.cleaner().logs_to_remove();
  }
  if (!logs) return;
  std::string refusal;
  try {
    if (!remove_some(logs->folder)) return;
  } catch (const std::filesystem::filesystem_error& error) {
    refusal = error.what();
  }
  const std::lock_guard lock(mutex_);
  if (refusal.empty()) {
    controller_.cleaner().logs_are_gone(*logs);
  } else {
    controller_.cleaner().leave_logs(*logs, refusal);
  }
}

void SharedController::take_exits() {
  while (true) {
    LaunchExit exit;
    {
      const std::lock_guard lock(timer_mutex_);
      if (exits_.empty()) return;
      exit = exits_.front();
    }
    controller_.attempts().handle_exit(exit);
    const std::lock_guard lock(timer_mutex_);
    exits_.pop_front();
  }
}

void SharedController::let_leave(std::chrono::seconds grace) {
  if (grace.count() == 0) return;
  run_always([this](JobController& controller) {
    controller.attempts().begin_leaving();
    take_failures();
  });
  std::unique_lock lock(mutex_);
  // Where nothing can be stored, no checkpoint can be told of either.
  changed_.wait_for(lock, grace, [this] {
    const bool is_useless = !loss_.empty() || controller_.table().is_held();
    return is_in_hurry_ || is_useless || !controller_.attempts().are_leaving();
  });
  if (!controller_.attempts().are_leaving()) return;
  spdlog::warn(
      "ranks have not left yet: nobody waits for them any longer, and their jobs go on from the newest "
      "checkpoint where they may start again");
}

void SharedController::hurry() {
  const Announcement announcement(changed_);
  const std::lock_guard lock(mutex_);
  is_in_hurry_ = true;
}

void SharedController::end_attempts() {
  run_always([this](JobController& controller) {
    controller.attempts().begin_shutdown();
    take_failures();
  });
  std::unique_lock lock(mutex_);
  // The supervisor kills what does not end in time, so this ends.
  changed_.wait(lock, [this] { return !controller_.attempts().has_live_attempts(); });
  controller_.table().store_unstored();
  take_failures();
  for (const auto& [sequence, record] : controller_.table().jobs()) {
    if (!record.unstored) continue;
    spdlog::warn("job {}: {}, {}, is not stored; the next start finds it {}, as if this coordinator had been lost",
                 record.job.id(), state_name(record.unstored->state), record.unstored->reason,
                 state_name(record.job.state()));
  }
}

void SharedController::close_watchers() { watchers_.close(kWatcherDrainTimeout); }

void SharedController::tell_watchers() {
  for (const std::string& id : controller_.table().take_changed()) watchers_.changed(id);
}

void SharedController::keep_attempts() {
  run_always([this](JobController& controller) {
    controller.attempts().hold_launches();
    controller.table().store_unstored();
    take_failures();
  });
}

}  // namespace equipoise::coordinator

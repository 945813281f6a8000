#include "coordinator/service/file_pool.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "coordinator/job/refusal.h"
#include "coordinator/service/fair_queue.h"
#include "coordinator/service/mount_table.h"

namespace equipoise::coordinator {
namespace {

using FileTime = std::chrono::steady_clock::time_point;

constexpr const char* kErrands = " errands";  // as a caller

Refusal unanswered(const std::string& mount) {
  return {Refusal::Code::kUnavailable, ErrorReason::kFilesUnreachable,
          "the file system at " + mount + " does not answer; it is asked again once it does"};
}

Refusal not_in_time() {
  return {Refusal::Code::kUnavailable, ErrorReason::kFilesUnreachable,
          "the files were not asked for in time, as all who could are waiting for file systems; try again later"};
}

Refusal too_much_waits() {
  return {Refusal::Code::kResourceExhausted, "too many calls wait for files; try again later"};
}

Refusal stopped() {
  return {Refusal::Code::kUnavailable, ErrorReason::kFilesUnreachable, "the coordinator asks for no files any more"};
}

FileAnswer refused_with(const Refusal& why) { return {.text = "", .failure = std::make_exception_ptr(why)}; }

}  // namespace

struct FileRun::Run {
  FilePool::Task task;
  FileTime deadline = {};
  // That it has beyond the deadline, while another thread takes the place of its own.
  std::chrono::milliseconds rest{0};
  std::string mount = {};          // that was asked last
  std::string awaited_mount = {};  // that was not asked, as others wait for it
  bool is_slow = false;            // its thread is one of the lost
  bool is_given_up = false;        // nobody waits for it; of an errand, its mount is known to be silent
  bool is_errand = false;
};

struct FilePool::State : std::enable_shared_from_this<FilePool::State> {
  using Run = FileRun::Run;
  using RunPointer = std::shared_ptr<Run>;

  explicit State(FilePoolLimits given) : limits(given) {}

  void serve();
  void watch();
  FileAnswer answer_of(Run& run);
  void ask(Run& run, const std::string& mount);
  void go_on(Run& run);
  // The caller has the mutex, or is alone.
  void give_time(Run& run) const;
  void start_threads();
  void end(const RunPointer& run, const FileAnswer& answer, std::unique_lock<std::mutex>& lock);
  void end_errand(const RunPointer& run);
  void note_answer_of(const std::string& mount);
  void give_up(const RunPointer& run, std::unique_lock<std::mutex>& lock);
  void tell(const RunPointer& run, const FileAnswer& answer, std::unique_lock<std::mutex>& lock);

  const FilePoolLimits limits;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  bool is_stopping = false;  // for calls
  bool is_over = false;      // for all
  FairQueue<RunPointer> waiting;
  std::list<RunPointer> running;                        // and not given up
  std::list<RunPointer> in_line;                        // of `waiting`, in the order they came; no errands
  std::map<std::string, std::size_t> stuck_on;          // mounts by how many threads wait for them
  std::map<std::string, std::list<RunPointer>> parked;  // errands by the mount that they wait for
  std::size_t errands = 0;                              // that are not done, but for those that are parked
  std::size_t threads = 0, lost = 0;                    // of `threads`
  std::size_t busy = 0;                                 // calls of done() and apart() under way
};

FilePool::FilePool(FilePoolLimits limits) : state_(std::make_shared<State>(limits)) {
  const std::lock_guard lock(state_->mutex);
  state_->start_threads();
  std::thread([state = state_] { state->watch(); }).detach();
}

// What a silent file system keeps it from doing, the program's end does, as for locks.
FilePool::~FilePool() {
  stop();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, state_->limits.patience, [this] { return state_->errands == 0; });
  state_->is_over = true;
  state_->changed.notify_all();
}

// They are joined nowhere: one that waits for a mount would keep the program from ending.
void FilePool::State::start_threads() {
  for (; threads - lost < limits.threads && lost <= limits.most_lost; ++threads) {
    std::thread([state = shared_from_this()] { state->serve(); }).detach();
  }
}

void FilePool::run(Task task) {
  auto run = std::make_shared<State::Run>(State::Run{.task = std::move(task)});
  std::unique_lock lock(state_->mutex);
  State& state = *state_;
  const bool is_taken = !state.is_stopping && state.waiting.size() < state.limits.most_waiting &&
                        state.waiting.size_of(run->task.caller) < state.limits.most_of_one;
  if (!is_taken) {
    const Refusal why = state.is_stopping ? stopped() : too_much_waits();
    lock.unlock();
    return run->task.done(refused_with(why));
  }
  // Once those before it have been given up, its turn comes.
  run->deadline = std::chrono::steady_clock::now() + 2 * state.limits.patience;
  state.waiting.push(run->task.caller, run);
  state.in_line.push_back(run);
  lock.unlock();
  state.changed.notify_all();
}

void FilePool::run_errand(const std::filesystem::path& place, std::function<void()> work) {
  auto run = std::make_shared<State::Run>();
  run->is_errand = true;
  run->task.files = {place};
  run->task.work = [work = std::move(work)](FileRun& /*run*/) {
    work();
    return std::string();
  };
  run->task.amount = Amount::kManyFiles;
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->errands;
    state_->waiting.push(kErrands, std::move(run));
  }
  state_->changed.notify_all();
}

void FilePool::stop() {
  std::unique_lock lock(state_->mutex);
  State& state = *state_;
  state.is_stopping = true;
  state.changed.notify_all();
  state.changed.wait(lock, [&] { return state.busy == 0; });  // whoever has come so far is told what came of it
  for (auto* const runs : {&state.in_line, &state.running}) {
    for (const State::RunPointer& run : std::list<State::RunPointer>(*runs)) {
      if (run->is_errand || std::exchange(run->is_given_up, true)) continue;
      runs->remove(run);
      state.tell(run, refused_with(stopped()), lock);
    }
  }
  state.changed.wait(lock, [&] { return state.busy == 0; });
}

void FilePool::State::tell(const RunPointer& run, const FileAnswer& answer, std::unique_lock<std::mutex>& lock) {
  ++busy;
  lock.unlock();
  run->task.done(answer);
  run->task.done = nullptr;
  lock.lock();
  --busy;
  changed.notify_all();
}

void FilePool::State::serve() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return is_over || !waiting.is_empty() || threads - lost > limits.threads; });
    const bool is_surplus = threads - lost > limits.threads;
    if (is_over || is_surplus) break;
    const RunPointer run = waiting.pop();
    if (run->is_given_up) continue;
    in_line.remove(run);
    running.push_back(run);
    run->deadline = std::chrono::steady_clock::now() + limits.patience;
    changed.notify_all();  // the watch looks at the times again
    lock.unlock();
    const FileAnswer answer = answer_of(*run);
    lock.lock();
    end(run, answer, lock);
  }
  --threads;
}

void FilePool::State::end(const RunPointer& run, const FileAnswer& answer, std::unique_lock<std::mutex>& lock) {
  running.remove(run);
  if (std::exchange(run->is_slow, false)) --lost;
  const bool was_given_up = std::exchange(run->is_given_up, true);
  if (was_given_up) note_answer_of(run->mount);
  if (run->is_errand) return end_errand(run);
  if (!was_given_up) tell(run, answer, lock);
}

void FilePool::State::end_errand(const RunPointer& run) {
  const std::string awaited = std::exchange(run->awaited_mount, "");
  run->is_given_up = false;
  if (!awaited.empty() && stuck_on.contains(awaited)) {
    parked[awaited].push_back(run);
  } else if (!awaited.empty()) {
    waiting.push(kErrands, run);
    changed.notify_all();
    return;
  }
  --errands;
  changed.notify_all();
}

void FilePool::State::note_answer_of(const std::string& mount) {
  const auto stuck = stuck_on.find(mount);
  if (stuck == stuck_on.end() || --stuck->second > 0) return;
  stuck_on.erase(stuck);
  spdlog::info("the file system at {} answers again", mount);
  if (auto awaiting = parked.extract(mount)) {
    for (RunPointer& run : awaiting.mapped()) {
      ++errands;
      waiting.push(kErrands, std::move(run));
    }
    changed.notify_all();
  }
}

// What the work owns goes here, on this thread and without the mutex: it may be files, too.
FileAnswer FilePool::State::answer_of(Run& run) {
  try {
    FileRun own(*this, run);
    for (const auto& file : run.task.files) own.reach(file);
    go_on(run);
    const auto work = std::exchange(run.task.work, nullptr);
    return {.text = work(own)};
  } catch (...) {
    return {.text = "", .failure = std::current_exception()};
  }
}

void FileRun::reach(const std::filesystem::path& file) {
  if (file.empty()) return;
  const MountTable mounts = MountTable::of_now();
  follow_path(file, mounts, [this](const std::string& mount) { state_.ask(run_, mount); });
  await_file_system(file);
  state_.go_on(run_);
}

void FilePool::State::ask(Run& run, const std::string& mount) {
  const std::lock_guard lock(mutex);
  if (run.is_given_up && !run.is_errand) throw unanswered(run.mount);
  if (run.is_given_up) return;  // the thread is counted at the mount that it was asking
  if (stuck_on.contains(mount)) {
    run.awaited_mount = mount;
    throw unanswered(mount);
  }
  run.mount = mount;
  run.rest = std::chrono::milliseconds(0);
  run.deadline = std::chrono::steady_clock::now() + limits.patience;
}

// What was asked has answered.
void FilePool::State::go_on(Run& run) {
  const std::lock_guard lock(mutex);
  if (run.is_given_up && !run.is_errand) throw unanswered(run.mount);
  give_time(run);
}

// For the work itself.
void FilePool::State::give_time(Run& run) const {
  const bool is_much = run.task.amount == Amount::kManyFiles;
  run.rest = is_much ? limits.patience_of_many - limits.patience : std::chrono::milliseconds(0);
  run.deadline = std::chrono::steady_clock::now() + limits.patience;
}

void FileRun::begin_apart() {
  const std::lock_guard lock(state_.mutex);
  if (state_.is_stopping) throw stopped();
  if (run_.is_given_up) throw unanswered(run_.mount);
  ++state_.busy;
  run_.deadline = FileTime::max();
}

bool FileRun::may_begin_apart() {
  const std::lock_guard lock(state_.mutex);
  if (state_.is_stopping) return false;
  ++state_.busy;
  run_.deadline = FileTime::max();
  return true;
}

void FileRun::end_apart() {
  const std::lock_guard lock(state_.mutex);
  --state_.busy;
  state_.give_time(run_);
  state_.changed.notify_all();
}

// Tells of what takes too long.
void FilePool::State::watch() {
  std::unique_lock lock(mutex);
  while (!is_over) {
    const FileTime now = std::chrono::steady_clock::now();
    FileTime next = now + limits.patience;
    RunPointer late;
    for (const auto* const runs : {&running, &in_line}) {
      for (const RunPointer& run : *runs) {
        if (run->deadline <= now) late = run;
        next = std::min(next, run->deadline);
      }
    }
    if (late) {
      give_up(late, lock);
    } else {
      changed.wait_until(lock, next);
    }
  }
}

// One that runs at the end of its time: before, another thread takes the place of its own.
void FilePool::State::give_up(const RunPointer& run, std::unique_lock<std::mutex>& lock) {
  const bool is_running = std::ranges::find(running, run) != running.end();
  if (!is_running) {
    run->is_given_up = true;
    in_line.remove(run);
    return tell(run, refused_with(not_in_time()), lock);
  }
  if (!std::exchange(run->is_slow, true)) {
    ++lost;
    start_threads();
  }
  if (run->rest.count() > 0) {
    run->deadline += std::exchange(run->rest, std::chrono::milliseconds(0));
    return;
  }
  run->is_given_up = true;
  running.remove(run);
  if (stuck_on[run->mount]++ == 0) {
    spdlog::warn("the file system at {} has not answered for {} s; it is asked again once it does", run->mount,
                 std::chrono::duration<double>(limits.patience).count());
  }
  if (!run->is_errand) tell(run, refused_with(unanswered(run->mount)), lock);
}

}  // namespace equipoise::coordinator

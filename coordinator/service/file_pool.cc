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

}  // namespace

struct FilePool::State : std::enable_shared_from_this<FilePool::State> {
  struct Run {
    Task task;
    FileTime deadline;
    std::string mount = {};  // that was asked last
    bool is_given_up = false;
  };
  using RunPointer = std::shared_ptr<Run>;

  explicit State(FilePoolLimits given) : limits(given) {}

  void start_threads();  // the caller has the mutex, or is alone
  void serve();
  void watch();
  FileAnswer answer_of(Run& run);
  void ask(Run& run, const std::string& mount);
  void tell(const RunPointer& run, const FileAnswer& answer, std::unique_lock<std::mutex>& lock);

  const FilePoolLimits limits;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  bool is_stopping = false;
  FairQueue<RunPointer> waiting;
  std::list<RunPointer> running;                // and not given up
  std::list<RunPointer> in_line;                // of `waiting`, in the order they came
  std::map<std::string, std::size_t> stuck_on;  // mounts by how many threads wait for them
  std::size_t threads = 0, lost = 0;            // of `threads`
  std::size_t telling = 0;                      // calls of done() under way
};

FilePool::FilePool(FilePoolLimits limits) : state_(std::make_shared<State>(limits)) {
  const std::lock_guard lock(state_->mutex);
  state_->start_threads();
  std::thread([state = state_] { state->watch(); }).detach();
}

FilePool::~FilePool() { stop(); }

// They are joined nowhere: one that waits for a mount would keep the program from ending.
void FilePool::State::start_threads() {
  for (; threads - lost < limits.threads && lost <= limits.most_lost; ++threads) {
    std::thread([state = shared_from_this()] { state->serve(); }).detach();
  }
}

void FilePool::run(Task task) {
  auto run = std::make_shared<State::Run>(State::Run{.task = std::move(task), .deadline = {}});
  std::unique_lock lock(state_->mutex);
  State& state = *state_;
  const bool is_taken = !state.is_stopping && state.waiting.size() < state.limits.most_waiting &&
                        state.waiting.size_of(run->task.caller) < state.limits.most_of_one;
  if (!is_taken) {
    lock.unlock();
    return run->task.done({.text = "", .failure = std::make_exception_ptr(too_much_waits())});
  }
  // Once those before it have been given up, its turn comes.
  run->deadline = std::chrono::steady_clock::now() + 2 * state.limits.patience;
  state.waiting.push(run->task.caller, run);
  state.in_line.push_back(run);
  lock.unlock();
  state.changed.notify_all();
}

void FilePool::stop() {
  std::unique_lock lock(state_->mutex);
  State& state = *state_;
  state.is_stopping = true;
  state.changed.notify_all();
  for (auto* const runs : {&state.in_line, &state.running}) {
    for (const State::RunPointer& run : std::exchange(*runs, {})) {
      if (std::exchange(run->is_given_up, true)) continue;
      state.tell(run, {.text = "", .failure = std::make_exception_ptr(too_much_waits())}, lock);
    }
  }
  state.changed.wait(lock, [&] { return state.telling == 0; });
}

void FilePool::State::tell(const RunPointer& run, const FileAnswer& answer, std::unique_lock<std::mutex>& lock) {
  ++telling;
  lock.unlock();
  run->task.done(answer);
  run->task.done = nullptr;
  lock.lock();
  --telling;
  changed.notify_all();
}

void FilePool::State::serve() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return is_stopping || !waiting.is_empty() || threads - lost > limits.threads; });
    const bool is_surplus = threads - lost > limits.threads;
    if (is_stopping || is_surplus) break;
    const RunPointer run = waiting.pop();
    if (run->is_given_up) continue;
    in_line.remove(run);
    running.push_back(run);
    run->deadline = std::chrono::steady_clock::now() + limits.patience;
    changed.notify_all();  // the watch looks at the times again
    lock.unlock();
    const FileAnswer answer = answer_of(*run);
    lock.lock();
    if (is_stopping) break;
    if (!run->is_given_up) {
      running.remove(run);
      tell(run, answer, lock);
      continue;
    }
    --lost;
    const auto stuck = stuck_on.find(run->mount);
    if (stuck == stuck_on.end() || --stuck->second > 0) continue;
    stuck_on.erase(stuck);
    spdlog::info("the file system at {} answers again", run->mount);
  }
  --threads;
}

FileAnswer FilePool::State::answer_of(Run& run) {
  try {
    const MountTable mounts = MountTable::of_now();
    for (const auto& file : run.task.files) {
      follow_path(file, mounts, [&](const std::string& mount) { ask(run, mount); });
    }
    return {.text = run.task.work()};
  } catch (...) {
    return {.text = "", .failure = std::current_exception()};
  }
}

void FilePool::State::ask(Run& run, const std::string& mount) {
  const std::lock_guard lock(mutex);
  if (run.is_given_up) return;  // the thread is counted at the mount that it was asking
  if (stuck_on.contains(mount)) throw unanswered(mount);
  run.mount = mount;
}

// Tells of what takes too long.
void FilePool::State::watch() {
  std::unique_lock lock(mutex);
  while (!is_stopping) {
    const FileTime now = std::chrono::steady_clock::now();
    FileTime next = now + limits.patience;
    RunPointer late;
    for (const auto* const runs : {&running, &in_line}) {
      for (const RunPointer& run : *runs) {
        if (run->deadline <= now) late = run;
        next = std::min(next, run->deadline);
      }
    }
    if (!late) {
      changed.wait_until(lock, next);
      continue;
    }
    const bool is_running = std::ranges::find(running, late) != running.end();
    late->is_given_up = true;
    (is_running ? running : in_line).remove(late);
    if (!is_running) {
      tell(late, {.text = "", .failure = std::make_exception_ptr(not_in_time())}, lock);
      continue;
    }
    ++lost;
    if (stuck_on[late->mount]++ == 0) {
      spdlog::warn("the file system at {} has not answered for {} s; it is asked again once it does", late->mount,
                   std::chrono::duration<double>(limits.patience).count());
    }
    start_threads();
    tell(late, {.text = "", .failure = std::make_exception_ptr(unanswered(late->mount))}, lock);
  }
}

}  // namespace equipoise::coordinator

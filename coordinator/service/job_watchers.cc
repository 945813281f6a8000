#include "coordinator/service/job_watchers.h"

#include <grpcpp/support/slice.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "common/protocol/job_state.h"
#include "coordinator/job/refusal.h"
#include "coordinator/service/rpc_status.h"

namespace equipoise::coordinator {
namespace {

using namespace std::chrono_literals;

constexpr auto kBatchDelay = 50ms;
constexpr int kWatchersAtATime = 32;
constexpr auto kRetryAfter = 5s;  // where there is no place for a watcher

std::shared_ptr<const JobSnapshot> snapshot_of(const v1::TrainingJob& job) {
  auto snapshot = std::make_shared<JobSnapshot>();
  snapshot->revision = job.revision();
  snapshot->is_final = is_final(job.state());
  const grpc::Slice slice(job.SerializeAsString());
  snapshot->bytes = grpc::ByteBuffer(&slice, 1);
  return snapshot;
}

}  // namespace

JobWatchers::JobWatchers(Read read, std::size_t most)
    : read_(std::move(read)), most_(most), thread_([this] { run(); }) {}

JobWatchers::~JobWatchers() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  due_.notify_all();
  thread_.join();
}

void JobWatchers::queue(const std::string& id, Topic& topic, Time due) {
  if (topic.is_queued) return;
  topic.is_queued = true;
  const auto entry = queue_.emplace(due, id);
  if (entry == queue_.begin()) due_.notify_one();
}

void JobWatchers::add(JobWatcher& watcher, const std::string& id, std::int64_t after_revision) {
  const std::lock_guard lock(mutex_);
  if (is_closing_) throw Refusal(Refusal::Code::kUnavailable, "the coordinator is shutting down");
  if (topic_of_.size() >= most_) {
    throw Refusal(
        Refusal::Code::kResourceExhausted, ErrorReason::kLimitReached,
        "there are " + std::to_string(topic_of_.size()) + " watchers, as many as there may be; try again later",
        kRetryAfter);
  }
  topic_of_.emplace(&watcher, id);
  Topic& topic = topics_[id];
  topic.seen.emplace(&watcher, after_revision);
  // Whoever comes anew does not wait for the changes of others to gather.
  if (topic.is_queued) {
    std::erase_if(queue_, [&](const auto& entry) { return entry.second == id; });
    topic.is_queued = false;
  }
  queue(id, topic, std::chrono::steady_clock::now());
}

void JobWatchers::remove(JobWatcher& watcher) {
  const std::lock_guard lock(mutex_);
  const auto known = topic_of_.find(&watcher);
  if (known == topic_of_.end()) return;
  const auto topic = topics_.find(known->second);
  topic->second.seen.erase(&watcher);
  if (topic->second.seen.empty()) topics_.erase(topic);  // what is queued of it finds nobody
  topic_of_.erase(known);
  if (topic_of_.empty()) gone_.notify_all();
}

void JobWatchers::changed(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto topic = topics_.find(id);
  if (topic == topics_.end()) return;
  queue(id, topic->second, std::max(std::chrono::steady_clock::now(), topic->second.quiet_until));
}

void JobWatchers::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (queue_.empty()) {
      due_.wait(lock);
      continue;
    }
    const auto first = queue_.begin();
    const auto now = std::chrono::steady_clock::now();
    if (first->first > now) {
      due_.wait_until(lock, Time(first->first));
      continue;
    }
    const std::string id = std::move(first->second);
    queue_.erase(first);
    const auto topic = topics_.find(id);
    if (topic == topics_.end()) continue;
    // A change from here on is queued again.
    topic->second.is_queued = false;
    topic->second.quiet_until = now + kBatchDelay;
    lock.unlock();
    serve(id);
    lock.lock();
  }
}

void JobWatchers::serve(const std::string& id) {
  try {
    const v1::TrainingJob job = read_(id);
    if (is_news(job)) show(id, snapshot_of(job));
  } catch (...) {
    end(id, status_of(std::current_exception()));
  }
}

bool JobWatchers::is_news(const v1::TrainingJob& job) {
  const std::lock_guard lock(mutex_);
  const auto topic = topics_.find(job.id());
  return topic != topics_.end() &&
         (is_final(job.state()) ||
          std::ranges::any_of(topic->second.seen, [&](const auto& entry) { return entry.second < job.revision(); }));
}

// Some at a time, so that calls that tell of a change need not wait for all.
void JobWatchers::show(const std::string& id, const std::shared_ptr<const JobSnapshot>& job) {
  for (JobWatcher* last = nullptr; show_some(id, job, last);) std::this_thread::yield();
}

bool JobWatchers::show_some(const std::string& id, const std::shared_ptr<const JobSnapshot>& job, JobWatcher*& last) {
  const std::lock_guard lock(mutex_);
  const auto topic = topics_.find(id);
  if (topic == topics_.end()) return false;
  auto& watchers = topic->second.seen;
  auto next = watchers.upper_bound(last);
  for (int shown = 0; shown < kWatchersAtATime && next != watchers.end(); ++shown, ++next) {
    auto& [watcher, seen] = *next;
    last = watcher;
    if (job->revision > seen) {
      seen = job->revision;
      watcher->show(job);
    } else if (job->is_final) {  // it has been shown that, by an earlier stream
      watcher->end(grpc::Status::OK);
    }
  }
  return next != watchers.end();
}

void JobWatchers::end(const std::string& id, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  const auto topic = topics_.find(id);
  if (topic == topics_.end()) return;
  for (const auto& [watcher, seen] : topic->second.seen) watcher->end(status);
}

void JobWatchers::close(std::chrono::milliseconds patience) {
  const grpc::Status status =
      status_of(std::make_exception_ptr(Refusal(Refusal::Code::kUnavailable, "the coordinator is shutting down")));
  std::vector<std::string> with_news;
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
    for (const auto& [due, id] : queue_) with_news.push_back(id);
  }
  for (const std::string& id : with_news) serve(id);
  std::unique_lock lock(mutex_);
  for (const auto& [watcher, id] : topic_of_) watcher->end(status);
  gone_.wait_for(lock, patience, [this] { return topic_of_.empty(); });
}

}  // namespace equipoise::coordinator

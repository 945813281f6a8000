#include "coordinator/http/job_feed.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "common/protocol/job_state.h"
#include "coordinator/http/job_json.h"
#include "coordinator/service/rpc_status.h"

namespace equipoise::coordinator {
namespace {

using namespace std::chrono_literals;

constexpr auto kBetweenEvents = 500ms;
constexpr double kBytesPerSecond = 16.0 * 1024 * 1024;
constexpr std::size_t kMostListed = 200;

std::string event_text(std::string_view name, std::string_view json) {
  std::string text = "event: ";
  text.append(name).append("\ndata: ").append(json).append("\n\n");
  return text;
}

std::chrono::milliseconds pause_after(std::size_t bytes, std::size_t streams) {
  const double seconds = static_cast<double>(bytes) * static_cast<double>(streams) / kBytesPerSecond;
  return std::max<std::chrono::milliseconds>(kBetweenEvents,
                                             std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
}

// Another number where any of the jobs that are listed has changed.
std::uint64_t mark_of(const JobTable::Jobs& jobs) {
  std::uint64_t mark = jobs.size() + 1;
  std::size_t listed = 0;
  for (auto record = jobs.rbegin(); record != jobs.rend() && listed < kMostListed; ++record, ++listed) {
    const auto revision = static_cast<std::uint64_t>(record->second.job.revision());
    mark = (mark * 1'000'003) ^ std::hash<std::uint64_t>()(revision + static_cast<std::uint64_t>(record->first));
  }
  return mark;
}

}  // namespace

void JobFeed::start(HttpServer& server) {
  thread_ = std::thread([this, &server] { run(server); });
}

void JobFeed::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void JobFeed::wake() {
  {
    const std::lock_guard lock(mutex_);
    is_awake_ = true;
  }
  changed_.notify_all();
}

void JobFeed::run(HttpServer& server) {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    is_awake_ = false;
    lock.unlock();
    const auto watched = server.watched();
    look(server, watched);
    lock.lock();
    const auto is_over = [this] { return is_stopping_ || is_awake_; };
    if (watched.empty()) {
      changed_.wait(lock, is_over);
    } else {
      changed_.wait_for(lock, kBetweenEvents / 5, is_over);
    }
  }
}

void JobFeed::look(HttpServer& server, const std::map<std::string, HttpServer::Watched>& watched) {
  std::erase_if(shown_, [&](const auto& entry) { return !watched.contains(entry.first); });
  const Time now = std::chrono::steady_clock::now();
  for (const auto& [topic, streams] : watched) {
    Shown& shown = shown_[topic];
    if (shown.number != streams.number) shown = {.number = streams.number};
    if (now < shown.due) continue;
    if (topic == kAllJobs) {
      look_at_jobs(server, shown, streams);
    } else {
      look_at(server, topic, shown, streams);
    }
  }
}

void JobFeed::look_at_jobs(HttpServer& server, Shown& shown, const HttpServer::Watched& watched) {
  std::optional<std::string> json = shared_.read([&](JobController& core) -> std::optional<std::string> {
    const std::uint64_t mark = mark_of(core.table().jobs());
    if (std::exchange(shown.mark, mark) == mark) return std::nullopt;
    return job_list_json(core.table().jobs(), kMostListed);
  });
  if (!json) return;
  shown.due = std::chrono::steady_clock::now() + pause_after(json->size(), watched.streams);
  server.publish(std::string(kAllJobs), event_text("jobs", *json));
}

void JobFeed::look_at(HttpServer& server, const std::string& id, Shown& shown, const HttpServer::Watched& watched) {
  try {
    const std::optional<v1::TrainingJob> job = shared_.read([&](JobController& core) -> std::optional<v1::TrainingJob> {
      const v1::TrainingJob& found = core.training_jobs().get(id);
      const auto mark = static_cast<std::uint64_t>(found.revision()) + 1;
      if (std::exchange(shown.mark, mark) == mark) return std::nullopt;
      return found;
    });
    if (!job) return;
    std::string event = event_text("job", json_of(*job));
    shown.due = std::chrono::steady_clock::now() + pause_after(event.size(), watched.streams);
    server.publish(id, std::move(event), is_final(job->state()) ? HttpServer::Last::kYes : HttpServer::Last::kNo);
  } catch (...) {  // such as of a job that was deleted
    const HttpResponse answer = error_answer(status_of(std::current_exception()));
    server.publish(id, event_text("failure", std::string_view(answer.body).substr(0, answer.body.size() - 1)),
                   HttpServer::Last::kYes);
    shown.due = std::chrono::steady_clock::now() + kBetweenEvents;
  }
}

}  // namespace equipoise::coordinator

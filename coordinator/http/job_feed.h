// What streams of the HTTP port are sent: jobs as they change, read and made into bytes once for all that watch.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "coordinator/http/http_server.h"
#include "coordinator/service/shared_controller.h"

namespace equipoise::coordinator {

// The topic of the list of jobs; that of a job is its id.
inline constexpr std::string_view kAllJobs = "*";

class JobFeed {
 public:
  // `shared` outlives it.
  explicit JobFeed(SharedController& shared) : shared_(shared) {}
  ~JobFeed() { stop(); }
  JobFeed(const JobFeed&) = delete;
  JobFeed& operator=(const JobFeed&) = delete;

  // Twice a second at most it looks at each topic that somebody watches, less often where events are large or many read
  // them: 16 MiB a second of all streams of a topic. `server` lives until stop().
  void start(HttpServer& server);
  void stop();
  // Somebody new may watch: from any thread.
  void wake();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Shown {
    std::uint64_t number = 0;  // of the topic
    std::uint64_t mark = 0;    // of what was shown last
    Time due{};
  };
  void run(HttpServer& server);
  void look(HttpServer& server, const std::map<std::string, HttpServer::Watched>& watched);
  void look_at_jobs(HttpServer& server, Shown& shown, const HttpServer::Watched& watched);
  void look_at(HttpServer& server, const std::string& id, Shown& shown, const HttpServer::Watched& watched);

  SharedController& shared_;
  std::map<std::string, Shown> shown_;  // of the thread alone
  std::mutex mutex_;                    // guards the two below
  bool is_stopping_ = false, is_awake_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace equipoise::coordinator

// Sends the events of jobs to one URL, in a thread of its own: each at least once, those of a job in their order. What
// it has yet to send is in the database, whatever happens to this process; in memory are the names of jobs alone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/http/http_poster.h"
#include "coordinator/webhook/webhook_cursor.h"
#include "coordinator/webhook/webhook_message.h"

namespace equipoise::coordinator {

struct WebhookSettings {
  HttpAddress address;
  std::filesystem::path secret_file = {};  // empty: what is sent is not signed
  std::filesystem::path ca_file = {};      // whose certificates https takes; empty: those of this machine
  std::string user_agent = "equipoise-coordinator";
  // Of one try, from the connection to the end of the answer.
  std::chrono::milliseconds longest_try{15'000};
  // After a try that failed, and twice as long after each further one; longer where the receiver asks for it.
  std::chrono::milliseconds first_wait{1000}, longest_wait{300'000}, longest_asked_wait{3'600'000};
  std::chrono::milliseconds between_looks{200};  // for new events
};

// Its secret, without the end of its line. Throws std::invalid_argument naming the file: it is not this user's alone,
// or has less than 16 or more than 4096 characters.
std::string read_webhook_secret(const std::filesystem::path& file);

enum class WebhookOutcome {
  kDelivered,  // 2xx
  kRefused,    // 400, 410, 413, 415 or 422: the receiver has it and wants it no more; it is not sent again
  kFailed,     // anything else, redirections among it: it is sent again
};

// The events of a job are damaged: trying again does not help.
class UnreadableEvents : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Of the coordinator; each may be called from the sender's thread at any time, and returns soon.
struct WebhookSource {
  std::function<EventRevisions()> newest;               // of all jobs
  std::function<std::set<std::string>()> take_changed;  // jobs with events stored since the last call
  using Events = std::vector<WebhookEvent>;
  // Ascending, after that revision; empty where the job is gone. `limit` at most. Throws UnreadableEvents; after any
  // other exception they are asked for again.
  std::function<Events(const std::string& job_id, std::int64_t after, std::int64_t limit)> events;
  std::function<void(WebhookOutcome)> count;           // each try
  std::function<void(std::chrono::seconds)> show_age;  // of the oldest event that is yet to be sent; 0: none is
  std::function<std::int64_t()> unix_time;
};

class WebhookSender {
 public:
  // Sends from now on, on from what `cursor_file` says. Where that is not there, from the next event on. Throws
  // std::invalid_argument for a cursor file that cannot be used, and as read_webhook_secret().
  WebhookSender(WebhookSettings settings, const std::filesystem::path& cursor_file, WebhookSource source);
  // Ends a try that is under way.
  ~WebhookSender();
  // No other try begins.
  void end_soon();
  WebhookSender(const WebhookSender&) = delete;
  WebhookSender& operator=(const WebhookSender&) = delete;

 private:
  // Of an answer, or why there is none.
  struct Answer {
    WebhookOutcome outcome = WebhookOutcome::kFailed;
    std::string what;
    std::chrono::seconds retry_after{0};
  };
  void run();
  void look_for_events();
  // False: a try has failed, or this is to end.
  bool send_events(const std::string& job_id);
  Answer send(const WebhookEvent& event);
  void note(const WebhookEvent& event, const Answer& answer);
  bool is_stopping();
  void wait(std::chrono::milliseconds duration);

  const WebhookSettings settings_;
  const WebhookSource source_;
  WebhookCursor cursor_;
  HttpPoster poster_;
  std::set<std::string> pending_;        // jobs that may have events to send
  int failures_ = 0;                     // in a row
  std::chrono::seconds retry_after_{0};  // that the newest of them asked for
  std::mutex mutex_;                     // guards is_stopping_
  std::condition_variable changed_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace equipoise::coordinator

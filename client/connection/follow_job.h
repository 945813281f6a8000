// Follows a job until it ends, shows it, and handles Ctrl-C.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "client/connection/connection.h"
#include "client/connection/job_inbox.h"
#include "client/console/console.h"
#include "client/progress/progress_display.h"

namespace equipoise {

// How long a coordinator that was there has been away. Keeps no clock.
class Absence {
 public:
  // `patience`: the longest absence that is waited for.
  Absence(std::chrono::seconds patience, SteadyTime now) : patience_(patience), last_contact_(now) {}

  void has_contact(SteadyTime now);
  bool is_too_long(SteadyTime now) const { return now - last_contact_ >= patience_; }
  // Once in an absence of over 2 s: people are told that the command waits.
  bool must_be_told(SteadyTime now);

 private:
  std::chrono::seconds patience_;
  SteadyTime last_contact_;
  bool is_told_ = false;
};

// A job's changes, delivered to an inbox from a thread of its own until the job has ended.

// A stream that breaks is opened again and goes on after the revision that was seen last; the inbox gets a note where
// that takes over 2 s, and fails where the coordinator is away for the timeout of the connection. A job that says
// nothing is no absence. `connection` and `inbox` outlive this.
class JobStream {
 public:
  JobStream(Connection& connection, std::string id, JobInbox& inbox);
  ~JobStream();
  JobStream(const JobStream&) = delete;
  JobStream& operator=(const JobStream&) = delete;

 private:
  void run();
  void follow();
  grpc::Status read_until_break();
  void await_contact(grpc::ClientReader<v1::TrainingJob>& reader);
  void read(grpc::ClientReader<v1::TrainingJob>& reader);
  bool may_open_again(const grpc::Status& status);
  bool stopped_within(std::chrono::milliseconds pause);

  Connection& connection_;
  std::string id_;
  JobInbox& inbox_;
  // Of run()'s thread only:
  Absence absence_;
  std::int64_t seen_revision_ = 0;
  bool job_ended_ = false;
  bool has_contact_ = false;  // by the newest stream

  std::mutex mutex_;
  std::condition_variable stop_requested_;
  // Under mutex_:
  bool stopping_ = false;
  std::unique_ptr<grpc::ClientContext> context_;

  std::thread reader_;
};

// What Ctrl-C means to the one who follows.
enum class OnInterrupt {
  // Cancels the job and stays until it has ended; a second one leaves at once. SIGTERM pauses it first, and cancels it
  // where that cannot be.
  kCancelJob,
  kLeave  // the job goes on without a watcher
};

struct FollowedJob {
  v1::TrainingJob job;  // as last seen
  bool interrupted = false;
};

// Returns when the job is in a final state or `is_reached`, PAUSED after SIGTERM with kCancelJob, or earlier after an
// interrupt in `inbox`. Throws what Connection throws.
using JobCondition = std::function<bool(const v1::TrainingJob&)>;
FollowedJob follow_job(Connection& connection, const std::string& id, ProgressDisplay& display, JobInbox& inbox,
                       OnInterrupt on_interrupt, const JobCondition& is_reached = {});

// The end of a command that followed a job: returns if it has succeeded; else throws CommandError with the code for
// the shell and a sentence, followed by `advice` if there is some.
void require_success(const FollowedJob& followed, const std::string& advice = "");

// Follows a job until it is as it was asked to be, or final, with progress; Ctrl-C leaves. Throws CommandError where it
// is not reached.
void follow_until(Connection& connection, const std::string& id, JobInbox& inbox, const Console& console,
                  const JobCondition& is_reached);

// Follows a job of a service, which goes on after Ctrl-C, to its end. Returns it as it was seen last.
FollowedJob follow_until_end(Connection& connection, const std::string& id, JobInbox& inbox, const Console& console);

}  // namespace equipoise

// Who follows which job: a change of a job reaches those that follow it and costs the others nothing. One thread reads
// jobs and hands them out, whatever number of watchers there is; what they are sent is made into bytes once for all.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// A job as it was at a revision.
struct JobSnapshot {
  std::int64_t revision = 0;
  bool is_final = false;
  grpc::ByteBuffer bytes;  // of v1::TrainingJob
};

// Where what one watcher sees is sent to it. None of the calls waits; each is made by the thread of JobWatchers or by
// that of add() or close(), never two at once.
class JobWatcher {
 public:
  virtual ~JobWatcher() = default;
  // Newer than all before; where the one before is not sent yet, in its place. A final one is the last, and the stream
  // then ends with OK.
  virtual void show(std::shared_ptr<const JobSnapshot> job) = 0;
  virtual void end(const grpc::Status& status) = 0;
};

class JobWatchers {
 public:
  // `read` gives the job as it is, or throws what status_of() understands. From the thread, without any lock of this
  // class.
  using Read = std::function<v1::TrainingJob(const std::string& id)>;
  JobWatchers(Read read, std::size_t most);
  ~JobWatchers();
  JobWatchers(const JobWatchers&) = delete;
  JobWatchers& operator=(const JobWatchers&) = delete;

  // The watcher is shown the job as it is, unless that is not newer than `after_revision`, and then every change of it:
  // those within 50 ms as one. Throws Refusal kResourceExhausted where there are as many as there may be, kUnavailable
  // after close(). `watcher` outlives its remove().
  void add(JobWatcher& watcher, const std::string& id, std::int64_t after_revision);
  // No call of it is under way when this returns, and none follows. Nothing where it is none. Not from one of the
  // watcher's own functions.
  void remove(JobWatcher& watcher);
  // Takes no time to speak of, whatever number of watchers there is.
  void changed(const std::string& id);
  // Ends every watcher with UNAVAILABLE and waits for them to be removed, but not for longer than `patience`.
  void close(std::chrono::milliseconds patience);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Topic {                               // a job that somebody follows
    std::map<JobWatcher*, std::int64_t> seen;  // the revision that each was shown last
    bool is_queued = false;
    Time quiet_until{};  // changes until then arrive together
  };

  void run();
  void serve(const std::string& id);
  bool is_news(const v1::TrainingJob& job);
  void show(const std::string& id, const std::shared_ptr<const JobSnapshot>& job);
  void end(const std::string& id, const grpc::Status& status);
  // The caller has mutex_.
  void queue(const std::string& id, Topic& topic, Time due);

  const Read read_;
  const std::size_t most_;
  std::mutex mutex_;  // guards all below; show() and end() of watchers are called under it
  std::condition_variable due_, gone_;
  std::map<std::string, Topic> topics_;
  std::map<JobWatcher*, std::string> topic_of_;
  std::multimap<Time, std::string> queue_;
  bool is_closing_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace equipoise::coordinator

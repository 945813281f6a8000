// A job's changes, delivered to an inbox from a thread of its own until the job has ended.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "client/connection/connection.h"
#include "client/connection/job_inbox.h"

namespace equipoise {

// A stream that breaks is opened again; after the timeout of the connection without an update the inbox fails.
// `connection` and `inbox` outlive this.
class JobStream {
 public:
  JobStream(Connection& connection, std::string id, JobInbox& inbox);
  ~JobStream();
  JobStream(const JobStream&) = delete;
  JobStream& operator=(const JobStream&) = delete;

 private:
  void run();
  grpc::Status read_until_break();
  bool stopped_within(std::chrono::milliseconds pause);

  Connection& connection_;
  std::string id_;
  JobInbox& inbox_;
  std::chrono::steady_clock::time_point last_update_;  // run()'s thread only
  bool job_ended_ = false;                             // run()'s thread only

  std::mutex mutex_;
  std::condition_variable stop_requested_;
  // Under mutex_:
  bool stopping_ = false;
  std::unique_ptr<grpc::ClientContext> context_;

  std::thread reader_;
};

}  // namespace equipoise

// What the one who follows a job waits for: updates of the job, from the stream's thread, and interrupts, from the
// signals' thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "equipoise/v1/training.pb.h"

namespace equipoise {

// May be used from several threads.
class JobInbox {
 public:
  struct Update {
    std::optional<v1::TrainingJob> job;  // the newest since the call before
    bool ended = false;                  // no more will come
    int interrupts = 0;                  // so far
    int last_signal = 0;                 // that of the newest interrupt; 0: there was none
    std::vector<std::string> notes;      // sentences for people, since the call before
  };

  void put(const v1::TrainingJob& job);
  void note(std::string sentence);
  void end();
  void fail(std::exception_ptr cause);  // ends with an exception for the reader
  void interrupt(int signal);

  // Returns at once with what is new, or after `timeout` without. Throws what `fail` was given.
  Update wait(std::chrono::milliseconds timeout);
  bool interrupted() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_:
  std::optional<v1::TrainingJob> job_;
  std::vector<std::string> notes_;
  std::exception_ptr failure_;
  bool ended_ = false;
  int interrupts_ = 0;
  int last_signal_ = 0;
  int seen_interrupts_ = 0;
};

}  // namespace equipoise

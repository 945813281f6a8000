// Threads for work on files of runs. The file system that they are on may never answer, as one over a network whose
// server is gone: a thread that has asked it waits for ever, and cannot be ended. So all such work has threads of its
// own, and is done outside of the core's lock; whoever waits for it is told after a while, and a mount that does not
// answer is asked no more until it does.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/job/file_errands.h"

namespace equipoise::coordinator {

struct FilePoolLimits {
  std::size_t threads = 4;
  std::size_t most_lost = 16;  // threads that wait for a mount: beyond, work waits for one of them in vain
  std::size_t most_waiting = 8192;
  std::size_t most_of_one = 4096;  // of one caller
  std::chrono::milliseconds patience{5000};
  std::chrono::milliseconds patience_of_many{30'000};  // with work on many files of a mount that has just answered
};

// What came of work: its text, or why there is none.
struct FileAnswer {
  std::string text;
  std::exception_ptr failure = nullptr;
};

class FileRun;

// May be used from any thread.
class FilePool final : public FileErrands {
 public:
  explicit FilePool(FilePoolLimits limits = {});
  // stop(), and errands to mounts that answer are done.
  ~FilePool() override;
  FilePool(const FilePool&) = delete;
  FilePool& operator=(const FilePool&) = delete;

  enum class Amount { kOneFile, kManyFiles };
  struct Task {
    std::string caller;                        // callers take turns
    std::vector<std::filesystem::path> files;  // that the work asks for: absolute, or empty
    // Owns all that it uses, or uses it in FileRun::apart(): it may end long after this object has.
    std::function<std::string(FileRun&)> work;
    // Called once, soon, from any thread, here where nothing can be taken. The failure is what `work` threw, or Refusal
    // kUnavailable where a mount does not answer, kResourceExhausted where too much waits. It throws nothing.
    std::function<void(const FileAnswer&)> done;
    Amount amount = Amount::kOneFile;
  };
  void run(Task task);
  // Waits for its mount, however long, and is never refused.
  void run_errand(const std::filesystem::path& place, std::function<void()> work) override;
  // No `done` is called when it returns, nor any call of FileRun::apart() under way; those that wait are called first.
  // Errands go on.
  void stop();

 private:
  friend class FileRun;
  struct State;
  const std::shared_ptr<State> state_;  // which threads that never come back keep
};

// What work on files tells of itself. Of one thread.
class FileRun {
 public:
  // To be called before the first file of a mount is asked for, which has answered when it returns: links of `file`
  // are followed. Throws Refusal kUnavailable where it does not answer, or nobody waits for the work any more.
  void reach(const std::filesystem::path& file);
  // call(), which asks for no file: no mount is to blame for the time that it takes. Throws Refusal kUnavailable where
  // nobody waits for the work any more.
  template <typename Call>
  auto apart(const Call& call) {
    begin_apart();
    const End end(*this);
    return call();
  }
  // The same whoever waits, but for a pool that was stopped: nothing is called then.
  template <typename Call>
  void apart_at_last(const Call& call) {
    if (!may_begin_apart()) return;
    const End end(*this);
    call();
  }

 private:
  friend struct FilePool::State;
  struct Run;
  struct End {
    explicit End(FileRun& one) : run(one) {}
    ~End() { run.end_apart(); }
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    FileRun& run;
  };
  FileRun(FilePool::State& state, Run& run) : state_(state), run_(run) {}
  void begin_apart();
  bool may_begin_apart();
  void end_apart();

  FilePool::State& state_;
  Run& run_;
};

}  // namespace equipoise::coordinator

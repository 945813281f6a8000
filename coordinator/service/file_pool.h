// Threads for work on files of runs. The file system that they are on may never answer, as one over a network whose
// server is gone: a thread that has asked it waits for ever, and cannot be ended. So such work has threads of its own,
// whoever waits for it is told after a while, and a mount that does not answer is asked no more until it does.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace equipoise::coordinator {

struct FilePoolLimits {
  std::size_t threads = 2;
  std::size_t most_lost = 16;  // threads that wait for a mount: beyond, work waits for one of them in vain
  std::size_t most_waiting = 512;
  std::size_t most_of_one = 64;  // of one caller
  std::chrono::milliseconds patience{5000};
};

// What came of work: its text, or why there is none.
struct FileAnswer {
  std::string text;
  std::exception_ptr failure = nullptr;
};

// May be used from any thread.
class FilePool {
 public:
  explicit FilePool(FilePoolLimits limits = {});
  // stop().
  ~FilePool();
  FilePool(const FilePool&) = delete;
  FilePool& operator=(const FilePool&) = delete;

  struct Task {
    std::string caller;                        // callers take turns
    std::vector<std::filesystem::path> files;  // that the work asks for: absolute, or empty. Links are followed first
    // Owns all that it uses: it may end long after this object has.
    std::function<std::string()> work;
    // Called once, soon, from any thread, here where nothing can be taken. The failure is what `work` threw, or Refusal
    // kUnavailable where a mount does not answer, kResourceExhausted where too much waits. It throws nothing.
    std::function<void(const FileAnswer&)> done;
  };
  void run(Task task);
  // No `done` is called when it returns; those that wait are called first.
  void stop();

 private:
  struct State;
  const std::shared_ptr<State> state_;  // which threads that never come back keep
};

}  // namespace equipoise::coordinator

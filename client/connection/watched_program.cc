#include "client/connection/watched_program.h"

#include <csignal>
#include <exception>
#include <utility>

namespace equipoise {

WatchedProgram::WatchedProgram(ProgramStart start, JobInbox& inbox)
    : inbox_(inbox), thread_([this, start = std::move(start)] { watch(start); }) {}

WatchedProgram::~WatchedProgram() {
  signal(SIGKILL);
  thread_.join();
}

void WatchedProgram::signal(int number) {
  const std::lock_guard lock(mutex_);
  if (process_) process_->signal_group(number);
}

void WatchedProgram::watch(const ProgramStart& start) {
  try {
    auto process = std::make_shared<ChildProcess>(start);
    {
      const std::lock_guard lock(mutex_);
      process_ = process;
    }
    exit_code_ = process->wait();
    inbox_.end();
  } catch (...) {
    inbox_.fail(std::current_exception());
  }
}

}  // namespace equipoise

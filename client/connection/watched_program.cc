#include "client/connection/watched_program.h"

#include <csignal>
#include <exception>
#include <stdexcept>
#include <utility>

#include "client/console/console.h"
#include "common/base/error.h"
#include "common/process/program_log.h"

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

void check_end(int exit_code, const std::filesystem::path& log, const std::string& program, const std::string& whole) {
  if (exit_code == 0) return;
  const std::string error = first_error_of(log, program);
  if (!error.empty() && exit_code == static_cast<int>(ExitCode::kBadInput)) throw std::invalid_argument(error);
  const std::string reason = error.empty() ? last_informative_line_of(log) : error;
  throw PeerError(reason.empty() ? whole + " ended with exit code " + std::to_string(exit_code) : reason);
}

}  // namespace equipoise

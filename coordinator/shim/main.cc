// equipoise-shim: the parent of an attempt's mpirun, so that the attempt outlives the coordinator that started it and
// the next coordinator learns how it ended (docs/decisions/0016-a-shim-for-each-attempt.md).
//
//   equipoise-shim FILE STDOUT STDERR PROGRAM ARGUMENT ...
//   equipoise-shim --help | --version
//
// FILE is the attempt's (common/process/attempt_file.h), made by the coordinator. SIGTERM, SIGINT and SIGHUP ask
// PROGRAM to end, SIGUSR1 kills its whole group; when the shim itself is killed, PROGRAM dies with it. Exit code 0 once
// PROGRAM has ended, however it did; 1 where it could not be started; 2 where nothing may be started.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/build_version.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/process/attempt_file.h"
#include "common/process/child_process.h"
#include "common/process/process_handle.h"

namespace equipoise {
namespace {

constexpr int kRefused = 1;
constexpr int kMayNotStart = 2;
constexpr const char* kUsage = "equipoise-shim: started by equipoise-coordinator, with FILE STDOUT STDERR PROGRAM ...";

// Before there is a child, so that its end is never missed.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// PROGRAM's exit code.
int watch(ChildProcess& program, const sigset_t& signals) {
  while (true) {
    if (const std::optional<int> code = program.poll()) return *code;
    int signal = 0;
    if (sigwait(&signals, &signal) != 0 || signal == SIGCHLD) continue;
    if (signal == SIGUSR1) {
      program.signal_group(SIGKILL);
    } else {  // alone: mpirun ends its ranks on other hosts through the ssh that is of its group, and waits for them
      program.signal(SIGTERM);
    }
  }
}

int run(const std::filesystem::path& path, const ProgramStart& start) {
  const sigset_t signals = block_signals();
  AttemptFile file = AttemptFile::open(path);
  if (!file.lock(path)) {
    std::fprintf(stderr, "equipoise-shim: %s is locked by another process, or was removed\n", path.c_str());
    return kMayNotStart;
  }
  file.write_shim(::getpid(), process_start_time(::getpid()).value_or(0));
  std::optional<ChildProcess> program;
  try {
    program.emplace(start);
  } catch (const PeerError& refused) {
    file.write_refusal(refused.what());
    return kRefused;
  }
  file.write_started();
  file.write_exit(watch(*program, signals));
  return 0;
}

}  // namespace
}  // namespace equipoise

int main(int argc, char** argv) {
  equipoise::open_standard_streams();
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 1 && (words[0] == "--help" || words[0] == "--version")) {
    const bool is_help = words[0] == "--help";
    std::printf("%s\n", is_help ? equipoise::kUsage : ("equipoise-shim " + equipoise::build_version()).c_str());
    return 0;
  }
  constexpr std::size_t kBeforeProgram = 3;
  if (words.size() <= kBeforeProgram) {
    std::fprintf(stderr, "%s\n", equipoise::kUsage);
    return equipoise::kMayNotStart;
  }
  try {
    return equipoise::run(words[0], {.command = {words.begin() + kBeforeProgram, words.end()},
                                     .environment = {},
                                     .stdout_file = words[1],
                                     .stderr_file = words[2]});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "equipoise-shim: %s\n", error.what());
    return equipoise::kMayNotStart;
  }
}

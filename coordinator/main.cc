// equipoise-coordinator: serves until SIGTERM or SIGINT; a second one ends what the first still waits for. Exit code 0;
// 2 when it cannot begin, with one line that says why. With --check: 1 where a job is damaged.
#include <grpc/support/log.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/durable_file.h"
#include "common/base/environment.h"
#include "common/base/message_text.h"
#include "common/base/standard_streams.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/state_audit.h"
#include "coordinator/lifecycle/clock.h"
#include "coordinator/options.h"
#include "coordinator/server/coordinator_server.h"
#include "coordinator/service/log_format.h"
#include "coordinator/service/log_sink.h"
#include "coordinator/store/database.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/state_folder.h"

namespace equipoise::coordinator {
namespace {

constexpr int kDamaged = 1;
constexpr int kCannotBegin = 2;
constexpr const char* kDamagedHint =
    "; --check tells what is damaged, --check --quarantine keeps what can be read; where neither can open the "
    "database, "
    "restore a backup";

// Why it cannot begin: one line, whatever files and flags have in it.
void say_why(const std::string& text) {
  std::fprintf(stderr, "equipoise-coordinator: %s\n", one_line(text, text.size()).c_str());
}

void set_up_log(const std::string& level) {
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("coordinator", std::make_shared<ErrorStreamSink>()));
  spdlog::set_formatter(std::make_unique<OneLineFormatter>("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v"));
  spdlog::set_level(spdlog::level::from_str(level));
  // gRPC's own lines are for those who look into gRPC.
  gpr_set_log_function([](gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); });
}

// Before any thread is made, so that all of them leave these signals to sigwait() below.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Of its terminal; under nohup it is ignored, and stays so.
  struct sigaction hangup {};
  const bool is_ignored = sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
  if (!is_ignored) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// False: the parent has ended already.
bool follow_parent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  return getppid() == parent;
}

// Nobody is left who would.
void remove_quietly(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

void announce(const std::filesystem::path& file, const CoordinatorServer& server) {
  const nlohmann::json content = {{"address", server.address()},
                                  {"metrics", server.http_address()},
                                  {"http", server.http_address()},
                                  {"pid", static_cast<std::int64_t>(getpid())}};
  remove_abandoned(file);
  write_durably(file, content.dump() + "\n");
}

void print_jobs(const std::vector<DamagedJob>& jobs, const char* what) {
  for (const DamagedJob& damaged : jobs) {
    std::printf("job %s: %s%s\n", damaged.job.id().c_str(), what, damaged.why.c_str());
  }
}

int check_state_folder(const Options& options) {
  const bool sets_aside = options.state_check == StateCheck::kQuarantine;
  const StateFolder folder = StateFolder::existing(options.server.state);
  JobStore store(folder.database(), sets_aside ? Access::kReadWrite : Access::kReadOnly);
  const StateAudit audit = audit_state(store);
  const std::vector<std::string> replaced =
      sets_aside ? quarantine(store, audit, SystemClock().wall()) : std::vector<std::string>();
  for (const std::string& fault : audit.file_faults) std::printf("database: %s\n", fault.c_str());
  for (const std::string& table : replaced) std::printf("database: %s\n", table.c_str());
  print_jobs(audit.set_aside, "set aside before: ");
  print_jobs(audit.damaged, sets_aside ? "set aside: " : "");
  std::printf("%zu jobs checked, %zu damaged\n", audit.jobs, audit.damaged.size());
  const bool is_whole = audit.file_faults.empty() && (sets_aside || audit.damaged.empty());
  return is_whole ? 0 : kDamaged;
}

const char* name_of(int signal) { return signal == SIGINT ? "SIGINT" : signal == SIGHUP ? "SIGHUP" : "SIGTERM"; }

// While it lives, another stop signal ends the wait for ranks that leave.
class SecondSignal {
 public:
  SecondSignal(const sigset_t& signals, CoordinatorServer& server)
      : thread_([this, signals, &server] { listen(signals, server); }) {}
  ~SecondSignal() {
    is_over_ = true;
    thread_.join();
  }
  SecondSignal(const SecondSignal&) = delete;
  SecondSignal& operator=(const SecondSignal&) = delete;

 private:
  void listen(const sigset_t& signals, CoordinatorServer& server) const {
    constexpr timespec kPoll{.tv_sec = 0, .tv_nsec = 50'000'000};
    while (!is_over_) {
      const int signal = sigtimedwait(&signals, nullptr, &kPoll);
      if (signal < 0) continue;
      if (signal == SIGHUP) continue;  // a terminal and its shell both send it
      spdlog::info("{} again: not waiting for ranks that leave", name_of(signal));
      server.hurry();
    }
  }

  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

int serve(const Options& options, const sigset_t& stop_signals) {
  for (const std::string& unknown : unknown_variables()) spdlog::warn("{}", unknown);
  const SystemClock clock;
  SystemRandomSource random_source;
  CoordinatorServer server(options.server, clock, random_source);
  if (options.announce) announce(*options.announce, server);
  spdlog::info("serving on {}, the page and metrics on {}, state in {}", server.address(),
               server.http_address().empty() ? "nothing" : server.http_address(), options.server.state.string());
  if (const auto allocation = allocation_text()) {
    spdlog::info("inside of {}: {}", *allocation,
                 options.server.allocation == Allocation::kUsed ? "ranks are launched on its nodes"
                                                                : "not used for ranks; --allocation uses its nodes");
  }
  int signal = 0;
  sigwait(&stop_signals, &signal);
  spdlog::info("{}: stopping", name_of(signal));
  const SecondSignal second(stop_signals, server);
  server.shut_down();
  return 0;
}

}  // namespace
}  // namespace equipoise::coordinator

int main(int argc, char** argv) {
  using namespace equipoise::coordinator;
  equipoise::open_standard_streams();
  const pid_t parent = getppid();
  try {
    const std::optional<Options> options = parse_options(argc, argv);
    if (!options) return 0;
    if (options->state_check != StateCheck::kNone) return check_state_folder(*options);
    const sigset_t stop_signals = block_stop_signals();
    set_up_log(options->log_level);
    if (options->exit_with_parent && !follow_parent(parent)) return 0;
    const int code = serve(*options, stop_signals);
    if (options->private_folder && getppid() != parent) remove_quietly(*options->private_folder);
    return code;
  } catch (const StoreError& error) {
    const bool is_damaged = error.cause() == StoreError::Cause::kDamaged;
    say_why(std::string(error.what()) + (is_damaged ? kDamagedHint : ""));
    return kCannotBegin;
  } catch (const std::exception& error) {
    say_why(error.what());
    return kCannotBegin;
  }
}

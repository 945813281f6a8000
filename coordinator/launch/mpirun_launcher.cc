#include "coordinator/launch/mpirun_launcher.h"

#include <unistd.h>

#include <csignal>
#include <fstream>
#include <future>
#include <iterator>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/network_interfaces.h"
#include "common/process/program_log.h"

namespace equipoise::coordinator {
namespace {

std::vector<std::string> interface_names() {
  std::vector<std::string> names;
  for (const NetworkInterface& interface : network_interfaces()) names.push_back(interface.name);
  return names;
}

// mpirun reads it once, at its start.
void write_hosts(const std::filesystem::path& file, const std::vector<HostSlots>& hosts) {
  std::ofstream stream(file);
  stream << hostfile_text(hosts) << std::flush;
  if (!stream) throw PeerError(file.string() + " cannot be written");
}

ProgramStart program_for(const LaunchSettings& settings, const LaunchRequest& request) {
  const auto folder = settings.logs / request.attempt.job_id / std::to_string(request.attempt.generation);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw PeerError(folder.string() + " cannot be made: " + error.message());
  if (!request.hosts.empty()) write_hosts(folder / "hosts", request.hosts);
  const std::vector<std::string> ours = own_environment();
  const McaParameters mca = read_mca_parameters(ours, mca_files(ours));
  RankEnvironment environment = rank_environment(ours, mca, request.environment, settings.allocation);
  environment.added.push_back(std::string(kAttemptTokenVariable) + "=" + request.token);
  for (std::string& name : overruled_variables(request)) environment.removed.push_back(std::move(name));
  return {.command = mpirun_command(settings, request,
                                    {.hostfile = folder / "hosts",
                                     .passed = environment.passed,
                                     .mca = mca,
                                     .interfaces = interface_names(),
                                     .run_as = ::geteuid() == 0 ? RunAs::kRoot : RunAs::kUser}),
          .environment = environment.added,
          .removed = environment.removed,
          .stdout_file = folder / "stdout.log",
          .stderr_file = folder / "stderr.log"};
}

std::string why_it_ended(const ProgramStart& program) {
  const std::string line = last_informative_line_of(program.stderr_file);
  return line.empty() ? last_informative_line_of(program.stdout_file) : line;
}

bool tells_of_lost_host(const std::string& log) {
  return log.find("has lost communication with a remote daemon") != std::string::npos;
}

}  // namespace

MpirunLauncher::MpirunLauncher(LaunchSettings settings, OnExit on_exit)
    : settings_(std::move(settings)), on_exit_(std::move(on_exit)) {}

MpirunLauncher::~MpirunLauncher() {
  std::map<AttemptKey, Attempt> attempts;
  {
    const std::lock_guard lock(mutex_);
    attempts.swap(attempts_);
  }
  for (auto& [key, attempt] : attempts) attempt.process->signal_group(SIGKILL);
  for (auto& [key, attempt] : attempts) attempt.thread.join();
}

void MpirunLauncher::start(const LaunchRequest& request) {
  remove_ended();
  ProgramStart program = program_for(settings_, request);
  std::promise<std::shared_ptr<ChildProcess>> started;
  auto process = started.get_future();
  auto ended = std::make_shared<std::atomic<bool>>(false);
  std::thread thread([this, key = request.attempt, program, ended, started = std::move(started)]() mutable {
    std::shared_ptr<ChildProcess> child;
    try {
      child = std::make_shared<ChildProcess>(program);
    } catch (...) {
      started.set_exception(std::current_exception());
      return;
    }
    started.set_value(child);
    const int exit_code = child->wait();
    std::string log = tail_of(program.stderr_file);
    on_exit_({.attempt = key,
              .exit_code = exit_code,
              .last_line = why_it_ended(program),
              .lost_contact = tells_of_lost_host(log),
              .first_end = first_rank_end(log),
              .log = std::move(log)});
    *ended = true;
  });
  try {
    std::shared_ptr<ChildProcess> child = process.get();
    const std::lock_guard lock(mutex_);
    attempts_[request.attempt] = {.process = std::move(child), .ended = ended, .thread = std::move(thread)};
  } catch (...) {
    thread.join();
    throw;
  }
}

void MpirunLauncher::terminate(const AttemptKey& attempt) { signal(attempt, SIGTERM); }
void MpirunLauncher::kill(const AttemptKey& attempt) { signal(attempt, SIGKILL); }

void MpirunLauncher::signal(const AttemptKey& attempt, int signal) {
  const std::lock_guard lock(mutex_);
  if (const auto known = attempts_.find(attempt); known != attempts_.end()) known->second.process->signal_group(signal);
}

void MpirunLauncher::remove_ended() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    for (auto attempt = attempts_.begin(); attempt != attempts_.end();) {
      const bool is_over = *attempt->second.ended;
      if (is_over) threads.push_back(std::move(attempt->second.thread));
      attempt = is_over ? attempts_.erase(attempt) : std::next(attempt);
    }
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace equipoise::coordinator

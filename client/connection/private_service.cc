#include "client/connection/private_service.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <vector>

#include "client/console/console.h"
#include "common/base/error.h"
#include "common/base/secret_file.h"
#include "common/base/service_access.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kStartPatience{30};
constexpr std::chrono::seconds kStopPatience{15};
constexpr std::chrono::milliseconds kProcessPoll{10};
constexpr const char* kAnnouncement = "announcement.json";
constexpr const char* kTokens = "tokens";

std::vector<std::string> arguments(const CoordinatorOptions& options, const std::filesystem::path& announcement) {
  std::vector<std::string> words = {options.program.string(), "--listen", "127.0.0.1:0", "--metrics-listen", "",
                                    "--tokens", (options.folder / kTokens).string(), "--state",
                                    (options.folder / "state").string(), "--announce", announcement.string(),
                                    "--exit-with-parent", "--private-folder", options.folder.string(),
                                    // Less than is waited for in stop(), with what its end takes.
                                    "--shutdown-grace", "10"};
  if (!options.log_level.empty()) words.insert(words.end(), {"--log-level", options.log_level});
  return words;
}

// A new token, which the file in the folder has the digest of.
ServiceAccess new_access(const std::filesystem::path& folder) {
  ServiceAccess access;
  access.token = new_token();
  std::error_code ignored;
  std::filesystem::remove(folder / kTokens, ignored);
  write_secret_file(folder / kTokens, token_line({.role = "admin", .name = "owner"}, access.token));
  return access;
}

ProgramStart coordinator_start(const CoordinatorOptions& options, const std::filesystem::path& announcement,
                               const std::filesystem::path& log) {
  ProgramStart start{.command = arguments(options, announcement),
                     .environment = {},
                     .stdout_file = log,
                     .stderr_file = log,
                     .signal_at_our_end = 0};  // it ends its jobs first
  start.environment.insert(start.environment.end(), options.settings.begin(), options.settings.end());
  return start;
}

}  // namespace

CoordinatorProcess::CoordinatorProcess(const CoordinatorOptions& options, const std::function<bool()>& stop)
    : access_(new_access(options.folder)),
      log_(options.folder / "coordinator.log"),
      process_(coordinator_start(options, options.folder / kAnnouncement, log_)) {
  // The destructor does not run for an object whose constructor throws.
  try {
    wait_until_serving(options.folder / kAnnouncement, stop);
  } catch (...) {
    this->stop();
    throw;
  }
}

CoordinatorProcess::~CoordinatorProcess() { stop(); }

void CoordinatorProcess::wait_until_serving(const std::filesystem::path& announcement,
                                            const std::function<bool()>& stop) {
  const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
  while (true) {
    // It appears whole, by a rename, once the coordinator serves.
    std::ifstream file(announcement);
    if (file) return read_announcement(file);
    if (process_.poll()) {
      const std::string said = last_line(log_);
      throw PeerError("the coordinator did not start: " + (said.empty() ? "it said nothing" : said) + " (" + end() +
                      ")");
    }
    if (stop()) throw CommandError(ExitCode::kInterrupted, "interrupted");
    if (std::chrono::steady_clock::now() > deadline) {
      throw PeerError("the coordinator did not serve within " + std::to_string(kStartPatience.count()) + " s; see " +
                      log_.string());
    }
    std::this_thread::sleep_for(kProcessPoll);
  }
}

void CoordinatorProcess::read_announcement(std::istream& file) {
  const auto content = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const auto address = content.is_object() ? content.find("address") : content.end();
  if (address == content.end() || !address->is_string()) throw PeerError("the coordinator did not say its address");
  address_ = address->get<std::string>();
}

std::string CoordinatorProcess::end() {
  constexpr int kSignalBase = 128;  // as ChildProcess has it
  const std::optional<int> code = process_.poll();
  if (!code) return "";
  if (*code > kSignalBase) return "killed by signal " + std::to_string(*code - kSignalBase);
  return "exit code " + std::to_string(*code);
}

void CoordinatorProcess::stop() noexcept {
  process_.signal_group(SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + kStopPatience;
  while (!process_.poll() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(kProcessPoll);
  process_.signal_group(SIGKILL);
  process_.wait();
}

std::filesystem::path program_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

std::string last_line(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  }
  return last;
}

namespace {

// The coordinator is on this machine and was there a moment ago.
constexpr std::chrono::seconds kPatience{5};

}  // namespace

class PrivateService::Listening {
 public:
  Listening(PrivateService& service, JobInbox& inbox) : service_(service) {
    const std::lock_guard lock(service_.mutex_);
    service_.inbox_ = &inbox;
    if (service_.signal_ != 0) inbox.interrupt(service_.signal_);
  }
  ~Listening() {
    const std::lock_guard lock(service_.mutex_);
    service_.inbox_ = nullptr;
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  PrivateService& service_;
};

PrivateService::PrivateService(const std::string& log_level)
    : interrupts_([this](int signal) { interrupt(signal); }),
      coordinator_({.program = program_folder() / "equipoise-coordinator",
                    .folder = folder_.path(),
                    .log_level = log_level,
                    .settings = folder_.mpirun_settings()},
                   [this] { return interrupted(); }) {}

void PrivateService::interrupt(int signal) {
  const std::lock_guard lock(mutex_);
  signal_ = signal;
  if (inbox_ != nullptr) inbox_->interrupt(signal);
}

bool PrivateService::interrupted() {
  const std::lock_guard lock(mutex_);
  return signal_ != 0;
}

v1::TrainingJob PrivateService::run(const v1::JobSpec& spec, ProgressDisplay& display) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  return run(request, display);
}

v1::TrainingJob PrivateService::run(const v1::CreateTrainingJobRequest& request, ProgressDisplay& display) {
  if (interrupted()) throw CommandError(ExitCode::kInterrupted, "interrupted");
  JobInbox inbox;
  const Listening listening(*this, inbox);
  const FollowedJob followed = follow(request, inbox, display);
  require_success(followed, failure_advice(request.spec(), followed.job));
  return followed.job;
}

// What is wrong with the input stands in the reason; no log says more.
std::string PrivateService::failure_advice(const v1::JobSpec& spec, const v1::TrainingJob& job) {
  const bool log_helps = job.state() == v1::JOB_STATE_FAILED && job.failure_kind() != v1::FAILURE_KIND_INVALID_INPUT;
  return log_helps ? "log: " + keep_logs(spec.output(), job.id()).string() + folder_.disk_space_advice() : "";
}

void PrivateService::run_until(const v1::CreateTrainingJobRequest& request, ProgressDisplay& display,
                               const JobCondition& is_reached) {
  if (interrupted()) throw CommandError(ExitCode::kInterrupted, "interrupted");
  JobInbox inbox;
  const Listening listening(*this, inbox);
  const v1::JobSpec& spec = request.spec();
  const FollowedJob followed = follow(request, inbox, display, is_reached);
  const v1::TrainingJob& job = followed.job;
  if (job.state() == v1::JOB_STATE_SUCCEEDED) return;
  const bool has_failed = job.state() == v1::JOB_STATE_FAILED || job.state() == v1::JOB_STATE_CANCELLED;
  if (has_failed || followed.interrupted || !is_reached(job)) {
    return require_success(followed, failure_advice(spec, job));
  }
  Connection connection({coordinator_.address(), kPatience, coordinator_.access()},
                        [&inbox] { return inbox.interrupted(); });
  if (!connection.pause_unless_ended(job.id())) return;
  const auto silent = make_silent_display();
  JobInbox leaving;
  const FollowedJob left = follow_job(connection, job.id(), *silent, leaving, OnInterrupt::kCancelJob,
                                      [](const v1::TrainingJob& now) { return now.state() == v1::JOB_STATE_PAUSED; });
  if (left.job.state() == v1::JOB_STATE_FAILED) require_success(left, failure_advice(spec, left.job));
  if (left.job.state() == v1::JOB_STATE_PAUSED) connection.cancel_unless_ended(job.id());
}

FollowedJob PrivateService::follow(const v1::CreateTrainingJobRequest& request, JobInbox& inbox,
                                   ProgressDisplay& display, const JobCondition& is_reached) {
  try {
    Connection connection({coordinator_.address(), kPatience, coordinator_.access()},
                          [&inbox] { return inbox.interrupted(); });
    const v1::TrainingJob job = connection.create_job(request);
    // Nobody else can resume it.
    const auto is_over = [&is_reached](const v1::TrainingJob& now) {
      return now.state() == v1::JOB_STATE_PAUSED || (is_reached && is_reached(now));
    };
    return follow_job(connection, job.id(), display, inbox, OnInterrupt::kCancelJob, is_over);
  } catch (const CoordinatorUnreachable& error) {
    // It is ours: that it is gone is no fault of the user's.
    const std::string end = coordinator_.end();
    throw PeerError(std::string("the private coordinator ") +
                    (end.empty() ? "does not answer" : "ended (" + end + ")") +
                    "; log: " + keep_logs(request.spec().output(), "").string() + folder_.disk_space_advice());
  }
}

std::filesystem::path PrivateService::keep_logs(const std::filesystem::path& output, const std::string& job_id) {
  std::vector<std::filesystem::path> files = {coordinator_.log()};
  const std::filesystem::path ranks = folder_.path() / "state" / "logs" / job_id;
  std::error_code ignored;
  for (const auto& file : std::filesystem::recursive_directory_iterator(ranks, ignored)) {
    if (file.is_regular_file(ignored)) files.push_back(file.path());
  }
  return folder_.keep_logs(output / "failure", files);
}

}  // namespace equipoise

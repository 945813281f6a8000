#include "client/private_service.h"

#include <chrono>

#include "common/base/error.h"

namespace equipoise {
namespace {

// The coordinator is on this machine and was there a moment ago.
constexpr std::chrono::seconds kPatience{5};

}  // namespace

class PrivateService::Listening {
 public:
  Listening(PrivateService& service, JobInbox& inbox) : service_(service) {
    const std::lock_guard lock(service_.mutex_);
    service_.inbox_ = &inbox;
    if (service_.interrupted_) inbox.interrupt();
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
    : interrupts_([this] { interrupt(); }),
      coordinator_({.program = program_folder() / "equipoise-coordinator",
                    .folder = folder_.path(),
                    .log_level = log_level,
                    .setting = folder_.mpirun_setting()},
                   [this] { return interrupted(); }) {}

void PrivateService::interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  if (inbox_ != nullptr) inbox_->interrupt();
}

bool PrivateService::interrupted() {
  const std::lock_guard lock(mutex_);
  return interrupted_;
}

v1::TrainingJob PrivateService::run(const v1::JobSpec& spec, ProgressDisplay& display) {
  if (interrupted()) throw CommandError(ExitCode::kInterrupted, "interrupted");
  JobInbox inbox;
  const Listening listening(*this, inbox);
  const FollowedJob followed = follow(spec, inbox, display);
  // What is wrong with the input stands in the reason; no log says more.
  const v1::TrainingJob& job = followed.job;
  const bool log_helps = job.state() == v1::JOB_STATE_FAILED && job.failure_kind() != v1::FAILURE_KIND_INVALID_INPUT;
  require_success(followed,
                  log_helps ? "log: " + keep_logs(spec.output(), job.id()).string() + folder_.disk_space_advice() : "");
  return job;
}

FollowedJob PrivateService::follow(const v1::JobSpec& spec, JobInbox& inbox, ProgressDisplay& display) {
  try {
    Connection connection({coordinator_.address(), kPatience}, [&inbox] { return inbox.interrupted(); });
    v1::CreateTrainingJobRequest request;
    *request.mutable_spec() = spec;
    const v1::TrainingJob job = connection.create_job(request);
    return follow_job(connection, job.id(), display, inbox, OnInterrupt::kCancelJob);
  } catch (const CoordinatorUnreachable& error) {
    // It is ours: that it is gone is no fault of the user's.
    const std::string end = coordinator_.end();
    throw PeerError(std::string("the private coordinator ") +
                    (end.empty() ? "does not answer" : "ended (" + end + ")") +
                    "; log: " + keep_logs(spec.output(), "").string() + folder_.disk_space_advice());
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

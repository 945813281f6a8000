#include "worker/training/run_output.h"

#include <sys/stat.h>

#include <stdexcept>
#include <system_error>

#include "common/base/durable_file.h"
#include "common/config/job_file.h"
#include "common/config/output_check.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPreviousFinal = "final.previous";
constexpr const char* kFailure = "failure";  // logs of a run that failed
constexpr std::chrono::seconds kBetweenChecks{1};

// What earlier runs left is looked at only once nobody else can be writing there.
OutputLock locked_output(const JobConfig& config, const std::string& job_id) {
  check_output_place(config);
  OutputLock lock =
      OutputLock::of_writer({.field = "output", .path = config.output}, {.program = "equipoise-worker", .job = job_id});
  check_output_free(config);
  return lock;
}

}  // namespace

RunOutput::RunOutput(const JobConfig& config, const std::string& job_id)
    : config_(config), lock_(locked_output(config, job_id)), checked_at_(std::chrono::steady_clock::now()) {}

void RunOutput::prepare(const v1::JobSpec& spec, const ShardPlan& plan) {
  check_now();
  std::error_code error, ignored;
  if (fs::exists(fs::symlink_status(config_.output / "final", ignored))) {
    fs::remove_all(config_.output / kPreviousFinal, error);
    if (!error) fs::rename(config_.output / "final", config_.output / kPreviousFinal, error);
  }
  for (const char* part : kRunParts) {
    if (!error) fs::remove_all(config_.output / part, error);
  }
  if (!error) fs::remove_all(config_.output / kFailure, error);
  if (error) {
    throw std::invalid_argument("output: " + config_.output.string() +
                                " cannot be cleared of the run before: " + error.message());
  }
  v1::JobSpec resolved = resolve_defaults(spec, config_);
  if (config_.training.sampling == Sampling::kAutomatic) {
    resolved.mutable_training()->set_sampling(plan.stratified ? v1::SAMPLING_STRATIFIED : v1::SAMPLING_PERMUTATION);
  }
  write_durably(config_.output / "job.yaml", job_spec_to_yaml(resolved));
  watch("job.yaml");
}

RunOutput::Identity RunOutput::identity_of(const fs::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {.device = found.st_dev, .file = found.st_ino};
}

void RunOutput::watch(const std::string& name) {
  watched_[name] = identity_of(config_.output / name);
  check_now();
}

void RunOutput::check() {
  if (std::chrono::steady_clock::now() - checked_at_ >= kBetweenChecks) check_now();
}

void RunOutput::check_now() {
  checked_at_ = std::chrono::steady_clock::now();
  const std::string output = "output: " + config_.output.string();
  if (!lock_.is_in_place()) throw std::runtime_error(output + " was deleted or replaced during the run");
  for (const auto& [name, identity] : watched_) {
    const Identity now = identity_of(config_.output / name);
    if (now == Identity{}) throw std::runtime_error(output + ": " + name + " was deleted during the run");
    if (now != identity) throw std::runtime_error(output + ": " + name + " was replaced during the run");
  }
}

void RunOutput::discard_previous() {
  std::error_code ignored;
  fs::remove_all(config_.output / kPreviousFinal, ignored);
}

}  // namespace equipoise

#include "worker/training/run_output.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "common/base/disk_fault.h"
#include "common/base/durable_file.h"
#include "common/base/error.h"
#include "common/base/path_check.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/job_file.h"
#include "common/config/output_check.h"
#include "common/ledger/ledger_reader.h"
#include "common/metrics/metrics_schema.h"
#include "common/summary/report_page.h"
#include "common/summary/trainer_state.h"
#include "worker/training/metrics_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPreviousFinal = "final.previous";
constexpr const char* kFailure = "failure";  // logs of a run that failed
constexpr std::chrono::seconds kBetweenChecks{1};

// The first `bytes` of `source`, which has them.
void copy_beginning(const fs::path& source, std::int64_t bytes, const fs::path& target) {
  DurableFile file(target);
  read_beginning(source, bytes, [&file](std::string_view piece) { file.write(piece); });
  file.commit();
}

[[noreturn]] void refuse_output(const fs::path& output, const char* what, const std::error_code& error) {
  throw_open_fault("output: " + output.string() + " " + what, error.value());
}

// Whose run the output holds: a line with the job's id.
bool is_run_of(const fs::path& output, const std::string& job_id) {
  std::ifstream file(output / kRunOwner);
  std::string line;
  return std::getline(file, line) && line == job_id;
}

// A rank of an earlier attempt of the job, whose mpirun has ended, ends by itself a moment later.
OutputLock lock_after_earlier_attempts(const JobConfig& config, const std::string& job_id) {
  constexpr std::chrono::seconds kPatience{15};
  constexpr std::chrono::milliseconds kBetweenTries{50};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    try {
      return OutputLock::of_writer({.field = "output", .path = config.output},
                                   {.program = "equipoise-worker", .job = job_id});
    } catch (const OutputInUse& in_use) {
      if (in_use.job() != job_id) throw;
      if (std::chrono::steady_clock::now() >= deadline) {
        throw PeerError(std::string(in_use.what()) + "; that is an earlier attempt of this job, which does not end");
      }
    }
    std::this_thread::sleep_for(kBetweenTries);
  }
}

// What earlier runs left is looked at only once nobody else can be writing there.
OutputLock locked_output(const JobConfig& config, const std::string& job_id) {
  check_output_place(config);
  OutputLock lock = lock_after_earlier_attempts(config, job_id);
  if (!is_run_of(config.output, job_id)) check_output_free(config);
  return lock;
}

}  // namespace

RunOutput::RunOutput(const JobConfig& config, const std::string& job_id)
    : config_(config),
      job_id_(job_id),
      lock_(locked_output(config, job_id)),
      checked_at_(std::chrono::steady_clock::now()) {
  remove_abandoned(config_.output,
                   [](std::string_view name) { return std::ranges::find(kRunParts, name) != std::end(kRunParts); });
}

void RunOutput::put_final_aside(std::error_code& error) const {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(config_.output / "final", ignored))) return;
  fs::remove_all(config_.output / kPreviousFinal, error);
  if (!error) fs::rename(config_.output / "final", config_.output / kPreviousFinal, error);
}

void RunOutput::prepare(const v1::JobSpec& spec, const ShardPlan& plan) {
  check_now();
  watched_.clear();  // this replaces it, also where it stops half-way and is tried again
  std::error_code error;
  put_final_aside(error);
  for (const char* part : kRunParts) {
    if (!error) fs::remove_all(config_.output / part, error);
  }
  if (!error) fs::remove_all(config_.output / kFailure, error);
  if (error) refuse_output(config_.output, "cannot be cleared of the run before", error);
  write_job(spec, plan);
}

RunOutput::Beginnings RunOutput::prepare(const v1::JobSpec& spec, const ShardPlan& plan,
                                         const FoundCheckpoint& checkpoint) {
  check_now();
  watched_.clear();
  const bool is_here = holds(checkpoint);
  if (!is_here) prepare(spec, plan);
  std::error_code error;
  if (is_here) put_final_aside(error);
  if (is_here && !error) fs::remove_all(config_.output / kFailure, error);
  // Of the end that the run had before.
  for (const char* file : {kReceiptName, kTrainerStateName, kReportName}) {
    if (is_here && !error) fs::remove(config_.output / file, error);
  }
  if (error) refuse_output(config_.output, "cannot be written", error);
  const CheckpointManifest& manifest = checkpoint.manifest;
  const LedgerPosition ledger{.bytes = manifest.ledger_bytes, .chain = manifest.ledger_chain};
  Beginnings beginnings{
      .metrics = prepare_beginning(metrics_schema::kFileName.data(), manifest.metrics_bytes, checkpoint,
                                   [&manifest](const fs::path& file) {
                                     return digest_of_beginning(file, manifest.metrics_bytes) ==
                                            manifest.metrics_sha256;
                                   }),
      .ledger = prepare_beginning(kLedgerName, ledger.bytes, checkpoint, [&ledger](const fs::path& file) {
        return ledger.bytes > 0 && ledger_begins_with(file, ledger);
      })};
  if (is_here) write_job(spec, plan);
  return beginnings;
}

// Its checkpoints, or one of them, may be links to another disk.
bool RunOutput::holds(const FoundCheckpoint& checkpoint) const {
  const fs::path own = resolved_path(checkpoints_folder(config_.output));
  return is_within(resolved_path(checkpoint.folder), resolved_path(config_.output)) ||
         is_within(resolved_path(checkpoint.folder), own) || resolved_path(checkpoint.folder.parent_path()) == own;
}

void RunOutput::abandon_later_checkpoints(const FoundCheckpoint& checkpoint) const {
  if (!holds(checkpoint)) return;
  remove_unfinished_checkpoints(config_.output);
  abandon_checkpoints_after(config_.output, checkpoint.manifest.step);
}

// Where the lines are: beside the folder of checkpoints, in the output that the checkpoint was made in.
std::string RunOutput::prepare_beginning(const char* plain_name, std::int64_t bytes, const FoundCheckpoint& checkpoint,
                                         const std::function<bool(const fs::path&)>& is_as_known) const {
  const fs::path file = config_.output / plain_name;
  const fs::path source = holds(checkpoint) ? file : checkpoint.folder.parent_path().parent_path() / plain_name;
  std::error_code ignored;
  if (is_as_known(source)) {
    if (!fs::equivalent(source, file, ignored)) copy_beginning(source, bytes, file);
    return "";
  }
  if (!entry_exists(file)) return plain_name;
  const std::string name = std::string(plain_name) + ".before-step-" + std::to_string(checkpoint.manifest.step);
  std::string kept = name;
  for (int i = 2; entry_exists(config_.output / kept); ++i) kept = name + "." + std::to_string(i);
  fs::rename(file, config_.output / kept);
  return kept;
}

void RunOutput::write_job(const v1::JobSpec& spec, const ShardPlan& plan) {
  v1::JobSpec resolved = resolve_defaults(spec, config_);
  if (config_.training.sampling == Sampling::kAutomatic) {
    resolved.mutable_training()->set_sampling(plan.stratified ? v1::SAMPLING_STRATIFIED : v1::SAMPLING_PERMUTATION);
  }
  write_durably(config_.output / kRunOwner, job_id_ + "\n");
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

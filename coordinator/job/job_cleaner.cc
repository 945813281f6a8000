#include "coordinator/job/job_cleaner.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace equipoise::coordinator {
namespace {

constexpr std::chrono::seconds kPauseAfterFault{10};

// A folder's name that leads nowhere else, whatever a damaged database says.
bool is_folder_name(const std::string& id) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !id.empty() && std::ranges::all_of(id, is_plain);
}

}  // namespace

template <typename Work>
void JobCleaner::try_now(const Work& work) {
  const SteadyTime now = table_.clock().now();
  if (now < not_before_) return;
  try {
    work();
  } catch (const StoreError& error) {
    not_before_ = now + kPauseAfterFault;
    spdlog::warn("what deleted jobs have left stays for now: {}", error.what());
  }
}

void JobCleaner::tick() {
  table_.remove_old_series();
  try_now([this] { remove_piece(); });
}

void JobCleaner::remove_piece() {
  const auto job = next_with_rows();
  if (!job || table_.is_held()) return;  // on a full disk the last bytes are for ends of jobs
  try {
    const DeletedPiece piece = table_.store().deleted().remove_rows(*job, settings_.piece);
    if (piece.is_last) spdlog::info("job {}: deleted, nothing of it is left in the database", job->id);
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    damaged_.insert(job->sequence);
    spdlog::error("job {}: deleted, but its rows cannot be removed: {}", job->id, error.what());
  }
}

std::optional<DeletedJob> JobCleaner::next_with_rows() {
  DeletedJobs& deleted = table_.store().deleted();
  auto job = deleted.next_with_rows(0);
  // The end of an attempt is stored, too.
  while (job && (damaged_.contains(job->sequence) || attempts_.has_processes(job->id))) {
    job = deleted.next_with_rows(job->sequence);
  }
  return job;
}

std::optional<JobCleaner::Logs> JobCleaner::logs_to_remove() {
  std::optional<Logs> logs;
  try_now([&] { logs = next_with_logs(); });
  return logs;
}

std::optional<JobCleaner::Logs> JobCleaner::next_with_logs() {
  DeletedJobs& deleted = table_.store().deleted();
  for (auto job = deleted.next_with_logs(0); job; job = deleted.next_with_logs(job->sequence)) {
    if (left_.contains(job->sequence)) continue;
    if (!settings_.logs.empty() && is_folder_name(job->id))
      return Logs{.job = *job, .folder = settings_.logs / job->id};
    deleted.logs_are_gone(*job);
    break;
  }
  return std::nullopt;
}

void JobCleaner::logs_are_gone(const Logs& logs) {
  try_now([&] { table_.store().deleted().logs_are_gone(logs.job); });
}

void JobCleaner::leave_logs(const Logs& logs, const std::string& why) {
  left_.insert(logs.job.sequence);
  spdlog::warn("job {}: deleted, but its logs cannot be removed: {}", logs.job.id, why);
}

}  // namespace equipoise::coordinator

// How ranks come and go: RegisterWorker, FinishWorker, LeaveWorker, FailWorker.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "common/base/message_text.h"
#include "common/config/job_config.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/attempt_tokens.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/state_check.h"
#include "coordinator/job/worker_calls.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLongestHost = 255;
constexpr std::size_t kLongestDevice = 64;
constexpr std::size_t kLongestReason = 4096;
constexpr std::size_t kDigestBytes = 32;

void check_text(const char* field, const std::string& text, std::size_t longest) {
  if (!text.empty() && text.size() <= longest) return;
  throw std::invalid_argument(std::string(field) + " has " + std::to_string(text.size()) + " bytes, expected 1 to " +
                              std::to_string(longest));
}

void check_rank(int rank, int world_size) {
  if (rank >= 0 && rank < world_size) return;
  throw std::invalid_argument("rank is " + std::to_string(rank) + ", expected 0 to " + std::to_string(world_size - 1));
}

void check_registration(const v1::RegisterWorkerRequest& request) {
  if (request.world_size() < 1 || request.world_size() > kMostWorkers) {
    throw std::invalid_argument("world_size is " + std::to_string(request.world_size()) + ", expected 1 to " +
                                std::to_string(kMostWorkers));
  }
  check_rank(request.rank(), request.world_size());
  check_text("host", request.host(), kLongestHost);
  check_text("device", request.device(), kLongestDevice);
  if (request.pid() < 1) throw std::invalid_argument("pid is " + std::to_string(request.pid()) + ", expected >= 1");
}

// Host and device reach logs and screens.
RankProcess process_of(const v1::RegisterWorkerRequest& request) {
  return {.host = one_line(request.host(), kLongestHost),
          .pid = request.pid(),
          .device = one_line(request.device(), kLongestDevice)};
}

void check_world_size(const v1::TrainingJob& job, int wanted, int world_size) {
  if (wanted == world_size) return;
  throw Refusal(Refusal::Code::kFailedPrecondition, "job " + job.id() + ": world_size is " +
                                                        std::to_string(world_size) + ", but the job wants " +
                                                        std::to_string(wanted));
}

bool has_token(const JobRecord& record) { return !record.attempt_token.empty() || !record.attempt_token_hash.empty(); }

bool knows_token(const JobRecord& record, const std::string& token) {
  if (!record.attempt_token.empty()) return equal_secrets(record.attempt_token, token);
  return has_token(record) && equal_secrets(record.attempt_token_hash, token_digest(token));
}

// Tells the mpirun that a user has started from another one that he starts while the coordinator is away: rank 0 alone
// registers without knowing the generation, and the others have it from their rank 0.
std::string identity_of(const RankProcess& process) { return process.host + "\n" + std::to_string(process.pid); }

[[noreturn]] void refuse_token(const v1::TrainingJob& job) {
  throw Refusal(Refusal::Code::kPermissionDenied,
                "job " + job.id() + " is launched by the coordinator, and attempt_token is not that of its attempt");
}

}  // namespace

void WorkerCalls::check_token(const std::string& job_id, const std::string& token) {
  const JobRecord& record = table_.find(job_id);
  const bool is_launched = record.lifecycle.launched_by == LaunchedBy::kCoordinator;
  const v1::JobState state = record.job.state();
  const bool has_ended = is_final(state) || state == v1::JOB_STATE_RECOVERING || state == v1::JOB_STATE_PAUSED;
  const bool has_ended_before = !has_token(record) && has_ended;
  if (is_launched && !has_ended_before && !knows_token(record, token)) refuse_token(record.job);
}

v1::RegisterWorkerResponse WorkerCalls::register_worker(const v1::RegisterWorkerRequest& request) {
  JobRecord& record = table_.find(request.job_id());
  check_not_cancelled(record.job);
  check_not_final(record.job);
  if (record.intended().state != v1::JOB_STATE_QUEUED) check_goes_on(record);
  check_registration(request);
  const bool is_launched = record.lifecycle.launched_by == LaunchedBy::kCoordinator;
  if (is_launched && !knows_token(record, request.attempt_token())) refuse_token(record.job);
  const bool is_first_call = request.rank() == 0 && request.generation() == 0;
  if (!is_first_call) check_generation(record.job, request.generation());
  if (record.job.state() == v1::JOB_STATE_QUEUED) {
    // Ranks of an attempt that is over: with its generation, or rank 0 of one that the coordinator had launched.
    if (!is_first_call || is_launched) {
      throw Refusal(Refusal::Code::kFailedPrecondition, ErrorReason::kStaleGeneration,
                    "job " + record.job.id() + " is QUEUED: its newest attempt is over");
    }
    begin_external_attempt(record, request);
  }
  check_world_size(record.job, record.members->world_size(), request.world_size());
  const bool is_of_another = !is_launched && record.is_taken_over && request.rank() == 0 &&
                             !knows_token(record, identity_of(process_of(request)));
  if (is_of_another || !record.members->add(request.rank(), process_of(request), table_.clock().now())) {
    refuse_state(record.job,
                 "has a live attempt, whose rank " + std::to_string(request.rank()) + " is another process");
  }
  table_.metrics().show_workers(record.job.id(), record.members->counts());
  v1::RegisterWorkerResponse response;
  response.set_generation(record.job.generation());
  *response.mutable_spec() = record.job.spec();
  response.set_is_fork(!record.job.parent_id().empty());
  return response;
}

void WorkerCalls::begin_external_attempt(JobRecord& record, const v1::RegisterWorkerRequest& request) {
  const LaunchConfig& launch = record.checked_config().launch;
  const auto wanted = launch.workers;
  if (wanted) check_world_size(record.job, *wanted, request.world_size());
  const std::int64_t generation = record.job.generation() + 1;
  const std::string identity = token_digest(identity_of(process_of(request)));
  const auto edit = [&](v1::TrainingJob& job) {
    job.set_generation(generation);
    job.set_world_size(request.world_size());
    job.set_phase("starting");
    renew_requests(job);
    if (generation > 1) job.set_restarts(job.restarts() + 1);
  };
  const auto save = [&](const v1::TrainingJob& job) {
    table_.store().begin_attempt(job, {.generation = generation,
                                       .token_hash = identity,
                                       .state = state_name(job.state()),
                                       .started_at = std::chrono::system_clock::to_time_t(table_.clock().wall()),
                                       .launcher = "user",
                                       .hosts = process_of(request).host,
                                       .placement = ""});
  };
  table_.apply(record, AttemptRegistered{.generation = generation, .host = process_of(request).host}, edit, save);
  record.members.emplace(request.world_size(), lease_);
  record.training.reset();
  record.step_times.interrupt();
  record.must_leave = false;
  if (generation > 1) table_.metrics().count_restart(record.job.id(), record.lifecycle.restart_cause);
  record.hosts.clear();
  record.attempt_token_hash = identity;
  record.is_taken_over = false;
  record.back_by.reset();
  record.start_timeout = launch.start_timeout;
  record.register_by = table_.clock().now() + launch.start_timeout;
}

void WorkerCalls::mark_left(JobRecord& record, int rank) {
  readmit(record, rank);
  if (record.members && record.members->has(rank)) record.members->set_left(rank);
}

void WorkerCalls::readmit(JobRecord& record, int rank) {
  const bool may_be = record.is_taken_over && record.members && rank >= 0 && rank < record.members->world_size();
  if (!may_be || record.members->has(rank)) return;
  record.members->add(rank, unknown_process(record.hosts, rank), table_.clock().now());
  table_.metrics().show_workers(record.job.id(), record.members->counts());
}

void WorkerCalls::keep_end(const JobRecord& record, const FinishedRank& rank) {
  try {
    table_.store().finish_rank(record.job.id(), record.job.generation(), rank);
  } catch (const StoreError& failure) {
    spdlog::warn("job {}: the end of rank {} is not stored: {}", record.job.id(), rank.rank, failure.what());
  }
}

bool WorkerCalls::has_said(const JobRecord& record, const FinishedRank& last) {
  if (record.members) return false;
  const auto known = table_.store().finished_ranks(record.job.id(), record.job.generation());
  return std::ranges::any_of(known, [&](const FinishedRank& each) {
    return each.rank == last.rank && each.step == last.step && each.digest == last.digest;
  });
}

void WorkerCalls::finish_worker(const v1::FinishWorkerRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  const bool is_cancelled =
      record.job.state() == v1::JOB_STATE_CANCELLING || record.job.state() == v1::JOB_STATE_CANCELLED;
  if (is_cancelled) return mark_left(record, request.rank());
  const FinishedRank last{.rank = request.rank(), .step = request.final_step(), .digest = request.state_digest()};
  if (record.job.state() == v1::JOB_STATE_SUCCEEDED && has_said(record, last)) return;
  if (record.job.state() != v1::JOB_STATE_SUCCEEDED) check_not_final(record.job);
  if (record.job.state() == v1::JOB_STATE_QUEUED) check_goes_on(record);
  if (!record.training || !record.members) refuse_state(record.job, "is not training");
  check_rank(request.rank(), record.members->world_size());
  readmit(record, request.rank());
  if (!record.members->has(request.rank())) {
    refuse_state(record.job, "has no rank " + std::to_string(request.rank()) + " that has registered");
  }
  if (request.state_digest().size() != kDigestBytes) {
    throw std::invalid_argument("state_digest has " + std::to_string(request.state_digest().size()) +
                                " bytes, expected " + std::to_string(kDigestBytes));
  }
  if (!request.ledger_chain().empty() && request.ledger_chain().size() != kDigestBytes) {
    throw std::invalid_argument("ledger_chain has " + std::to_string(request.ledger_chain().size()) +
                                " bytes, expected " + std::to_string(kDigestBytes) + " or none");
  }
  check_finish(record, request);
  const auto result = record.members->finish(request.rank(), request.state_digest(), table_.clock().now());
  if (result.outcome == Membership::Finish::kDiffersFromItself) {
    throw Refusal(Refusal::Code::kAborted,
                  "rank " + std::to_string(request.rank()) + " has finished before, with another state_digest");
  }
  if (result.outcome == Membership::Finish::kDiffersFromOther) {
    table_.settle(record,
                  DigestsDiffer{.rank = request.rank(), .other_rank = result.other_rank, .step = request.final_step()});
    throw Refusal(Refusal::Code::kAborted, record.intended().reason);
  }
  if (request.has_stopped_early()) record.training->stopped_early = request.stopped_early();
  if (!request.ledger_chain().empty()) record.training->ledger_chain = request.ledger_chain();
  record.training->skipped_steps = request.skipped_steps();
  if (result.outcome == Membership::Finish::kAccepted) {
    const std::string stop = request.has_stopped_early() ? request.stopped_early().SerializeAsString() : "";
    keep_end(record, {.rank = request.rank(),
                      .step = request.final_step(),
                      .digest = request.state_digest(),
                      .stopped_early = stop,
                      .ledger_chain = request.ledger_chain()});
  }
  table_.metrics().show_workers(record.job.id(), record.members->counts());
  if (record.members->all_finished()) end_of_all_ranks(record);
}

void WorkerCalls::end_of_all_ranks(JobRecord& record) {
  const RanksFinished finished{.world_size = record.members->world_size(), .ending = ending_sentence(*record.training)};
  // Should the rank be killed before this can be stored, nobody says it again, and the mpirun may never exit: it is
  // stored later, and its processes are ended. Until then the rank says it again.
  record.job.set_ledger_chain(record.training->ledger_chain);
  record.job.set_skipped_steps(record.training->skipped_steps);
  table_.settle(record, finished);
  table_.store_unstored(record);
}

void WorkerCalls::leave_worker(const v1::LeaveWorkerRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  const v1::JobState state = record.intended().state;
  if (state == v1::JOB_STATE_CANCELLING || state == v1::JOB_STATE_CANCELLED) return mark_left(record, request.rank());
  readmit(record, request.rank());
  const bool is_member = record.members && record.members->has(request.rank());
  if (is_member && record.members->has_left_with_checkpoint(request.rank())) return;  // its answer was lost
  if (has_said(record, {.rank = request.rank(), .step = request.step()})) return;
  check_not_final(record.job);
  check_goes_on(record);
  if (!record.training || !record.members) refuse_state(record.job, "is not training");
  check_rank(request.rank(), record.members->world_size());
  const std::string rank = "rank " + std::to_string(request.rank());
  if (!is_member) refuse_state(record.job, "has no " + rank + " that has registered");
  const std::int64_t done = record.training->weights.next_step();
  const bool has_checkpoint = record.job.has_checkpoint_step() && record.job.checkpoint_step() == request.step();
  if (request.step() != done || !has_checkpoint) {
    refuse_state(record.job, rank + " leaves after step " + std::to_string(request.step()) + " with " +
                                 std::to_string(done) +
                                 " steps on record, expected all of them, and a checkpoint of them");
  }
  record.members->set_left_with_checkpoint(request.rank());
  keep_end(record, {.rank = request.rank(), .step = request.step()});
  table_.metrics().show_workers(record.job.id(), record.members->counts());
  // Kept also where it cannot be stored: the ranks are on their way out.
  if (record.members->all_have_left_with_checkpoint()) table_.settle(record, RanksPaused{.step = request.step()});
}

void WorkerCalls::fail_worker(const v1::FailWorkerRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  mark_left(record, request.rank());
  if (record.intended().state == v1::JOB_STATE_CANCELLING || is_final(record.intended().state)) return;
  // Of an attempt of an earlier coordinator, whose ranks nobody can tell from others: its end is known.
  if (record.intended().state == v1::JOB_STATE_RECOVERING && !record.members) return;
  if (record.members) check_rank(request.rank(), record.members->world_size());
  const std::string reason = one_line(request.reason(), kLongestReason);
  const auto kind = v1::FailureKind_IsValid(request.kind()) ? request.kind() : v1::FAILURE_KIND_UNSPECIFIED;
  // Kept also where it cannot be stored: of a job that is lost meanwhile nobody asks for the reason.
  table_.settle(record,
                RankFailed{.rank = request.rank(), .reason = reason.empty() ? "gave no reason" : reason, .kind = kind});
}

}  // namespace equipoise::coordinator

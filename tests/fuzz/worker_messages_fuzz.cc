// What ranks and people may send, in any order, to the coordinator's core over a real database: whatever it is, the
// core refuses it or takes it, and all that it has stored can be loaded. Of people all calls but those that make a job,
// as these touch its output folder (job_fuzz.cc has their messages).
//
// The input is messages one after the other: a byte that says which, two with the length (the low one first), the
// message. With the highest bit of the first the job's id and generation, or the host's name, are those in the message,
// else the job's or a host's.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <string>

#include "coordinator/job/job_controller.h"
#include "coordinator/job/refusal.h"
#include "tests/coordinator/simulation/simulated_world.h"
#include "tests/coordinator/support/requests.h"
#include "tests/coordinator/support/simulated_disk.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

using coordinator::JobController;
using coordinator::WorkerCalls;

class LiveCore final : coordinator::Launcher {
 public:
  LiveCore() {
    start();
    v1::JobSpec spec = coordinator::two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
    id_ = core_->training_jobs().create(coordinator::create_request(spec)).id();
  }

  WorkerCalls& calls() { return core_->worker_calls(); }
  const std::string& id() const { return id_; }
  std::int64_t generation() { return core_->table().contains(id_) ? core_->training_jobs().get(id_).generation() : 1; }
  JobController& core() { return *core_; }

  void tick() {
    clock_.advance(std::chrono::seconds(1));
    core_->attempts().tick();
  }
  // As after a kill: nothing is left but the database.
  void restart() {
    core_.reset();
    store_.reset();
    start();
  }
  void check_loads() {
    restart();
    v1::ListHostsResponse hosts = core_->host_calls().list({});
    promise(hosts.hosts_size() >= 2, "no host of the hostfile is lost");
    if (!core_->table().contains(id_)) return;  // it was deleted
    const v1::TrainingJob& job = core_->training_jobs().get(id_);
    promise(job.state_reason().find("set aside") == std::string::npos, "what is stored can be loaded");
    v1::ListGroupWeightsRequest request;
    request.set_id(id_);
    core_->training_jobs().group_weights(request);
  }

 private:
  void start() {
    metrics_.emplace();
    store_.emplace("/simulated/fuzz.sqlite3");
    coordinator::ControllerSettings settings;
    settings.supervisor.hosts = {{.name = "user@node1", .slots = 2}, {.name = "node2", .slots = 1}};
    core_.emplace(
        settings,
        coordinator::Dependencies{
            .clock = clock_, .random_source = source_, .store = *store_, .metrics = *metrics_, .launcher = *this});
  }
  void start(const coordinator::LaunchRequest&) override {}
  void terminate(const coordinator::AttemptKey&) override {}
  void kill(const coordinator::AttemptKey&) override {}

  coordinator::SimulatedDisk disk_;
  coordinator::SimulatedClock clock_;
  coordinator::SeededSource source_{1};
  std::optional<coordinator::JobStore> store_;
  std::optional<coordinator::JobMetrics> metrics_;
  std::optional<JobController> core_;
  std::string id_;
};

struct SentMessage {
  std::string_view bytes;
  bool is_addressed = false;  // to a job and generation of its own
};

// Whether it could be read and was taken.
template <typename Message, typename Call>
bool deliver(LiveCore& core, const SentMessage& sent, const Call& call) {
  Message message;
  if (!message.ParseFromArray(sent.bytes.data(), static_cast<int>(sent.bytes.size()))) return false;
  if (!sent.is_addressed) {
    message.set_job_id(core.id());
    message.set_generation(core.generation());
  }
  try {
    core.calls().check_token(message.job_id(), "");
    call(message);
    return true;
  } catch (const std::invalid_argument&) {
  } catch (const coordinator::Refusal&) {
  }
  return false;
}

// The same of people.
template <typename Message, typename Call>
bool ask(LiveCore& core, const SentMessage& sent, const Call& call) {
  Message message;
  if (!message.ParseFromArray(sent.bytes.data(), static_cast<int>(sent.bytes.size()))) return false;
  if constexpr (requires { message.set_id(core.id()); }) {
    if (!sent.is_addressed) message.set_id(core.id());
  }
  if constexpr (requires { message.set_name("node2"); }) {
    if (!sent.is_addressed) message.set_name("node2");
  }
  try {
    call(message);
    return true;
  } catch (const std::invalid_argument&) {
  } catch (const coordinator::Refusal&) {
  }
  return false;
}

constexpr std::uint8_t kFirstOfPeople = 32;

bool ask(LiveCore& core, std::uint8_t kind, const SentMessage& sent) {
  coordinator::TrainingJobs& jobs = core.core().training_jobs();
  coordinator::JobHistory& history = core.core().history();
  coordinator::HostCalls& hosts = core.core().host_calls();
  switch (kind - kFirstOfPeople) {
    case 0:
      return ask<v1::GetTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.get(message.id()); });
    case 1:
      return ask<v1::ListTrainingJobsRequest>(core, sent, [&](const auto& message) { jobs.list(message); });
    case 2:
      return ask<v1::PauseTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.pause(message); });
    case 3:
      return ask<v1::ResumeTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.resume(message); });
    case 4:
      return ask<v1::CheckpointTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.checkpoint(message); });
    case 5:
      return ask<v1::EvaluateTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.evaluate(message); });
    case 6:
      return ask<v1::UpdateTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.update(message); });
    case 7:
      return ask<v1::CancelTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.cancel(message); });
    case 8:
      return ask<v1::DeleteTrainingJobRequest>(core, sent, [&](const auto& message) { jobs.remove(message); });
    case 9:
      return ask<v1::ListGroupWeightsRequest>(core, sent, [&](const auto& message) { jobs.group_weights(message); });
    case 10:
      return ask<v1::ListRanksRequest>(core, sent, [&](const auto& message) { jobs.ranks(message); });
    case 11:
      return ask<v1::ListAttemptsRequest>(core, sent, [&](const auto& message) { history.attempts(message); });
    case 12:
      return ask<v1::ListCheckpointsRequest>(core, sent, [&](const auto& message) { history.checkpoints(message); });
    case 13:
      return ask<v1::ListEventsRequest>(core, sent, [&](const auto& message) { history.events(message); });
    case 14:
      return ask<v1::ListHostsRequest>(core, sent, [&](const auto& message) { hosts.list(message); });
    case 15:
      return ask<v1::CordonHostRequest>(core, sent, [&](const auto& message) { hosts.cordon(message); });
    case 16:
      return ask<v1::UncordonHostRequest>(core, sent, [&](const auto& message) { hosts.uncordon(message); });
    default:
      core.restart();
      return true;
  }
}

bool deliver(LiveCore& core, std::uint8_t kind, const SentMessage& sent) {
  if (kind >= kFirstOfPeople) return ask(core, kind, sent);
  WorkerCalls& calls = core.calls();
  switch (kind) {
    case 0:
      return deliver<v1::RegisterWorkerRequest>(core, sent, [&](v1::RegisterWorkerRequest& message) {
        if (!sent.is_addressed && message.rank() == 0) message.set_generation(0);
        calls.register_worker(message);
      });
    case 1:
      return deliver<v1::StartTrainingRequest>(core, sent, [&](const auto& message) { calls.start_training(message); });
    case 2:
      return deliver<v1::ReportStepRequest>(core, sent, [&](const auto& message) { calls.report_step(message); });
    case 3:
      return deliver<v1::ReportStepsRequest>(core, sent, [&](const auto& message) { calls.report_steps(message); });
    case 4:
      return deliver<v1::GetGroupWeightsRequest>(core, sent,
                                                 [&](const auto& message) { calls.group_weights(message); });
    case 5:
      return deliver<v1::CommitCheckpointRequest>(core, sent,
                                                  [&](const auto& message) { calls.commit_checkpoint(message); });
    case 6:
      return deliver<v1::ReportMetricsRequest>(core, sent, [&](const auto& message) { calls.report_metrics(message); });
    case 7:
      return deliver<v1::HeartbeatRequest>(core, sent, [&](const auto& message) { calls.heartbeat(message); });
    case 8:
      return deliver<v1::FinishWorkerRequest>(core, sent, [&](const auto& message) { calls.finish_worker(message); });
    case 9:
      return deliver<v1::LeaveWorkerRequest>(core, sent, [&](const auto& message) { calls.leave_worker(message); });
    case 10:
      return deliver<v1::FailWorkerRequest>(core, sent, [&](const auto& message) { calls.fail_worker(message); });
    case 11:
      return deliver<v1::ApplySettingsRequest>(core, sent, [&](const auto& message) { calls.apply_settings(message); });
    default:
      core.tick();
      return false;
  }
}

}  // namespace

bool fuzz_worker_messages(std::span<const std::uint8_t> input) {
  constexpr std::size_t kHeader = 3;
  constexpr std::uint8_t kAddressed = 0x80;
  spdlog::set_level(spdlog::level::off);
  LiveCore core;
  bool all_taken = !input.empty();
  while (input.size() >= kHeader) {
    const std::size_t length = std::min<std::size_t>(input[1] | (input[2] << 8), input.size() - kHeader);
    const auto* const bytes = reinterpret_cast<const char*>(input.data() + kHeader);
    const SentMessage sent{.bytes = {bytes, length}, .is_addressed = (input[0] & kAddressed) != 0};
    all_taken = deliver(core, static_cast<std::uint8_t>(input[0] & ~kAddressed), sent) && all_taken;
    input = input.subspan(kHeader + length);
  }
  core.check_loads();
  return all_taken && input.empty();
}

}  // namespace equipoise

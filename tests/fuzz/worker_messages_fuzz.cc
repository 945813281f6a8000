// What a rank may send, in any order, to the coordinator's core over a real database: whatever it is, the core refuses
// it or takes it, and all that it has stored can be loaded.
//
// The input is messages one after the other: a byte that says which, two with the length (the low one first), the
// message. With the highest bit of the first the job's id and generation are those in the message, else the job's.
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
  std::int64_t generation() { return core_->training_jobs().get(id_).generation(); }

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
    core_.emplace(
        coordinator::ControllerSettings{},
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

bool deliver(LiveCore& core, std::uint8_t kind, const SentMessage& sent) {
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

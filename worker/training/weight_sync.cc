#include "worker/training/weight_sync.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/config/group_settings.h"
#include "worker/training/report_sender.h"

namespace equipoise {
namespace {

void check_answer(std::int64_t step, const char* numbers, int size, std::size_t num_groups) {
  if (static_cast<std::size_t>(size) == num_groups) return;
  throw PeerError("the coordinator answered step " + std::to_string(step) + " with " + numbers + " of " +
                  std::to_string(size) + " groups, expected " + std::to_string(num_groups) +
                  "; are coordinator and worker of one version?");
}

class CoordinatorWeightSync final : public WeightSync {
 public:
  CoordinatorWeightSync(CoordinatorClient& client, AttemptId attempt, HostCollective& host, std::vector<double> alpha_K)
      : client_(client), attempt_(std::move(attempt)), host_(host), alpha_K_(std::move(alpha_K)) {}

  void step(const ReportedStep& report, std::span<double> weight) override {
    if (host_.info().rank == 0) ask(report, weight);
    if (host_.info().world_size > 1) host_.broadcast(std::as_writable_bytes(weight), 0);
  }

  std::vector<double> alpha_K() const override { return alpha_K_; }

 private:
  void ask(const ReportedStep& report, std::span<double> weight) {
    v1::ReportStepRequest request = step_request(report);
    request.set_job_id(attempt_.job_id);
    request.set_generation(attempt_.generation);
    const v1::ReportStepResponse answer = client_.report_step(request);
    check_answer(report.step, "weights", answer.weight_size(), weight.size());
    check_answer(report.step, "alpha", answer.alpha_size(), alpha_K_.size());
    std::ranges::copy(answer.weight(), weight.begin());
    alpha_K_.assign(answer.alpha().begin(), answer.alpha().end());
  }

  CoordinatorClient& client_;
  const AttemptId attempt_;
  HostCollective& host_;
  std::vector<double> alpha_K_;  // as the newest answer says; rank 0
};

class SpeculativeWeightSync final : public WeightSync {
 public:
  SpeculativeWeightSync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host, GroupWeights weights)
      : host_(host), weights_(std::move(weights)) {
    if (host.info().rank == 0) sender_ = std::make_unique<ReportSender>(client, attempt);
  }

  void step(const ReportedStep& report, std::span<double> weight) override {
    weights_.step(report, weight);
    if (sender_) sender_->add(report, weight);
  }

  std::vector<double> alpha_K() const override { return weights_.weights().alpha_K(); }

  void finish() override {
    if (sender_) sender_->finish();
    std::array<std::byte, 1> done{};
    host_.broadcast(done, 0);  // no rank leaves before the last step is on record
  }

 private:
  HostCollective& host_;
  OwnStepWeights weights_;
  std::unique_ptr<ReportSender> sender_;  // rank 0
};

}  // namespace

std::unique_ptr<WeightSync> coordinator_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, std::vector<double> alpha_K) {
  return std::make_unique<CoordinatorWeightSync>(client, attempt, host, std::move(alpha_K));
}

std::unique_ptr<WeightSync> speculative_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, GroupWeights weights) {
  return std::make_unique<SpeculativeWeightSync>(client, attempt, host, std::move(weights));
}

std::unique_ptr<WeightSync> make_weight_sync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host,
                                             const RobustConfig& config, const GroupedData& data,
                                             const StartedTraining& started) {
  if (config.weight_sync == WeightOrigin::kCoordinator) {
    return coordinator_weight_sync(client, attempt, host, started.alpha_K);
  }
  const std::vector<std::string> group_names(data.group_names.begin(), data.group_names.end());
  RobustSettings settings =
      robust_settings_for(config, group_names, data.label_floor_K, {data.counted.pair_count_K, data.counted.num_pairs});
  const auto& sizes_K = data.population.pair_count_K;
  GroupWeights weights(std::move(settings), {sizes_K.begin(), sizes_K.end()}, data.population.num_pairs);
  weights.restore(started.log_alpha_K, started.group_loss_K);
  return speculative_weight_sync(client, attempt, host, std::move(weights));
}

}  // namespace equipoise

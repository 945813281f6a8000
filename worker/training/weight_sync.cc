#include "worker/training/weight_sync.h"

#include <algorithm>
#include <array>
#include <future>
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

void check_same_weights(const v1::ReportStepRequest& step, std::span<const double> here,
                        const v1::ReportStepResponse& answer) {
  for (int i = 0; i < answer.weight_size(); ++i)
    check_same_weight(step, i, here[static_cast<std::size_t>(i)], answer.weight(i));
}

class CoordinatorWeightSync final : public WeightSync {
 public:
  CoordinatorWeightSync(CoordinatorClient& client, AttemptId attempt, HostCollective& host,
                        const RobustSettings& settings, std::vector<double> alpha_K)
      : client_(client), attempt_(std::move(attempt)), host_(host), settings_(settings), alpha_K_(std::move(alpha_K)) {}

  void step(const ReportedStep& report, std::span<double> weight) override {
    if (weights_precede_losses(settings_)) {
      weights_of_next_step(report.sums.group, weight);
      if (is_first()) send(report, weight);
      return;
    }
    if (is_first()) {
      send(report, weight);
      const v1::ReportStepResponse answer = receive();
      std::ranges::copy(answer.weight(), weight.begin());
    }
    share(weight);
  }

  void weights_of_next_step(std::span<const std::uint32_t> groups, std::span<double> weight) override {
    if (is_first()) gradient_weights(settings_, alpha_K(), groups, weight);
    share(weight);
  }

  std::vector<double> alpha_K() override {
    if (answer_.valid()) check_same_weights(sent_, sent_weight_, receive());
    return alpha_K_;
  }

  void finish() override {
    if (is_first()) alpha_K();
    std::array<std::byte, 1> done{};
    host_.broadcast(done, 0);  // no rank leaves before the last step is on record
  }

 private:
  bool is_first() const { return host_.info().rank == 0; }

  void share(std::span<double> weight) {
    if (host_.info().world_size > 1) host_.broadcast(std::as_writable_bytes(weight), 0);
  }

  void send(const ReportedStep& report, std::span<const double> weight) {
    sent_ = step_request(report);
    sent_.set_job_id(attempt_.job_id);
    sent_.set_generation(attempt_.generation);
    sent_weight_.assign(weight.begin(), weight.end());
    const auto policy = weights_precede_losses(settings_) ? std::launch::async : std::launch::deferred;
    answer_ = std::async(policy, [this, request = sent_] { return client_.report_step(request); });
  }

  v1::ReportStepResponse receive() {
    v1::ReportStepResponse answer = answer_.get();
    check_answer(sent_.step(), "weights", answer.weight_size(), sent_weight_.size());
    check_answer(sent_.step(), "alpha", answer.alpha_size(), alpha_K_.size());
    alpha_K_.assign(answer.alpha().begin(), answer.alpha().end());
    return answer;
  }

  CoordinatorClient& client_;
  const AttemptId attempt_;
  HostCollective& host_;
  const RobustSettings& settings_;
  // Of rank 0: alpha as the newest answer says, and the report whose answer is still to come.
  std::vector<double> alpha_K_;
  v1::ReportStepRequest sent_;
  std::vector<double> sent_weight_;
  std::future<v1::ReportStepResponse> answer_;
};

class SpeculativeWeightSync final : public WeightSync {
 public:
  SpeculativeWeightSync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host, GroupWeights weights)
      : host_(host), weights_(std::move(weights)) {
    if (host.info().rank == 0) {
      sender_ = std::make_unique<ReportSender>(client, attempt, weights_.weights().log_alpha_K().size());
    }
  }

  void step(const ReportedStep& report, std::span<double> weight) override {
    weights_.step(report, weight);
    if (sender_) sender_->add(report, weight);
  }

  void weights_of_next_step(std::span<const std::uint32_t> groups, std::span<double> weight) override {
    weights_.weights_of_next_step(groups, weight);
  }

  std::vector<double> alpha_K() override { return weights_.weights().alpha_K(); }

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
                                                    HostCollective& host, const RobustSettings& settings,
                                                    std::vector<double> alpha_K) {
  return std::make_unique<CoordinatorWeightSync>(client, attempt, host, settings, std::move(alpha_K));
}

std::unique_ptr<WeightSync> speculative_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, GroupWeights weights) {
  return std::make_unique<SpeculativeWeightSync>(client, attempt, host, std::move(weights));
}

std::unique_ptr<WeightSync> make_weight_sync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host,
                                             const RobustConfig& config, const GroupedData& data,
                                             const StartedTraining& started) {
  if (config.weight_sync == WeightOrigin::kCoordinator) {
    return coordinator_weight_sync(client, attempt, host, config.settings, started.alpha_K);
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

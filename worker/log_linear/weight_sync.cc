#include "worker/log_linear/weight_sync.h"

#include <algorithm>
#include <array>
#include <utility>

#include "worker/log_linear/report_sender.h"

namespace equipoise {
namespace {

class CoordinatorWeightSync : public WeightSync {
 public:
  CoordinatorWeightSync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host,
                        std::vector<double> alpha_K)
      : host_(host), weights_(client, attempt, std::move(alpha_K)) {}

  void step(const ReportedStep& report, std::span<double> weight) override {
    if (host_.info().rank == 0) {
      const std::vector<double> answer = weights_.step(report.step, report.sums, report.non_finite);
      std::copy(answer.begin(), answer.end(), weight.begin());
    }
    if (host_.info().world_size > 1) host_.broadcast(std::as_writable_bytes(weight), 0);
  }

  std::vector<double> alpha_K() override { return weights_.alpha_K(); }

 private:
  HostCollective& host_;
  CoordinatorWeights weights_;  // used on rank 0
};

class SpeculativeWeightSync : public WeightSync {
 public:
  SpeculativeWeightSync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host, GroupWeights weights)
      : host_(host), weights_(std::move(weights)) {
    if (host.info().rank == 0) sender_ = std::make_unique<ReportSender>(client, attempt);
  }

  void step(const ReportedStep& report, std::span<double> weight) override {
    weights_.step(report, weight);
    if (sender_) sender_->add(report, weight);
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
                                                    HostCollective& host, std::vector<double> alpha_K) {
  return std::make_unique<CoordinatorWeightSync>(client, attempt, host, std::move(alpha_K));
}

std::unique_ptr<WeightSync> speculative_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, GroupWeights weights) {
  return std::make_unique<SpeculativeWeightSync>(client, attempt, host, std::move(weights));
}

}  // namespace equipoise

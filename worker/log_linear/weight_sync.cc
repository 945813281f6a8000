#include "worker/log_linear/weight_sync.h"

#include <algorithm>
#include <array>
#include <utility>

#include "worker/log_linear/report_sender.h"

namespace equipoise {
namespace {

class CoordinatorWeightSync : public WeightSync {
 public:
  CoordinatorWeightSync(CoordinatorClient& client, const AttemptId& attempt, Collective& host)
      : client_(client), attempt_(attempt), host_(host), weights_(coordinator_weights(client, attempt)) {}

  void step(const ReportedStep& report, std::span<double> weight) override {
    if (host_.info().rank == 0) {
      const std::vector<double> answer =
          weights_(report.step, report.sums, {report.non_finite.begin(), report.non_finite.end()});
      std::copy(answer.begin(), answer.end(), weight.begin());
    }
    if (host_.info().world_size > 1) host_.broadcast(std::as_writable_bytes(weight), 0);
  }

  std::vector<double> alpha_K() override { return current_alpha(client_, attempt_); }

 private:
  CoordinatorClient& client_;
  const AttemptId& attempt_;
  Collective& host_;
  WeightSource weights_;
};

class SpeculativeWeightSync : public WeightSync {
 public:
  SpeculativeWeightSync(CoordinatorClient& client, const AttemptId& attempt, Collective& host, StartingWeights start)
      : host_(host), weights_(std::move(start.weights)), step_size_(std::move(start.step_size)) {
    if (host.info().rank == 0) sender_ = std::make_unique<ReportSender>(client, attempt);
  }

  void step(const ReportedStep& report, std::span<double> weight) override {
    if (report.non_finite.empty()) {
      weights_.step(report.sums, weight);
      follow_plateau(report.sums);
    } else {
      for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = weights_.gradient_weight(report.sums.group[i]);
    }
    if (sender_) sender_->add(report, weight);
  }

  std::vector<double> alpha_K() override { return weights_.alpha_K(); }

  void finish() override {
    if (sender_) sender_->finish();
    std::array<std::byte, 1> done{};
    host_.broadcast(done, 0);  // no rank leaves before the last step is on record
  }

 private:
  // As the coordinator's WeightOwner does.
  void follow_plateau(const GroupSums& sums) {
    double largest = 0;
    for (std::size_t i = 0; i < sums.group.size(); ++i) {
      largest = std::max(largest, sums.loss_sum[i] / sums.pair_count[i]);
    }
    const double before = step_size_.step_size();
    step_size_.observe(largest);
    if (step_size_.step_size() != before) weights_.set_step_size(step_size_.step_size());
  }

  Collective& host_;
  GroupWeights weights_;
  log_linear::StepSchedule step_size_;
  std::unique_ptr<ReportSender> sender_;  // rank 0
};

}  // namespace

std::unique_ptr<WeightSync> coordinator_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    Collective& host) {
  return std::make_unique<CoordinatorWeightSync>(client, attempt, host);
}

std::unique_ptr<WeightSync> speculative_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    Collective& host, StartingWeights start) {
  return std::make_unique<SpeculativeWeightSync>(client, attempt, host, std::move(start));
}

}  // namespace equipoise

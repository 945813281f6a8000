#include "worker/log_linear/weight_sync.h"

#include <algorithm>
#include <cmath>

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

}  // namespace

std::unique_ptr<WeightSync> coordinator_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    Collective& host) {
  return std::make_unique<CoordinatorWeightSync>(client, attempt, host);
}

}  // namespace equipoise

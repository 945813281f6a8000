#include "worker/training/weight_sync.h"

#include <algorithm>
#include <array>
#include <future>
#include <optional>
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

// No rank leaves before the last step is on record.
void wait_for_rank_0(HostCollective& host) {
  std::array<std::byte, 1> done{};
  host.broadcast(done, 0);
}

class CoordinatorWeightSync final : public WeightSync {
 public:
  CoordinatorWeightSync(CoordinatorClient& client, AttemptId attempt, HostCollective& host,
                        const RobustSettings& settings, std::vector<double> alpha_K, std::int64_t first_step)
      : client_(client),
        attempt_(std::move(attempt)),
        host_(host),
        settings_(settings),
        known_steps_(first_step),
        alpha_K_(std::move(alpha_K)) {}

  void step(const ReportedStep& report, std::span<double> weight) override {
    if (weights_precede_losses(settings_)) {
      if (shared_groups_ != report.sums.group) share_weights_of(report.sums.group);
      std::ranges::copy(shared_weight_, weight.begin());
      shared_groups_.clear();  // alpha moves
      if (is_first()) send(report, weight);
      return;
    }
    if (is_first()) {
      send(report, weight);
      std::ranges::copy(receive().weight(), weight.begin());
    }
    share(weight);
  }

  void weights_before_losses(std::span<const std::uint32_t> groups, std::span<double> weight) override {
    share_weights_of(groups);
    std::ranges::copy(shared_weight_, weight.begin());
  }

  // Fixed weights are known for every step.
  std::int64_t known_steps() const override {
    return settings_.mode == RobustMode::kGroupRobust || !answer_.valid() ? known_steps_ : sent_.step() + 1;
  }

  std::vector<double> known_alpha_K() const override { return alpha_K_; }

  void wait() override {
    if (!answer_.valid()) return;
    const v1::ReportStepResponse answer = receive();
    for (int i = 0; i < answer.weight_size(); ++i) {
      check_same_weight(sent_, i, sent_weight_[static_cast<std::size_t>(i)], answer.weight(i));
    }
  }

  // eta_alpha is the coordinator's.
  void apply(const v1::TrainingJobSettings& settings) override {
    if (settings.has_trade_off()) settings_.trade_off = settings.trade_off();
    shared_groups_.clear();
  }

  void finish() override {
    if (is_first()) wait();
    wait_for_rank_0(host_);
  }

  void record_into(LedgerWriter& ledger) override { ledger_ = &ledger; }

 private:
  bool is_first() const { return host_.info().rank == 0; }

  void share(std::span<double> weight) {
    if (host_.info().world_size > 1) host_.broadcast(std::as_writable_bytes(weight), 0);
  }

  void share_weights_of(std::span<const std::uint32_t> groups) {
    shared_groups_.assign(groups.begin(), groups.end());
    shared_weight_.resize(groups.size());
    if (is_first()) {
      wait();
      gradient_weights(settings_, alpha_K_, groups, shared_weight_);
    }
    share(shared_weight_);
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
    known_steps_ = sent_.step() + 1;
    if (ledger_ != nullptr) {
      ledger_->step(ledger_step(sent_, std::span(answer.weight().data(), sent_weight_.size())));
      if (ledger_->has_block() && is_block_end(known_steps_)) {
        ledger_->close_block(known_steps_, weights_at_coordinator(client_, attempt_, known_steps_));
      }
      ledger_->write_if_late();
    }
    return answer;
  }

  CoordinatorClient& client_;
  const AttemptId attempt_;
  HostCollective& host_;
  RobustSettings settings_;
  // Weights that all ranks have got for the step under way, before its losses.
  std::vector<std::uint32_t> shared_groups_;
  std::vector<double> shared_weight_;
  // Of rank 0: alpha as the newest answer says, and the report whose answer is still to come.
  std::int64_t known_steps_;
  std::vector<double> alpha_K_;
  v1::ReportStepRequest sent_;
  std::vector<double> sent_weight_;
  std::future<v1::ReportStepResponse> answer_;
  LedgerWriter* ledger_ = nullptr;
};

class SpeculativeWeightSync final : public WeightSync {
 public:
  SpeculativeWeightSync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host, GroupWeights weights,
                        std::int64_t first_step)
      : host_(host), weights_(std::move(weights)), known_steps_(first_step) {
    if (host.info().rank == 0) {
      sender_ = std::make_unique<ReportSender>(client, attempt, weights_.weights().log_alpha_K().size());
    }
  }

  void step(const ReportedStep& report, std::span<double> weight) override {
    weights_.step(report, weight);
    known_steps_ = report.step + 1;
    if (!sender_) return;
    std::optional<GroupWeightsState> state;
    if (is_block_end(known_steps_)) state = weights_.weights().state();
    sender_->add(report, weight, std::move(state));
  }

  void weights_before_losses(std::span<const std::uint32_t> groups, std::span<double> weight) override {
    weights_.weights_before_losses(groups, weight);
  }

  std::int64_t known_steps() const override { return known_steps_; }
  std::vector<double> known_alpha_K() const override { return weights_.weights().alpha_K(); }

  void settle() override {
    if (sender_) sender_->finish();
  }

  void apply(const v1::TrainingJobSettings& settings) override {
    if (settings.has_trade_off()) weights_.set_trade_off(settings.trade_off());
    if (settings.has_step_size()) weights_.set_step_size(settings.step_size());
  }

  void finish() override {
    settle();
    wait_for_rank_0(host_);
  }

  void record_into(LedgerWriter& ledger) override {
    if (sender_) sender_->record_into(ledger);
  }

 private:
  HostCollective& host_;
  OwnStepWeights weights_;
  std::int64_t known_steps_;
  std::unique_ptr<ReportSender> sender_;  // rank 0
};

}  // namespace

std::unique_ptr<WeightSync> coordinator_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, const RobustSettings& settings,
                                                    std::vector<double> alpha_K, std::int64_t first_step) {
  return std::make_unique<CoordinatorWeightSync>(client, attempt, host, settings, std::move(alpha_K), first_step);
}

std::unique_ptr<WeightSync> speculative_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, GroupWeights weights,
                                                    std::int64_t first_step) {
  return std::make_unique<SpeculativeWeightSync>(client, attempt, host, std::move(weights), first_step);
}

GroupWeights started_weights(const RobustConfig& config, const GroupedData& data, const StartedTraining& started) {
  // Of changes before the first step: the weights' state has eta_alpha.
  const v1::TrainingJobSettings changed = settings_in_force(started.settings_changes, started.plan.first_step - 1);
  const std::vector<std::string> group_names(data.group_names.begin(), data.group_names.end());
  RobustSettings settings =
      robust_settings_for(config, group_names, data.label_floor_K, {data.counted.pair_count_K, data.counted.num_pairs});
  if (changed.has_trade_off()) settings.trade_off = changed.trade_off();
  const auto& sizes_K = data.population.pair_count_K;
  GroupWeights weights(std::move(settings), {sizes_K.begin(), sizes_K.end()}, data.population.num_pairs);
  weights.restore(started.log_alpha_K, started.group_loss_K);
  if (started.step_size) {
    weights.restore(GroupWeightsState{weights.log_alpha_K(), weights.group_loss_K(), *started.step_size});
  }
  return weights;
}

std::unique_ptr<WeightSync> make_weight_sync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host,
                                             const RobustConfig& config, const GroupedData& data,
                                             const StartedTraining& started) {
  if (config.weight_sync == WeightOrigin::kCoordinator) {
    const v1::TrainingJobSettings changed = settings_in_force(started.settings_changes, started.plan.first_step - 1);
    RobustSettings known = config.settings;
    if (changed.has_trade_off()) known.trade_off = changed.trade_off();
    return coordinator_weight_sync(client, attempt, host, known, started.alpha_K, started.plan.first_step);
  }
  return speculative_weight_sync(client, attempt, host, started_weights(config, data, started),
                                 started.plan.first_step);
}

}  // namespace equipoise

#include "worker/log_linear/log_linear_step.h"

#include <stdexcept>

#include "worker/objective/labels.h"

namespace equipoise {
namespace {

using log_linear::ClosedForm;

log_linear::PairLoss pair_loss_of(LossType type) {
  switch (type) {
    case LossType::kDpo:
    case LossType::kRobust:
      return log_linear::PairLoss::kDpo;
    case LossType::kIpo:
      return log_linear::PairLoss::kIpo;
    case LossType::kHinge:
      return log_linear::PairLoss::kHinge;
    default:
      throw std::invalid_argument("loss.type is none that policy.log_linear has, expected dpo, ipo, hinge or robust");
  }
}

ClosedForm closed_form(const JobConfig& config) {
  if (!config.log_linear->closed_form) return ClosedForm::kOff;
  return config.robust.paper_compat ? ClosedForm::kAuthors : ClosedForm::kObjective;
}

log_linear::ThetaSettings theta_settings(const JobConfig& config) {
  return {.learning_rate = config.optimizer.learning_rate,
          .projection_radius = config.log_linear->projection_radius,
          .closed_form = closed_form(config),
          .ridge = config.log_linear->ridge};
}

log_linear::StepSettings step_settings(const JobConfig& config, const LogLinearData& data) {
  log_linear::StepSettings settings{.loss_K = group_loss_settings(config.loss, data.group_names),
                                    .robust = config.robust.settings,
                                    .theta = theta_settings(config),
                                    .pair_count_K = data.pair_count_K,
                                    .num_pairs = data.num_pairs};
  settings.robust.counted_K = data.counted_K;
  settings.robust.counted_pairs = static_cast<double>(data.train.pairs());
  return settings;
}

log_linear::RankPairs pairs_of(const JobConfig& config, const LogLinearData& data, const ShardPlan& plan,
                               ShardCursor& cursor, RankInfo rank) {
  if (config.training.sampling == Sampling::kOneGroup) {
    const auto batch_pairs = static_cast<std::size_t>(plan.global_batch_size);
    return {data.train, rank, log_linear::OneGroupBatches{.seed = plan.seed, .batch_pairs = batch_pairs}};
  }
  if (config.training.full_batch) return {data.train, rank};
  return {data.train, rank, log_linear::PlannedBatches{.cursor = cursor, .are_weighted = data.strata.has_value()}};
}

}  // namespace

log_linear::LossSettings pair_loss_settings(const LossConfig& loss) {
  // Robust: the smoothing is the noise of DPO.
  if (loss.type == LossType::kRobust) return {.beta = loss.beta, .label_noise = loss.label_smoothing};
  return {.type = pair_loss_of(loss.type), .beta = loss.beta, .label_smoothing = loss.label_smoothing};
}

std::vector<log_linear::LossSettings> group_loss_settings(const LossConfig& loss,
                                                          std::span<const std::string> group_names) {
  const LabelNoise noise(loss, group_names);
  std::vector<log_linear::LossSettings> settings_K(group_names.size(), pair_loss_settings(loss));
  for (std::size_t g = 0; g < settings_K.size(); ++g) {
    const Membership membership{.group = static_cast<std::uint32_t>(g), .weight = 1};
    settings_K[g].label_noise = noise.of(std::span(&membership, 1));
  }
  return settings_K;
}

LogLinearStep::LogLinearStep(const JobConfig& config, const LogLinearData& data, const ShardPlan& plan,
                             HostCollective& host)
    : config_(config),
      plan_(plan),
      host_(host),
      cursor_(plan, data.strata),
      pairs_(pairs_of(config, data, plan, cursor_, host.info())),
      schedule_(config.optimizer, plan.end_step),
      step_(step_settings(config, data), data.train, config.log_linear->problem.initial_theta_D, host) {}

void LogLinearStep::run(std::int64_t step, StepWeights& weights) {
  step_.set_rate_factor(schedule_.factor(step));
  step_.run(step, {.pairs = pairs_, .host = host_, .weights = weights});
}

void LogLinearStep::restore(log_linear::ThetaState theta, const ScheduleState& schedule) {
  step_.restore(std::move(theta));
  schedule_.restore(schedule);
}

double LogLinearStep::epochs_done(std::int64_t steps) const {
  if (config_.training.sampling != Sampling::kOneGroup) return cursor_.epochs_done(steps);
  return static_cast<double>(steps) * static_cast<double>(plan_.global_batch_size) /
         static_cast<double>(plan_.num_pairs);
}

}  // namespace equipoise

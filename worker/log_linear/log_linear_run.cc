#include "worker/log_linear/log_linear_run.h"

#include <memory>
#include <utility>

#include "common/config/group_settings.h"
#include "worker/log_linear/log_linear_report.h"
#include "worker/train/early_stopping.h"
#include "worker/train/group_absence.h"
#include "worker/train/run_output.h"

namespace equipoise {
namespace {

// Group losses over the validation pairs, each rank its part of them.
class Validation {
 public:
  Validation(const LogLinearData& data, const LossConfig& loss, Collective& host)
      : host_(host), sums_(group_loss_settings(loss, data.group_names), data.train.dim) {
    const log_linear::PairMatrix& matrix = *data.validation;
    const RankInfo rank = host.info();
    pairs_.assign(matrix, log_linear::slice_of(matrix.pairs(), static_cast<std::size_t>(rank.rank),
                                               static_cast<std::size_t>(rank.world_size)));
  }

  ValidationLosses losses(std::span<const double> theta_D) {
    sums_.assign(pairs_, theta_D);
    host_.all_reduce_sum(sums_.values());
    ValidationLosses losses;
    for (std::size_t g = 0; g < sums_.groups(); ++g) {
      losses.loss_K.push_back(sums_.loss_sum(g) / sums_.pair_count(g));
      losses.pair_count_K.push_back(sums_.pair_count(g));
    }
    return losses;
  }

 private:
  Collective& host_;
  log_linear::GroupedPairs pairs_;
  log_linear::StepSums sums_;
};

Digest state_digest(const log_linear::ThetaUpdate& theta) {
  Sha256 sha;
  sha.update(std::as_bytes(theta.theta_D()));
  sha.update(std::as_bytes(theta.average_D()));
  return sha.finish();
}

class LogLinearRun {
 public:
  // `output`: of rank 0; null on the others.
  LogLinearRun(const RunContext& context, const JobConfig& config, std::unique_ptr<RunOutput> output)
      : context_(context), config_(config), output_(std::move(output)), data_(load_data()), started_(start()) {
    if (data_.validation) validation_.emplace(data_, config.loss, context.host);
  }

  void run() {
    const auto& stopping = config_.training.early_stopping;
    if (stopping && validation_) check_metric(*stopping, expected_numbers(config_.robust));
    const AttemptId& attempt = context_.registration.attempt;
    const auto weights = weight_sync();
    if (is_first()) {
      output_->prepare(context_.registration.spec, plan_);
      report_ = std::make_unique<LogLinearReport>(LogLinearReport::Parts{.client = context_.client,
                                                                         .log = context_.log,
                                                                         .attempt = attempt,
                                                                         .config = config_,
                                                                         .data = data_,
                                                                         .weights = *weights});
      output_->watch("metrics.jsonl");
    }
    LogLinearStep step(config_, data_, plan_, context_.host, *weights);
    const TrainingEnd end = train(step, *weights);
    save(end.final_step, step);
    output_.reset();
    finish_rank(context_.client, attempt, context_.host.info().rank, end, state_digest(step.theta()));
  }

 private:
  bool is_first() const { return context_.host.info().rank == 0; }

  LogLinearData load_data() {
    context_.heartbeat.set_phase("reading data");
    LogLinearData data = load_log_linear_data(config_);
    if (!data.test.empty()) rewards_.emplace(config_.log_linear->problem, data.test);
    return data;
  }

  void log_absence() const {
    if (!suffers_from_absence(config_.robust.settings, config_.training)) return;
    std::vector<Membership> membership_N;
    for (const std::uint32_t group : data_.train.group_N) membership_N.push_back({.group = group, .weight = 1});
    std::vector<std::span<const Membership>> memberships_N;
    for (const Membership& membership : membership_N) memberships_N.emplace_back(&membership, 1);
    // One group a step is a batch of one pair as far as presence goes.
    const bool is_one_group = config_.training.sampling == Sampling::kOneGroup;
    const std::int64_t batch_size = is_one_group ? 1 : config_.training.global_batch_size;
    const auto probability_K = absence_K(memberships_N, data_.strata, batch_size, data_.group_names.size());
    const std::string line = absence_line(data_.group_names, probability_K);
    if (!line.empty()) context_.log.warn("{}", line);
  }

  StartedTraining start() {
    if (is_first()) {
      for (const std::string& note : data_.notes) context_.log.warn("{}", note);
      log_absence();
    }
    const DatasetSummary summary{.group_names = data_.group_names,
                                 .pair_count_K = data_.counted_K,
                                 .num_pairs = static_cast<std::int64_t>(data_.train.pairs()),
                                 .digest = data_.digest,
                                 .label_floor_K = data_.train_floor_K};
    return start_training(context_.client, context_.registration.attempt, summary, context_.host);
  }

  std::unique_ptr<WeightSync> weight_sync() {
    const AttemptId& attempt = context_.registration.attempt;
    if (config_.robust.weight_sync == WeightOrigin::kCoordinator) {
      return coordinator_weight_sync(context_.client, attempt, context_.host, started_.alpha_K);
    }
    const RobustSettings settings = robust_settings_for(config_.robust, data_.group_names, data_.train_floor_K,
                                                        {data_.counted_K, static_cast<double>(data_.train.pairs())});
    GroupWeights weights(settings, data_.pair_count_K, data_.num_pairs);
    weights.restore(started_.log_alpha_K, started_.group_loss_K);
    return speculative_weight_sync(context_.client, attempt, context_.host, std::move(weights));
  }

  TrainingEnd train(LogLinearStep& step, WeightSync& weights) {
    TrainingEnd end{.final_step = plan_.end_step};
    evaluate(plan_.first_step, step);
    context_.heartbeat.set_phase("training");
    for (std::int64_t t = plan_.first_step; t < end.final_step; ++t) {
      context_.heartbeat.check();
      step.run(t);
      context_.heartbeat.set_step(t + 1);
      if (report_) report_->step_done(t + 1, step);
      if (output_) output_->check();
      if (!is_evaluation_step(t + 1)) continue;
      const auto stop = evaluate(t + 1, step);
      if (stop && t + 1 < plan_.end_step) end = {.final_step = t + 1, .stopped_early = stop};
    }
    weights.finish();
    return end;
  }

  bool is_evaluation_step(std::int64_t steps_done) const {
    if (steps_done == plan_.end_step) return true;
    return config_.evaluation_every_steps > 0 && steps_done % config_.evaluation_every_steps == 0;
  }

  // Set: training ends here.
  std::optional<v1::EarlyStop> evaluate(std::int64_t steps_done, LogLinearStep& step) {
    if (!validation_) return std::nullopt;
    const ValidationLosses losses = validation_->losses(step.theta().theta_D());
    const EvaluationNumbers numbers = report_ ? report_->evaluated(steps_done, step, losses) : EvaluationNumbers();
    const EvaluationVerdict verdict = watch_.judge(steps_done, numbers);
    step.observe_evaluation(verdict.worst_group_loss);
    return verdict.stop;
  }

  void save(std::int64_t final_step, const LogLinearStep& step) {
    if (!report_) return;
    context_.heartbeat.set_phase("saving");
    output_->check_now();
    report_->finish(final_step, step);
    output_->watch("final");
    output_->discard_previous();
    const std::span<const double> theta_D = step.theta().theta_D();
    if (rewards_) report_->tested(final_step, rewards_->report(theta_D), theta_D);
  }

  const RunContext& context_;
  const JobConfig& config_;
  std::unique_ptr<RunOutput> output_;                   // rank 0
  std::optional<log_linear::RewardEvaluator> rewards_;  // of data.test
  LogLinearData data_;
  StartedTraining started_;
  const ShardPlan& plan_ = started_.plan;
  std::optional<Validation> validation_;
  EvaluationWatch watch_{config_.training.early_stopping, context_.host};
  std::unique_ptr<LogLinearReport> report_;  // rank 0
};

}  // namespace

void run_log_linear(const RunContext& context) {
  const JobConfig config = make_job_config(context.registration.spec);
  std::unique_ptr<RunOutput> output;
  if (context.host.info().rank == 0) {
    output = std::make_unique<RunOutput>(config, context.registration.attempt.job_id);
  }
  LogLinearRun(context, config, std::move(output)).run();
}

}  // namespace equipoise

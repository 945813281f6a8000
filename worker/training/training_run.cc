#include "worker/training/training_run.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "worker/collective/broadcast.h"
#include "worker/training/early_stopping.h"
#include "worker/training/group_absence.h"
#include "worker/training/run_output.h"
#include "worker/training/run_report.h"
#include "worker/training/weight_sync.h"

namespace equipoise {
namespace {

class TrainingRun {
 public:
  // `output`: of rank 0; null on the others.
  TrainingRun(const RunContext& context, std::unique_ptr<TrainedPolicy> policy, std::unique_ptr<RunOutput> output)
      : context_(context),
        config_(context.config),
        output_(std::move(output)),
        policy_(std::move(policy)),
        started_(start()),
        weights_(make_weight_sync(context.client, context.registration.attempt, context.host, config_.robust,
                                  policy_->data(), started_)),
        watch_(config_.training.early_stopping, context.host) {}

  void run() {
    policy_->start(plan_);
    open_output();
    const TrainingEnd end = train();
    // Before anything is saved: ranks that have drifted apart have trained no model.
    const Digest digest = policy_->state_digest();
    check_same_on_all_ranks(context_.host, digest, "set of trained parameters");
    save(end.final_step);
    output_.reset();
    finish_rank(context_.client, context_.registration.attempt, context_.host.info().rank, end, digest);
  }

 private:
  bool is_first() const { return context_.host.info().rank == 0; }

  void log_absence() const {
    if (!suffers_from_absence(config_.robust.settings, config_.training)) return;
    const std::string line = absence_line(policy_->data().group_names, policy_->absence_K());
    if (!line.empty()) context_.log.warn("{}", line);
  }

  StartedTraining start() {
    if (is_first()) {
      policy_->announce(context_.log);
      log_absence();
    }
    const EvaluationNumbers expected = expected_numbers(*policy_);
    has_evaluations_ = !expected.empty();
    if (config_.training.early_stopping && has_evaluations_) check_metric(*config_.training.early_stopping, expected);
    policy_->check_same_on_all_ranks();
    return start_training(context_.client, context_.registration.attempt, policy_->data(), context_.host);
  }

  void open_output() {
    if (!is_first()) return;
    output_->prepare(context_.registration.spec, plan_);
    const bool has_report = policy_->write_data_report(config_.output / "data.json");
    if (has_report) output_->watch("data.json");
    report_ = std::make_unique<RunReport>(RunReport::Parts{.client = context_.client,
                                                           .log = context_.log,
                                                           .attempt = context_.registration.attempt,
                                                           .config = config_,
                                                           .policy = *policy_,
                                                           .weights = *weights_});
    output_->watch(std::string(metrics_schema::kFileName));
  }

  TrainingEnd train() {
    TrainingEnd end{.final_step = plan_.end_step};
    evaluate(plan_.first_step);
    context_.heartbeat.set_phase("training");
    std::int64_t applied = 0;
    for (std::int64_t step = plan_.first_step; step < end.final_step; ++step) {
      context_.heartbeat.check();
      const StepOutcome outcome = policy_->step(step, *weights_);
      context_.heartbeat.set_step(step + 1);
      if (!outcome.is_skipped) ++applied;
      if (report_) report_->step_done(step + 1, outcome);
      if (output_) output_->check();
      if (!is_evaluation_step(step + 1)) continue;
      const auto stop = evaluate(step + 1);
      if (stop && step + 1 < plan_.end_step) end = {.final_step = step + 1, .stopped_early = stop};
      context_.heartbeat.set_phase("training");
    }
    weights_->finish();
    if (report_) report_->finish();
    check_applied(applied, end.final_step - plan_.first_step);
    return end;
  }

  static void check_applied(std::int64_t applied, std::int64_t steps) {
    if (steps == 0 || applied > 0) return;
    throw std::runtime_error("none of " + std::to_string(steps) +
                             " steps could be applied: a loss or the gradient was not finite in each of them");
  }

  bool is_evaluation_step(std::int64_t steps_done) const {
    if (steps_done == plan_.end_step) return true;
    return config_.evaluation_every_steps > 0 && steps_done % config_.evaluation_every_steps == 0;
  }

  // Why training ends with this evaluation, if it does.
  std::optional<v1::EarlyStop> evaluate(std::int64_t steps_done) {
    if (!has_evaluations_) return std::nullopt;
    context_.heartbeat.set_phase("evaluating");
    const std::vector<ValidationMeans> evaluation = policy_->evaluate();
    const EvaluationNumbers numbers = report_ ? report_->evaluated(steps_done, evaluation) : EvaluationNumbers();
    const EvaluationVerdict verdict = watch_.judge(steps_done, numbers);
    policy_->observe_evaluation(verdict.worst_group_loss);
    const auto& stopping = config_.training.early_stopping;
    if (is_first() && verdict.is_best && stopping && stopping->keep_best) policy_->keep();
    return verdict.stop;
  }

  void save(std::int64_t final_step) {
    context_.heartbeat.set_phase("saving");
    if (!is_first()) return;
    output_->check_now();
    policy_->save(config_.output / "final", report_->alpha_K());
    output_->watch("final");
    output_->discard_previous();
    if (const auto test = policy_->test()) report_->tested(final_step, *test);
  }

  const RunContext& context_;
  const JobConfig& config_;
  std::unique_ptr<RunOutput> output_;  // rank 0
  std::unique_ptr<TrainedPolicy> policy_;
  bool has_evaluations_ = false;
  StartedTraining started_;
  const ShardPlan& plan_ = started_.plan;
  std::unique_ptr<WeightSync> weights_;
  EvaluationWatch watch_;
  std::unique_ptr<RunReport> report_;  // rank 0
};

}  // namespace

void run_training(const RunContext& context, const PolicyLoader& load_policy) {
  // The folder is taken before anything is read.
  std::unique_ptr<RunOutput> output;
  if (context.host.info().rank == 0) {
    output = std::make_unique<RunOutput>(context.config, context.registration.attempt.job_id);
  }
  TrainingRun(context, load_policy(context), std::move(output)).run();
}

}  // namespace equipoise

#include "worker/training/run_report.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/metrics/metrics_schema.h"
#include "worker/training/metrics_fields.h"

namespace equipoise {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kReportInterval{500};

double seconds_since(Clock::time_point start) {
  // Never 0: two lines can fall into one tick of the clock.
  return std::max(std::chrono::duration<double>(Clock::now() - start).count(), 1e-9);
}

// The coordinator knows the groups of the training data only.
void add_groups(v1::ReportMetricsRequest& request, const std::vector<GroupMeans>& groups, std::size_t num_groups) {
  for (const GroupMeans& means : groups) {
    if (means.group >= num_groups) continue;
    v1::GroupMetrics& group = *request.add_groups();
    group.set_group(means.group);
    group.set_loss(means.loss);
    if (means.accuracy) group.set_reward_accuracy(*means.accuracy);
    group.set_pair_count(means.pair_count);
  }
}

}  // namespace

RunReport::RunReport(const Parts& parts, const TensorboardFile::Beginning& beginning)
    : parts_(parts),
      file_(parts.config.output / metrics_schema::kFileName, beginning.kept_bytes, parts.patience),
      last_line_{.time = Clock::now(), .totals = {}},
      last_report_{.time = Clock::now(), .totals = {}} {
  if (parts.config.logging.tensorboard) tensorboard_.emplace(parts.config.output, beginning, parts.patience);
}

void RunReport::write(const MetricsJson& line) {
  file_.write(line);
  if (tensorboard_) tensorboard_->write(line);
}

CheckpointJson RunReport::state() const {
  return {{"pairs", totals_.pairs}, {"tokens", totals_.tokens}, {"sequence_tokens", totals_.sequence_tokens}};
}

void RunReport::restore(const CheckpointJson& state) {
  totals_ = {.pairs = double_at(state, "pairs"),
             .tokens = double_at(state, "tokens"),
             .sequence_tokens = double_at(state, "sequence_tokens")};
  last_line_.totals = last_report_.totals = totals_;
}

std::vector<double> RunReport::alpha_K() const {
  const std::size_t num_groups = parts_.policy.data().group_names.size();
  const bool is_uniform = parts_.config.log_linear && parts_.config.robust.settings.mode == RobustMode::kNone;
  if (!is_uniform) return parts_.weights.known_alpha_K();
  return std::vector<double>(num_groups, 1 / static_cast<double>(num_groups));
}

LinePosition RunReport::position(std::int64_t steps_done) const {
  return {.step = steps_done, .epoch = parts_.policy.epochs_done(steps_done)};
}

// The coordinator itself makes a condition of losses that are not finite, and names the groups.
void RunReport::log_skip(std::int64_t steps_done, const StepOutcome& outcome) const {
  if (!outcome.is_skipped) return;
  if (!outcome.is_loss_finite) {
    parts_.log.info("step {}: a loss is not finite, the update is skipped", steps_done);
  } else {
    parts_.log.warn("step {}: the gradient is not finite, the update is skipped", steps_done);
  }
}

void RunReport::step_done(std::int64_t steps_done, const StepOutcome& outcome) {
  totals_.pairs += outcome.pairs;
  totals_.tokens += outcome.tokens;
  totals_.sequence_tokens += outcome.sequence_tokens;
  log_skip(steps_done, outcome);
  if (held_line_) write_held_line();
  if (is_logged(parts_.config.logging, steps_done)) hold_line(steps_done, outcome);
  unreported_step_ = steps_done;
  if (outcome.is_skipped && outcome.is_loss_finite) held_.set_skipped_gradients(held_.skipped_gradients() + 1);
  for (const auto& [phase, seconds] : outcome.phases)
    (*held_.mutable_phase_seconds())[std::string(phase)].add_seconds(seconds);
  if (Clock::now() - last_report_.time >= kReportInterval) send_training();
}

void RunReport::hold_line(std::int64_t steps_done, const StepOutcome& outcome) {
  const double seconds = seconds_since(last_line_.time);
  Speed speed{.pairs_per_second = (totals_.pairs - last_line_.totals.pairs) / seconds,
              .tokens_per_second = {},
              .num_tokens = totals_.sequence_tokens};
  if (totals_.tokens > 0) speed.tokens_per_second = (totals_.tokens - last_line_.totals.tokens) / seconds;
  held_line_.emplace(HeldLine{.position = position(steps_done),
                              .is_skipped = outcome.is_skipped,
                              .numbers = parts_.policy.last_step(),
                              .speed = speed});
  last_line_ = {.time = Clock::now(), .totals = totals_};
  if (parts_.weights.known_steps() == steps_done) write_held_line();
}

// alpha is known for the line's step, and for no later one.
void RunReport::write_held_line() {
  EQUIPOISE_CHECK(parts_.weights.known_steps() == held_line_->position.step);
  write(step_line(parts_.policy.data(), held_line_->position, held_line_->is_skipped, held_line_->numbers, alpha_K(),
                  held_line_->speed));
  held_line_.reset();
}

void RunReport::send_training() {
  const StepNumbers numbers = parts_.policy.last_step();
  held_.set_step(unreported_step_);
  held_.set_split(v1::SPLIT_TRAIN);
  held_.set_loss(numbers.loss);
  add_groups(held_, numbers.groups, parts_.policy.data().group_names.size());
  held_.set_pairs_total(static_cast<std::int64_t>(totals_.pairs));
  held_.set_tokens_total(static_cast<std::int64_t>(totals_.tokens));
  held_.set_pairs_per_second((totals_.pairs - last_report_.totals.pairs) / seconds_since(last_report_.time));
  send(held_);
  held_.Clear();
  unreported_step_ = 0;
  last_report_ = {.time = Clock::now(), .totals = totals_};
}

EvaluationNumbers RunReport::evaluated(std::int64_t steps_done, const std::vector<ValidationMeans>& evaluation) {
  finish();
  const std::vector<double> alpha = alpha_K();
  EvaluationNumbers numbers;
  for (const ValidationMeans& pairs : evaluation) {
    const MetricsJson line = evaluation_line(parts_.policy.data(), position(steps_done), pairs, alpha);
    write(line);
    numbers.merge(evaluation_numbers(line, pairs.file));
    send_evaluation(steps_done, pairs);
  }
  // An evaluation is no training time.
  last_line_.time = last_report_.time = Clock::now();
  return numbers;
}

void RunReport::send_evaluation(std::int64_t steps_done, const ValidationMeans& pairs) {
  v1::ReportMetricsRequest request;
  request.set_step(steps_done);
  request.set_split(v1::SPLIT_VALIDATION);
  request.set_file(pairs.file);
  request.set_loss(pairs.loss);
  add_groups(request, pairs.groups, parts_.policy.data().group_names.size());
  send(request);
}

void RunReport::tested(std::int64_t steps_done, const MetricsFields& test) {
  MetricsFields fields;
  fields.set(metrics_schema::kSplit, metrics_schema::kSplitTest);
  fields.set(metrics_schema::kStep, steps_done);
  fields.add(test);
  write(fields.line(metrics_schema::kTestLine, ""));
}

void RunReport::setting_changed(std::int64_t steps_done, const ChangedSetting& changed) {
  write_lines();
  MetricsFields fields;
  fields.set(metrics_schema::kSplit, metrics_schema::kSplitSettings);
  fields.set(metrics_schema::kStep, steps_done);
  fields.set(metrics_schema::kSetting, changed.setting);
  if (changed.from) fields.set(metrics_schema::kFrom, *changed.from);
  fields.set(metrics_schema::kTo, changed.to);
  fields.set(metrics_schema::kSettingsVersion, changed.version);
  if (!changed.requester.empty()) fields.set(metrics_schema::kRequester, changed.requester);
  write(fields.line(metrics_schema::kSettingsLine, ""));
}

void RunReport::write_lines() {
  parts_.weights.wait();
  if (held_line_) write_held_line();
}

void RunReport::finish() {
  write_lines();
  if (unreported_step_ > 0) send_training();
}

void RunReport::send(v1::ReportMetricsRequest& request) {
  request.set_job_id(parts_.attempt.job_id);
  request.set_generation(parts_.attempt.generation);
  try {
    parts_.client.report_metrics(request);
  } catch (const PeerError& lost) {
    // A lost point of a curve is no reason to stop; the next ReportStep finds out whether the coordinator is gone.
    parts_.log.warn("{}", lost.what());
  }
}

}  // namespace equipoise

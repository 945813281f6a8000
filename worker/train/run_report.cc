#include "worker/train/run_report.h"

#include <algorithm>

#include "common/base/error.h"
#include "worker/objective/label_floor.h"
#include "worker/train/logged_steps.h"

namespace equipoise {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kReportInterval{500};

double seconds_since(Clock::time_point start) {
  // Never 0: two lines can fall into one tick of the clock.
  return std::max(std::chrono::duration<double>(Clock::now() - start).count(), 1e-9);
}

void add_groups(v1::ReportMetricsRequest& request, const BatchSums& sums, std::size_t num_groups, bool has_rewards) {
  for (std::size_t g = 0; g < num_groups && g < sums.num_groups(); ++g) {
    if (!(sums.group_pairs(g) > 0)) continue;
    v1::GroupMetrics& group = *request.add_groups();
    group.set_group(static_cast<std::uint32_t>(g));
    group.set_loss(sums.group_loss(g));
    if (has_rewards) group.set_reward_accuracy(sums.group_accuracy(g));
    group.set_pair_count(sums.group_pairs(g));
  }
}

}  // namespace

LineSettings line_settings(const JobConfig& config, const TrainingData& data) {
  const auto& train_groups = data.train.group_names;
  const auto& validation_groups = data.validation.group_names;
  return {.train_groups = train_groups,
          .validation_groups = validation_groups,
          .rewards = config.loss.type == LossType::kSft ? Rewards::kNone : Rewards::kLogged,
          .extra = {.nll = config.loss.sft_weight > 0,
                    .train_baseline_K = baseline_K(config.robust, train_groups, data.train_floor_K),
                    .validation_baseline_K = baseline_K(config.robust, validation_groups, data.validation_floor_K)}};
}

RunReport::RunReport(CoordinatorClient& client, spdlog::logger& log, AttemptId attempt,
                     const CoordinatorWeights& weights, const std::filesystem::path& metrics_path,
                     const JobConfig& config, const TrainingData& data)
    : client_(client),
      log_(log),
      attempt_(std::move(attempt)),
      weights_(weights),
      logging_(config.logging),
      has_rewards_(config.loss.type != LossType::kSft),
      num_groups_(data.num_groups()),
      validation_files_(data.validation_names),
      file_(metrics_path, line_settings(config, data)),
      last_line_{.time = Clock::now()},
      last_report_{.time = Clock::now()} {}

// The coordinator itself makes a condition of losses that are not finite, and names the groups.
void RunReport::log_skip(std::int64_t step, const StepResult& result) {
  if (!result.skipped) return;
  if (!result.sums.non_finite_groups().empty()) {
    log_.info("step {}: a loss is not finite, the update is skipped", step);
  } else {
    log_.warn("step {}: the gradient is not finite, the update is skipped", step);
  }
}

void RunReport::step_done(LinePosition position, const StepResult& result) {
  pairs_total_ += result.sums.pairs();
  tokens_total_ += result.sums.tokens();
  sequence_tokens_total_ += result.sums.sequence_tokens();
  log_skip(position.step, result);
  if (is_logged(logging_, position.step)) {
    const double seconds = seconds_since(last_line_.time);
    const Speed speed{.pairs_per_second = (pairs_total_ - last_line_.pairs) / seconds,
                      .tokens_per_second = (tokens_total_ - last_line_.tokens) / seconds,
                      .num_tokens = sequence_tokens_total_};
    file_.write_step(position, result, weights_.alpha_K(), speed);
    last_line_ = {.time = Clock::now(), .pairs = pairs_total_, .tokens = tokens_total_};
  }
  holds_ = true;
  held_.set_step(position.step);
  held_.set_split(v1::SPLIT_TRAIN);
  held_.set_loss(result.loss);
  held_.clear_groups();
  add_groups(held_, result.sums, num_groups_, has_rewards_);
  for (const auto& [phase, seconds] : result.phase_seconds) {
    (*held_.mutable_phase_seconds())[phase].add_seconds(seconds);
  }
  if (Clock::now() - last_report_.time >= kReportInterval) send_training();
}

void RunReport::send_training() {
  held_.set_pairs_total(static_cast<std::int64_t>(pairs_total_));
  held_.set_tokens_total(static_cast<std::int64_t>(tokens_total_));
  held_.set_pairs_per_second((pairs_total_ - last_report_.pairs) / seconds_since(last_report_.time));
  send(held_);
  held_.Clear();
  holds_ = false;
  last_report_ = {.time = Clock::now(), .pairs = pairs_total_, .tokens = tokens_total_};
}

EvaluationNumbers RunReport::evaluated(LinePosition position, const EvaluationSums& sums) {
  if (holds_) send_training();
  EvaluationNumbers numbers = file_.write_evaluation(position, sums.all, weights_.alpha_K());
  send_evaluation(position, sums.all, "");
  for (std::size_t f = 0; f < validation_files_.size(); ++f) {
    numbers.merge(file_.write_file(position, validation_files_[f], sums.files[f]));
    send_evaluation(position, sums.files[f], validation_files_[f]);
  }
  // An evaluation is no training time.
  last_line_.time = last_report_.time = Clock::now();
  return numbers;
}

void RunReport::send_evaluation(LinePosition position, const BatchSums& sums, const std::string& file) {
  v1::ReportMetricsRequest request;
  request.set_step(position.step);
  request.set_split(v1::SPLIT_VALIDATION);
  request.set_file(file);
  request.set_loss(sums.loss());
  add_groups(request, sums, num_groups_, has_rewards_);
  send(request);
}

void RunReport::finish() {
  if (holds_) send_training();
}

void RunReport::send(v1::ReportMetricsRequest& request) {
  request.set_job_id(attempt_.job_id);
  request.set_generation(attempt_.generation);
  try {
    client_.report_metrics(request);
  } catch (const PeerError& lost) {
    // A lost point of a curve is no reason to stop; the next ReportStep finds out whether the coordinator is gone.
    log_.warn("{}", lost.what());
  }
}

}  // namespace equipoise

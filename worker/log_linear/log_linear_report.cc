#include "worker/log_linear/log_linear_report.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/base/durable_file.h"
#include "common/base/error.h"
#include "common/metrics/metrics_file.h"
#include "common/robust/worst_group.h"
#include "worker/objective/label_floor.h"
#include "worker/train/logged_steps.h"

namespace equipoise {
namespace {

namespace fields = metrics_file;
using Clock = std::chrono::steady_clock;
// Keeps the order of insertion: people read this file too. Doubles are written so that reading gives the same bits.
using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kReportInterval{500};

double seconds_since(Clock::time_point start) {
  // Never 0: two lines can fall into one tick of the clock.
  return std::max(std::chrono::duration<double>(Clock::now() - start).count(), 1e-9);
}

void write_line(std::ofstream& file, const std::filesystem::path& path, const Json& line) {
  file << line.dump() << '\n' << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path.string() + ": " + std::strerror(errno));
}

Json named(const std::vector<std::string>& names, std::span<const double> values_K) {
  Json object = Json::object();
  for (std::size_t g = 0; g < values_K.size(); ++g) object[names[g]] = values_K[g];
  return object;
}

Json list(std::span<const double> values) { return Json(std::vector<double>(values.begin(), values.end())); }

void set(Json& line, std::string_view field, Json value) { line[std::string(field)] = std::move(value); }

// Groups of the batch only: an absent one has no loss.
void add_batch_groups(Json& line, const std::vector<std::string>& names, const LogLinearStep& step) {
  Json loss = Json::object(), count = Json::object();
  const GroupSums& sums = step.group_sums();
  for (std::size_t i = 0; i < sums.group.size(); ++i) {
    const std::string& name = names[sums.group[i]];
    loss[name] = sums.loss_sum[i] / sums.pair_count[i];
    count[name] = step.group_pairs()[i];
    line[fields::group_field(name, "loss")] = loss[name];
  }
  set(line, fields::kGroupLoss, std::move(loss));
  set(line, fields::kGroupCount, std::move(count));
}

void add_batch_excess(Json& line, const std::vector<std::string>& names, const GroupSums& sums,
                      std::span<const double> baseline_K) {
  if (baseline_K.empty()) return;
  Json excess = Json::object();
  for (std::size_t i = 0; i < sums.group.size(); ++i) {
    const std::string& name = names[sums.group[i]];
    excess[name] = sums.loss_sum[i] / sums.pair_count[i] - baseline_K[sums.group[i]];
    line[fields::group_field(name, "excess_loss")] = excess[name];
  }
  set(line, fields::kGroupExcessLoss, std::move(excess));
}

void add_validation_excess(Json& line, const std::vector<std::string>& names, std::span<const double> loss_K,
                           std::span<const double> baseline_K) {
  if (baseline_K.empty()) return;
  std::vector<double> excess_K;
  for (std::size_t g = 0; g < loss_K.size(); ++g) excess_K.push_back(loss_K[g] - baseline_K[g]);
  set(line, fields::kGroupExcessLoss, named(names, excess_K));
  set(line, fields::kWorstGroupExcessLoss, worst_group_loss(excess_K));
}

void add_weights(Json& line, const std::vector<std::string>& names, std::span<const double> alpha_K) {
  for (std::size_t g = 0; g < names.size(); ++g) line[fields::group_field(names[g], "weight")] = alpha_K[g];
  set(line, fields::kGroupWeight, named(names, alpha_K));
}

void add_group(v1::ReportMetricsRequest& request, std::size_t group, double loss, double pair_count) {
  v1::GroupMetrics& metrics = *request.add_groups();
  metrics.set_group(static_cast<std::uint32_t>(group));
  metrics.set_loss(loss);
  metrics.set_pair_count(pair_count);
}

}  // namespace

EvaluationNumbers expected_numbers(const RobustConfig& robust) {
  EvaluationNumbers numbers{{"eval_loss", 0}, {"eval_pairs", 0}, {std::string(fields::kWorstGroupLoss), 0}};
  if (robust.baseline != Baseline::kNone) numbers[std::string(fields::kWorstGroupExcessLoss)] = 0;
  return numbers;
}

LogLinearReport::LogLinearReport(const Parts& parts)
    : parts_(parts),
      train_baseline_K_(baseline_K(parts.config.robust, parts.data.group_names, parts.data.train_floor_K)),
      validation_baseline_K_(baseline_K(parts.config.robust, parts.data.group_names, parts.data.validation_floor_K)),
      path_(parts.config.output / fields::kFileName),
      file_(path_, std::ios::trunc),
      last_line_{.time = Clock::now()},
      last_report_{.time = Clock::now()} {
  if (!file_) throw std::invalid_argument("cannot write " + path_.string() + ": " + std::strerror(errno));
}

// Mode none learns no weights: uniform, as the paper's program reports it.
std::vector<double> LogLinearReport::shown_alpha_K() {
  const std::size_t num_groups = parts_.data.group_names.size();
  if (parts_.config.robust.settings.mode != RobustMode::kNone) return parts_.weights.alpha_K();
  return std::vector<double>(num_groups, 1 / static_cast<double>(num_groups));
}

void LogLinearReport::step_done(std::int64_t steps_done, const LogLinearStep& step) {
  pairs_total_ += step.group_sums().batch_pairs;
  // The coordinator makes it a condition of the job, and names the groups.
  if (step.skipped()) parts_.log.info("step {}: a loss is not finite, the update is skipped", steps_done);
  if (is_logged(parts_.config.logging, steps_done)) write_step(steps_done, step);
  if (Clock::now() - last_report_.time >= kReportInterval) send_training(steps_done, step);
}

void LogLinearReport::write_step(std::int64_t steps_done, const LogLinearStep& step) {
  Json line;
  set(line, fields::kStep, steps_done);
  set(line, fields::kEpoch, step.epochs_done(steps_done));
  set(line, fields::kLoss, step.loss());
  set(line, fields::kGradNorm, step.grad_norm());
  set(line, fields::kLearningRate, step.theta().learning_rate());
  if (step.skipped()) line["skipped"] = true;
  set(line, fields::kTheta, list(step.theta().theta_D()));
  add_batch_groups(line, parts_.data.group_names, step);
  add_batch_excess(line, parts_.data.group_names, step.group_sums(), train_baseline_K_);
  add_weights(line, parts_.data.group_names, shown_alpha_K());
  set(line, fields::kPairsPerSecond, (pairs_total_ - last_line_.pairs) / seconds_since(last_line_.time));
  write_line(file_, path_, line);
  last_line_ = {.time = Clock::now(), .pairs = pairs_total_, .steps = steps_done};
}

void LogLinearReport::send_training(std::int64_t steps_done, const LogLinearStep& step) {
  v1::ReportMetricsRequest request;
  request.set_step(steps_done);
  request.set_split(v1::SPLIT_TRAIN);
  request.set_loss(step.loss());
  const GroupSums& sums = step.group_sums();
  for (std::size_t i = 0; i < sums.group.size(); ++i) {
    add_group(request, sums.group[i], sums.loss_sum[i] / sums.pair_count[i], step.group_pairs()[i]);
  }
  request.set_pairs_total(static_cast<std::int64_t>(pairs_total_));
  request.set_pairs_per_second((pairs_total_ - last_report_.pairs) / seconds_since(last_report_.time));
  send(request);
  last_report_ = {.time = Clock::now(), .pairs = pairs_total_, .steps = steps_done};
}

EvaluationNumbers LogLinearReport::evaluated(std::int64_t steps_done, const LogLinearStep& step,
                                             const ValidationLosses& validation) {
  if (last_report_.steps != steps_done) send_training(steps_done, step);
  const std::vector<std::string>& names = parts_.data.group_names;
  const std::size_t worst = worst_group(validation.loss_K);
  double loss = 0, pairs = 0;
  v1::ReportMetricsRequest request;
  for (std::size_t g = 0; g < names.size(); ++g) {
    loss += validation.loss_K[g] * validation.pair_count_K[g];
    pairs += validation.pair_count_K[g];
    add_group(request, g, validation.loss_K[g], validation.pair_count_K[g]);
  }
  Json line;
  set(line, fields::kSplit, fields::kSplitValidation);
  set(line, fields::kStep, steps_done);
  set(line, fields::kEpoch, step.epochs_done(steps_done));
  line["eval_loss"] = loss / pairs;
  line["eval_pairs"] = pairs;
  set(line, fields::kTheta, list(step.theta().theta_D()));
  set(line, fields::kGroupLoss, named(names, validation.loss_K));
  set(line, fields::kGroupCount, named(names, validation.pair_count_K));
  set(line, fields::kGroupWeight, named(names, shown_alpha_K()));
  line["worst_group"] = names[worst];
  set(line, fields::kWorstGroupLoss, validation.loss_K[worst]);
  add_validation_excess(line, names, validation.loss_K, validation_baseline_K_);
  write_line(file_, path_, line);

  request.set_step(steps_done);
  request.set_split(v1::SPLIT_VALIDATION);
  request.set_loss(loss / pairs);
  send(request);
  return numbers_of(line);
}

void LogLinearReport::tested(std::int64_t steps_done, const log_linear::RewardReport& report,
                             std::span<const double> theta_D) {
  const std::vector<std::string>& names = parts_.data.group_names;
  Json line;
  set(line, fields::kSplit, fields::kSplitTest);
  set(line, fields::kStep, steps_done);
  set(line, fields::kTheta, list(theta_D));
  set(line, fields::kGroupReward, named(names, report.group_reward_K));
  line["optimal_reward"] = named(names, report.optimal_reward_K);
  set(line, fields::kRewardError, named(names, report.reward_error_K));
  set(line, fields::kMaxRewardError, report.max_reward_error);
  write_line(file_, path_, line);
}

void LogLinearReport::finish(std::int64_t steps_done, const LogLinearStep& step) {
  if (last_report_.steps != steps_done) send_training(steps_done, step);
  const log_linear::ThetaUpdate& theta = step.theta();
  const auto folder = parts_.config.output / "final";
  std::filesystem::create_directories(folder);
  const Json parameters = {{"theta", list(theta.theta_D())},
                           {"theta_average", list(theta.average_D())},
                           {"alpha", list(shown_alpha_K())},
                           {"groups", parts_.data.group_names},
                           {"steps", theta.steps()}};
  write_durably(folder / "theta.json", parameters.dump(2) + "\n");
}

void LogLinearReport::send(v1::ReportMetricsRequest& request) {
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

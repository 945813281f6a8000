#include "experiments/opinions/opinion_results.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "client/report/metrics_reader.h"
#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/robust/worst_group.h"

namespace equipoise::reproduce {
namespace {

template <typename Value>
std::vector<double> by_group(const OpinionEvaluation& evaluation, Value value) {
  std::vector<double> values;
  for (const GroupMeasures& group : evaluation.groups_K) values.push_back(value(group));
  return values;
}

std::vector<double> losses(const OpinionEvaluation& evaluation) {
  return by_group(evaluation, [](const GroupMeasures& group) { return group.loss; });
}

double smallest(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }

template <typename Value>
std::vector<double> over_seeds(const std::vector<OpinionRun>& runs, Value value) {
  std::vector<double> values;
  for (const OpinionRun& run : runs) values.push_back(value(run));
  return values;
}

// `points(run)` is a list whose elements have a step; `value(point)` its number.
template <typename Points, typename Value>
Series series_of(const std::vector<OpinionRun>& runs, Points points, Value value) {
  std::size_t count = std::numeric_limits<std::size_t>::max();
  for (const OpinionRun& run : runs) count = std::min(count, points(run).size());
  Series series;
  for (std::size_t i = 0; i < count; ++i) {
    series.iteration.push_back(static_cast<double>(points(runs.front())[i].step));
    series.over_seeds.push_back(
        estimate(over_seeds(runs, [&](const OpinionRun& run) { return value(points(run)[i]); })));
  }
  return series;
}

}  // namespace

const std::vector<OpinionRun>& OpinionResults::of(Method method) const {
  const auto place = std::find(kOpinionMethods.begin(), kOpinionMethods.end(), method);
  EQUIPOISE_CHECK(place != kOpinionMethods.end());
  return runs[static_cast<std::size_t>(place - kOpinionMethods.begin())];
}

double max_group_loss(const OpinionEvaluation& evaluation) { return worst_group_loss(losses(evaluation)); }

double mean_group_loss(const OpinionEvaluation& evaluation) { return mean(losses(evaluation)); }

double group_loss_spread(const OpinionEvaluation& evaluation) {
  return worst_group_loss(losses(evaluation)) - smallest(losses(evaluation));
}

double min_reward_accuracy(const OpinionEvaluation& evaluation) {
  return smallest(by_group(evaluation, [](const GroupMeasures& group) { return group.reward_accuracy; }));
}

double min_log_prob_accuracy(const OpinionEvaluation& evaluation) {
  return smallest(by_group(evaluation, [](const GroupMeasures& group) { return group.log_prob_accuracy; }));
}

OpinionMeasure loss_of(std::size_t group) {
  return [group](const OpinionEvaluation& evaluation) { return evaluation.groups_K[group].loss; };
}

OpinionMeasure reward_accuracy_of(std::size_t group) {
  return [group](const OpinionEvaluation& evaluation) { return evaluation.groups_K[group].reward_accuracy; };
}

OpinionMeasure log_prob_accuracy_of(std::size_t group) {
  return [group](const OpinionEvaluation& evaluation) { return evaluation.groups_K[group].log_prob_accuracy; };
}

std::vector<double> start_values(const std::vector<OpinionRun>& runs, const OpinionMeasure& measure) {
  return over_seeds(runs, [&](const OpinionRun& run) { return measure(run.evaluations.front()); });
}

std::vector<double> final_values(const std::vector<OpinionRun>& runs, const OpinionMeasure& measure) {
  return over_seeds(runs, [&](const OpinionRun& run) { return measure(run.evaluations.back()); });
}

std::vector<double> final_weights(const std::vector<OpinionRun>& runs, std::size_t group) {
  return over_seeds(runs, [group](const OpinionRun& run) { return run.weights.back().alpha_K[group]; });
}

Series measure_series(const std::vector<OpinionRun>& runs, const OpinionMeasure& measure) {
  return series_of(
      runs, [](const OpinionRun& run) -> const auto& { return run.evaluations; }, measure);
}

Series weight_series(const std::vector<OpinionRun>& runs, std::size_t group) {
  return series_of(
      runs, [](const OpinionRun& run) -> const auto& { return run.weights; },
      [group](const WeightPoint& point) { return point.alpha_K[group]; });
}

// read_opinion_run of opinion_results.h.

namespace {

namespace schema = metrics_schema;
using schema::Field;

// [K], in the order of `groups`.
std::vector<double> numbers_of(const MetricsRecord& record, const Field& field,
                               const std::vector<std::string>& groups) {
  const auto numbers = record.by_group(field);
  std::vector<double> values_K;
  for (const std::string& group : groups) {
    const auto found = std::ranges::find(numbers, group, [](const auto& number) { return number.first; });
    if (found == numbers.end()) {
      record.refuse("field " + quoted_text(field.name) + " has no number for group " + quoted_text(group));
    }
    if (!std::isfinite(found->second)) {
      throw std::runtime_error(record.where() + ": after step " + std::to_string(record.integer(schema::kStep)) + " " +
                               quoted_text(field.name) + " of group " + quoted_text(group) +
                               " is not finite; a smaller learning rate may help");
    }
    values_K.push_back(found->second);
  }
  return values_K;
}

OpinionEvaluation evaluation_of(const MetricsRecord& record, const std::vector<std::string>& groups) {
  OpinionEvaluation evaluation{record.integer(schema::kStep), {}};
  const std::vector<double> none_K(groups.size(), std::numeric_limits<double>::quiet_NaN());
  const bool compares = record.has(schema::kGroupAccuracy);
  const auto loss_K = numbers_of(record, schema::kGroupLoss, groups);
  const auto accuracy_K = compares ? numbers_of(record, schema::kGroupAccuracy, groups) : none_K;
  const auto logp_accuracy_K = compares ? numbers_of(record, schema::kGroupLogpAccuracy, groups) : none_K;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    evaluation.groups_K.push_back({loss_K[g], accuracy_K[g], logp_accuracy_K[g]});
  }
  return evaluation;
}

void add_weights(const MetricsRecord& record, const std::vector<std::string>& groups, OpinionRun& run) {
  const std::int64_t step = record.integer(schema::kStep);
  // Between two steps there are an evaluation and a training line, with the same weights.
  if (!run.weights.empty() && run.weights.back().step == step) return;
  run.weights.push_back({step, numbers_of(record, schema::kGroupWeight, groups)});
}

}  // namespace

OpinionRun read_opinion_run(const std::filesystem::path& metrics, const std::vector<std::string>& groups,
                            std::uint64_t seed) {
  OpinionRun run{seed, {}, {}};
  read_metrics(metrics, [&](const MetricsRecord& record) {
    if (record.is_evaluation()) run.evaluations.push_back(evaluation_of(record, groups));
    add_weights(record, groups, run);
  });
  if (run.evaluations.size() < 2) {
    throw std::invalid_argument(metrics.string() + ": holds fewer than two lines with \"split\": \"validation\"");
  }
  return run;
}

}  // namespace equipoise::reproduce

// read_opinion_run of opinion_results.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "client/report/metrics_reader.h"
#include "common/base/quoted_text.h"
#include "experiments/opinions/opinion_results.h"

namespace equipoise::reproduce {
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

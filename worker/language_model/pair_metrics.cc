#include "worker/language_model/pair_metrics.h"

#include <optional>

namespace equipoise {
namespace {

namespace schema = metrics_schema;

struct MeasureField {
  Measure measure;
  const schema::Field& field;
};

constexpr MeasureField kChosenMeans[] = {{Measure::kChosenLogp, schema::kLogpsChosen}};
constexpr MeasureField kComparedMeans[] = {{Measure::kRejectedLogp, schema::kLogpsRejected},
                                           {Measure::kChosenReward, schema::kRewardsChosen},
                                           {Measure::kRejectedReward, schema::kRewardsRejected},
                                           {Measure::kCorrect, schema::kRewardsAccuracies},
                                           {Measure::kMargin, schema::kRewardsMargins}};
constexpr MeasureField kTokenMeans[] = {{Measure::kEntropy, schema::kEntropy},
                                        {Measure::kTokenAccuracy, schema::kTokenAccuracy},
                                        {Measure::kChosenLogits, schema::kLogitsChosen}};
constexpr MeasureField kComparedTokenMeans[] = {{Measure::kRejectedLogits, schema::kLogitsRejected}};
constexpr MeasureField kNllMean[] = {{Measure::kNll, schema::kNll}};

// By group, in training and evaluation; then in evaluation only.
constexpr MeasureField kChosenByGroup[] = {{Measure::kChosenLogp, schema::kGroupLogpsChosen}};
constexpr MeasureField kComparedByGroup[] = {{Measure::kCorrect, schema::kGroupAccuracy},
                                             {Measure::kMargin, schema::kGroupMargin},
                                             {Measure::kChosenReward, schema::kGroupRewardsChosen},
                                             {Measure::kRejectedReward, schema::kGroupRewardsRejected},
                                             {Measure::kRejectedLogp, schema::kGroupLogpsRejected}};
constexpr MeasureField kNllByGroup[] = {{Measure::kNll, schema::kGroupNll}};
constexpr MeasureField kEvaluatedByGroup[] = {{Measure::kEntropy, schema::kGroupEntropy},
                                              {Measure::kTokenAccuracy, schema::kGroupTokenAccuracy},
                                              {Measure::kChosenLogits, schema::kGroupLogitsChosen}};
constexpr MeasureField kEvaluatedComparedByGroup[] = {{Measure::kLogpCorrect, schema::kGroupLogpAccuracy},
                                                      {Measure::kRejectedLogits, schema::kGroupLogitsRejected}};

// Means that there are: those over answer tokens are not measured in every step.
void add_means(MetricsFields& fields, const BatchSums& sums, std::span<const MeasureField> means) {
  for (const auto& [measure, field] : means) {
    if (sums.has(measure)) fields.set(field, sums.mean(measure));
    if (const auto error = sums.error(measure)) fields.set_error(field, *error);
  }
}

std::vector<GroupNumber> errors_by_group(const BatchSums& sums, Measure measure, std::span<const std::string> names) {
  std::vector<GroupNumber> errors;
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    if (const auto error = sums.group_error(measure, g)) errors.push_back({.group = names[g], .value = *error});
  }
  return errors;
}

// Groups present only: an absent group has no mean, and one with a single pair no error.
void add_by_group(MetricsFields& fields, const BatchSums& sums, std::span<const MeasureField> means,
                  std::span<const std::string> names) {
  for (const auto& [measure, field] : means) {
    std::vector<GroupNumber> values;
    for (std::size_t g = 0; g < sums.num_groups(); ++g) {
      if (sums.group_has(measure, g)) values.push_back({.group = names[g], .value = sums.group_mean(measure, g)});
    }
    if (!values.empty()) fields.set(field, values);
    const auto errors = errors_by_group(sums, measure, names);
    if (!errors.empty()) fields.set_error(field, errors);
  }
}

// Two pairs of each group that has any.
BatchSums sums_of_groups(std::span<const double> count_K) {
  BatchSums sums(count_K.size());
  const PairOutcome outcome{.answers = TokenSums{.chosen_tokens = 1, .rejected_tokens = 1}};
  for (std::size_t g = 0; g < count_K.size(); ++g) {
    if (!(count_K[g] > 0)) continue;
    const Membership membership{.group = static_cast<std::uint32_t>(g), .weight = 1};
    for (int i = 0; i < 2; ++i) sums.add(outcome, std::span(&membership, 1));
  }
  sums.settle_errors();
  return sums;
}

}  // namespace

std::vector<GroupMeans> group_means(const PairMetrics& metrics, const BatchSums& sums) {
  std::vector<GroupMeans> groups;
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    if (!(sums.group_pairs(g) > 0)) continue;
    groups.push_back({.group = static_cast<std::uint32_t>(g),
                      .loss = sums.group_loss(g),
                      .pair_count = sums.group_pairs(g),
                      .accuracy = metrics.has_rewards ? std::optional(sums.group_accuracy(g)) : std::nullopt});
  }
  return groups;
}

MetricsFields step_fields(const PairMetrics& metrics, const BatchSums& sums, std::span<const std::string> names) {
  MetricsFields fields;
  add_means(fields, sums, kChosenMeans);
  if (metrics.has_rewards) add_means(fields, sums, kComparedMeans);
  add_means(fields, sums, kTokenMeans);
  if (metrics.has_rewards) add_means(fields, sums, kComparedTokenMeans);
  if (metrics.has_nll) add_means(fields, sums, kNllMean);
  const auto loss_errors = errors_by_group(sums, Measure::kLoss, names);
  if (!loss_errors.empty()) fields.set_error(schema::kGroupLoss, loss_errors);
  add_by_group(fields, sums, kChosenByGroup, names);
  if (metrics.has_rewards) add_by_group(fields, sums, kComparedByGroup, names);
  if (metrics.has_nll) add_by_group(fields, sums, kNllByGroup, names);
  return fields;
}

ValidationMeans validation_means(const PairMetrics& metrics, const BatchSums& sums, std::span<const std::string> names,
                                 const std::string& file) {
  ValidationMeans result{.file = file,
                         .loss = sums.loss(),
                         .loss_error = sums.error(Measure::kLoss),
                         .pairs = sums.pairs(),
                         .groups = group_means(metrics, sums),
                         .further = step_fields(metrics, sums, names)};
  add_by_group(result.further, sums, kEvaluatedByGroup, names);
  if (metrics.has_rewards) add_by_group(result.further, sums, kEvaluatedComparedByGroup, names);
  return result;
}

ValidationMeans expected_means(const PairMetrics& metrics, std::span<const double> count_K,
                               std::span<const std::string> names, const std::string& file) {
  return validation_means(metrics, sums_of_groups(count_K), names, file);
}

}  // namespace equipoise

#include "worker/train/metrics_line.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <ranges>

#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

struct Named {
  Measure measure;
  const char* name;
};

// TRL's names.
constexpr Named kChosenMeans[] = {{Measure::kChosenLogp, "logps/chosen"}};
constexpr Named kComparedMeans[] = {{Measure::kRejectedLogp, "logps/rejected"},
                                    {Measure::kChosenReward, "rewards/chosen"},
                                    {Measure::kRejectedReward, "rewards/rejected"},
                                    {Measure::kCorrect, "rewards/accuracies"},
                                    {Measure::kMargin, "rewards/margins"}};
constexpr Named kTokenMeans[] = {{Measure::kEntropy, "entropy"},
                                 {Measure::kTokenAccuracy, "mean_token_accuracy"},
                                 {Measure::kChosenLogits, "logits/chosen"}};
constexpr Named kComparedTokenMeans[] = {{Measure::kRejectedLogits, "logits/rejected"}};

// By group, in training and evaluation; then in evaluation only.
constexpr Named kChosenByGroup[] = {{Measure::kLoss, "group_loss"}, {Measure::kChosenLogp, "group_logps/chosen"}};
constexpr Named kComparedByGroup[] = {{Measure::kCorrect, "group_accuracy"},
                                      {Measure::kMargin, "group_margin"},
                                      {Measure::kChosenReward, "group_rewards/chosen"},
                                      {Measure::kRejectedReward, "group_rewards/rejected"},
                                      {Measure::kRejectedLogp, "group_logps/rejected"}};
constexpr Named kEvaluatedByGroup[] = {{Measure::kEntropy, "group_entropy"},
                                       {Measure::kTokenAccuracy, "group_mean_token_accuracy"},
                                       {Measure::kChosenLogits, "group_logits/chosen"}};
constexpr Named kEvaluatedComparedByGroup[] = {{Measure::kLogpCorrect, "group_logp_accuracy"},
                                               {Measure::kRejectedLogits, "group_logits/rejected"}};

MetricsLine named(const std::vector<std::string>& names, std::span<const double> values_K) {
  MetricsLine object = MetricsLine::object();
  for (std::size_t g = 0; g < values_K.size(); ++g) object[names[g]] = values_K[g];
  return object;
}

// Means that there are: those over answer tokens are not measured in every step.
void add_means(MetricsLine& line, const std::string& prefix, const BatchSums& sums, std::span<const Named> means) {
  for (const Named& mean : means) {
    if (sums.has(mean.measure)) line[prefix + mean.name] = sums.mean(mean.measure);
    if (const auto error = sums.error(mean.measure)) line[prefix + mean.name + "_error"] = *error;
  }
}

void add_all_means(MetricsLine& line, const std::string& prefix, const BatchSums& sums, const LineSettings& settings) {
  add_means(line, prefix, sums, kChosenMeans);
  if (settings.rewards == Rewards::kLogged) add_means(line, prefix, sums, kComparedMeans);
  add_means(line, prefix, sums, kTokenMeans);
  if (settings.rewards == Rewards::kLogged) add_means(line, prefix, sums, kComparedTokenMeans);
  constexpr Named kNll[] = {{Measure::kNll, "nll_loss"}};
  if (settings.extra.nll) add_means(line, prefix, sums, kNll);
}

// Groups present only: an absent group has no mean, and one with a single pair no error.
void add_by_group(MetricsLine& line, const std::vector<std::string>& names, const BatchSums& sums,
                  std::span<const Named> means) {
  for (const Named& mean : means) {
    MetricsLine values = MetricsLine::object(), errors = MetricsLine::object();
    for (std::size_t g = 0; g < sums.num_groups(); ++g) {
      if (sums.group_has(mean.measure, g)) values[names[g]] = sums.group_mean(mean.measure, g);
      if (const auto error = sums.group_error(mean.measure, g)) errors[names[g]] = *error;
    }
    // Of a measure that all pairs have, the object is there even if it is empty.
    if (!values.empty() || mean.measure == Measure::kLoss) line[mean.name] = std::move(values);
    if (!errors.empty()) line[std::string(mean.name) + "_error"] = std::move(errors);
  }
}

void add_groups(MetricsLine& line, const std::vector<std::string>& names, const BatchSums& sums,
                const LineSettings& settings) {
  add_by_group(line, names, sums, kChosenByGroup);
  if (settings.rewards == Rewards::kLogged) add_by_group(line, names, sums, kComparedByGroup);
  constexpr Named kNll[] = {{Measure::kNll, "group_nll_loss"}};
  if (settings.extra.nll) add_by_group(line, names, sums, kNll);
}

void add_counts(MetricsLine& line, const std::vector<std::string>& names, const BatchSums& sums) {
  MetricsLine counts = MetricsLine::object();
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    if (sums.group_pairs(g) > 0) counts[names[g]] = sums.group_pairs(g);
  }
  line["group_count"] = std::move(counts);
}

// "group/India/loss": the flat form, for programs that plot one number a name.
void add_flat(MetricsLine& line, const std::string& prefix, const std::vector<std::string>& names,
              const BatchSums& sums, Rewards rewards, std::span<const double> weight_K) {
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    const std::string start = prefix + names[g];
    if (sums.group_pairs(g) > 0) {
      line[start + "/loss"] = sums.group_loss(g);
      if (rewards == Rewards::kLogged) line[start + "/accuracy"] = sums.group_accuracy(g);
    }
    if (!weight_K.empty()) line[start + "/weight"] = weight_K[g];
  }
}

// None of a group without pairs.
std::optional<double> loss_of(const BatchSums& sums, std::size_t g) {
  return sums.group_pairs(g) > 0 ? std::optional(sums.group_loss(g)) : std::nullopt;
}

void add_worst(MetricsLine& line, const std::vector<std::string>& names, const BatchSums& sums, Rewards rewards) {
  double min_accuracy = HUGE_VAL;
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    if (sums.group_pairs(g) > 0) min_accuracy = std::min(min_accuracy, sums.group_accuracy(g));
  }
  const auto groups = std::views::iota(std::size_t{0}, sums.num_groups());
  const auto worst = worst_group(groups, [&](std::size_t g) { return loss_of(sums, g); });
  if (worst == groups.end()) return;
  line["worst_group"] = names[*worst];
  line["worst_group_loss"] = sums.group_loss(*worst);
  if (rewards == Rewards::kLogged) line["min_group_accuracy"] = min_accuracy;
}

// Groups present that have a baseline.
void add_excess(MetricsLine& line, const std::string& prefix, const std::vector<std::string>& names,
                const BatchSums& sums, std::span<const double> baseline_K) {
  if (baseline_K.empty()) return;
  MetricsLine excess = MetricsLine::object();
  std::vector<double> excess_losses;
  for (std::size_t g = 0; g < baseline_K.size(); ++g) {
    if (!(sums.group_pairs(g) > 0) || std::isnan(baseline_K[g])) continue;
    excess_losses.push_back(sums.group_loss(g) - baseline_K[g]);
    line[prefix + names[g] + "/excess_loss"] = excess[names[g]] = excess_losses.back();
  }
  if (excess.empty()) return;
  line["group_excess_loss"] = std::move(excess);
  line["worst_group_excess_loss"] = worst_group_loss(excess_losses);
}

// max_g L_g - sum_g alpha_g L_g >= 0: how far alpha is from the exact inner maximum. Needs the loss of every training
// group; L_g - b_g in its place where there is a baseline.
std::optional<double> robust_gap(const BatchSums& sums, std::span<const double> alpha_K,
                                 std::span<const double> baseline_K) {
  std::vector<double> loss_K;
  double weighted = 0;
  for (std::size_t g = 0; g < alpha_K.size(); ++g) {
    if (!(sums.group_pairs(g) > 0) || !std::isfinite(sums.group_loss(g))) return std::nullopt;
    const double loss = sums.group_loss(g) - (baseline_K.empty() ? 0 : baseline_K[g]);
    loss_K.push_back(loss);
    weighted += alpha_K[g] * loss;
  }
  return worst_group_loss(loss_K) - weighted;
}

// What lines of all validation pairs and of one file's have in common.
MetricsLine evaluation_start(const LineSettings& settings, LinePosition position, const std::string& split,
                             const std::string& prefix, const BatchSums& sums) {
  MetricsLine line = {{"split", split}, {"step", position.step}, {"epoch", position.epoch}};
  line[prefix + "loss"] = sums.loss();
  if (const auto error = sums.error(Measure::kLoss)) line[prefix + "loss_error"] = *error;
  line[prefix + "pairs"] = sums.pairs();
  add_all_means(line, prefix, sums, settings);
  const auto& names = settings.validation_groups;
  add_groups(line, names, sums, settings);
  add_by_group(line, names, sums, kEvaluatedByGroup);
  if (settings.rewards == Rewards::kLogged) add_by_group(line, names, sums, kEvaluatedComparedByGroup);
  add_counts(line, names, sums);
  add_worst(line, names, sums, settings.rewards);
  add_flat(line, prefix + "group/", names, sums, settings.rewards, {});
  return line;
}

}  // namespace

MetricsLine step_line(const LineSettings& settings, LinePosition position, const StepResult& result,
                      std::span<const double> alpha_K, Speed speed) {
  const BatchSums& sums = result.sums;
  const auto& names = settings.train_groups;
  MetricsLine line = {{"step", position.step}, {"epoch", position.epoch}, {"loss", result.loss}};
  if (result.loss_error) line["loss_error"] = *result.loss_error;
  line["grad_norm"] = result.grad_norm;
  line["learning_rate"] = result.learning_rate;
  if (result.skipped) line["skipped"] = true;
  add_all_means(line, "", sums, settings);
  add_groups(line, names, sums, settings);
  line["group_weight"] = named(names, alpha_K);
  add_counts(line, names, sums);
  add_flat(line, "group/", names, sums, settings.rewards, alpha_K);
  add_excess(line, "group/", names, sums, settings.extra.train_baseline_K);
  line["num_tokens"] = static_cast<std::int64_t>(speed.num_tokens);
  line["pairs_per_second"] = speed.pairs_per_second;
  line["tokens_per_second"] = speed.tokens_per_second;
  return line;
}

MetricsLine evaluation_line(const LineSettings& settings, LinePosition position, const BatchSums& sums,
                            std::span<const double> alpha_K) {
  MetricsLine line = evaluation_start(settings, position, "validation", "eval_", sums);
  line["group_weight"] = named(settings.train_groups, alpha_K);
  const auto& baseline_K = settings.extra.validation_baseline_K;
  if (const auto gap = robust_gap(sums, alpha_K, baseline_K)) line["robust_gap"] = *gap;
  add_excess(line, "eval_group/", settings.validation_groups, sums, baseline_K);
  return line;
}

MetricsLine file_line(const LineSettings& settings, LinePosition position, const std::string& file,
                      const BatchSums& sums) {
  return evaluation_start(settings, position, "validation/" + file, "eval_" + file + "_", sums);
}

}  // namespace equipoise

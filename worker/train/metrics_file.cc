#include "worker/train/metrics_file.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

namespace equipoise {
namespace {

// Keeps the order of insertion: people read this file too. Doubles are written so that reading gives the same bits.
using Json = nlohmann::ordered_json;

void write_line(std::ofstream& file, const std::filesystem::path& path, const Json& line) {
  file << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path.string() + ": " + std::strerror(errno));
}

Json named(const std::vector<std::string>& names, std::span<const double> values_K) {
  Json object = Json::object();
  for (std::size_t g = 0; g < values_K.size(); ++g) object[names[g]] = values_K[g];
  return object;
}

void add_means(Json& line, const std::string& prefix, const BatchSums& sums, Rewards rewards) {
  line[prefix + "logps/chosen"] = sums.chosen_logp();
  if (rewards == Rewards::kNone) return;
  line[prefix + "logps/rejected"] = sums.rejected_logp();
  line[prefix + "rewards/chosen"] = sums.chosen_reward();
  line[prefix + "rewards/rejected"] = sums.rejected_reward();
  line[prefix + "rewards/accuracies"] = sums.accuracy();
  line[prefix + "rewards/margins"] = sums.chosen_reward() - sums.rejected_reward();
}

// Groups present only: an absent group has no loss.
template <typename Value>
Json present_groups(const std::vector<std::string>& names, const BatchSums& sums, Value value) {
  Json object = Json::object();
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    if (sums.group_pairs(g) > 0) object[names[g]] = value(g);
  }
  return object;
}

void add_worst(Json& line, const std::vector<std::string>& names, const BatchSums& sums, Rewards rewards) {
  double worst_loss = -HUGE_VAL, min_accuracy = HUGE_VAL;
  std::size_t worst = sums.num_groups();
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    if (!(sums.group_pairs(g) > 0)) continue;
    // A loss that is not finite is the worst there is.
    const double loss = std::isfinite(sums.group_loss(g)) ? sums.group_loss(g) : HUGE_VAL;
    if (worst == sums.num_groups() || loss > worst_loss) {
      worst_loss = loss;
      worst = g;
    }
    min_accuracy = std::min(min_accuracy, sums.group_accuracy(g));
  }
  if (worst == sums.num_groups()) return;
  line["worst_group"] = names[worst];
  line["worst_group_loss"] = worst_loss;
  if (rewards == Rewards::kLogged) line["min_group_accuracy"] = min_accuracy;
}

// Groups present that have a baseline.
void add_excess(Json& line, const std::string& prefix, const std::vector<std::string>& names, const BatchSums& sums,
                std::span<const double> baseline_K) {
  if (baseline_K.empty()) return;
  Json excess = Json::object();
  double worst = -HUGE_VAL;
  for (std::size_t g = 0; g < baseline_K.size(); ++g) {
    if (!(sums.group_pairs(g) > 0) || std::isnan(baseline_K[g])) continue;
    const double of_group = sums.group_loss(g) - baseline_K[g];
    worst = std::max(worst, std::isfinite(of_group) ? of_group : HUGE_VAL);
    line[prefix + names[g] + "/excess_loss"] = excess[names[g]] = of_group;
  }
  if (excess.empty()) return;
  line["group_excess_loss"] = std::move(excess);
  line["worst_group_excess_loss"] = worst;
}

void add_nll(Json& line, const std::string& prefix, const std::vector<std::string>& names, const BatchSums& sums) {
  line[prefix + "nll_loss"] = sums.nll();
  line["group_nll_loss"] = present_groups(names, sums, [&](std::size_t g) { return sums.group_nll(g); });
}

// max_g L_g - sum_g alpha_g L_g >= 0: how far alpha is from the exact inner maximum. Needs the loss of every training
// group; L_g - b_g in its place where there is a baseline.
std::optional<double> robust_gap(const BatchSums& sums, std::span<const double> alpha_K,
                                 std::span<const double> baseline_K) {
  double worst = -HUGE_VAL, weighted = 0;
  for (std::size_t g = 0; g < alpha_K.size(); ++g) {
    if (!(sums.group_pairs(g) > 0) || !std::isfinite(sums.group_loss(g))) return std::nullopt;
    const double loss = sums.group_loss(g) - (baseline_K.empty() ? 0 : baseline_K[g]);
    worst = std::max(worst, loss);
    weighted += alpha_K[g] * loss;
  }
  return worst - weighted;
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, std::vector<std::string> train_groups,
                         std::vector<std::string> validation_groups, Rewards rewards, ExtraMetrics extra)
    : path_(path),
      file_(path, std::ios::trunc),
      train_groups_(std::move(train_groups)),
      validation_groups_(std::move(validation_groups)),
      rewards_(rewards),
      extra_(std::move(extra)) {
  if (!file_) throw std::invalid_argument("cannot write " + path.string() + ": " + std::strerror(errno));
}

void MetricsFile::write_step(LinePosition position, const StepResult& result, std::span<const double> alpha_K,
                             Speed speed) {
  const BatchSums& sums = result.sums;
  Json line = {{"step", position.step},
               {"epoch", position.epoch},
               {"loss", result.loss},
               {"grad_norm", result.grad_norm},
               {"learning_rate", result.learning_rate}};
  if (result.skipped) line["skipped"] = true;
  add_means(line, "", sums, rewards_);
  line["group_loss"] = present_groups(train_groups_, sums, [&](std::size_t g) { return sums.group_loss(g); });
  line["group_weight"] = named(train_groups_, alpha_K);
  line["group_count"] = present_groups(train_groups_, sums, [&](std::size_t g) { return sums.group_pairs(g); });
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    const std::string prefix = "group/" + train_groups_[g];
    if (sums.group_pairs(g) > 0) {
      line[prefix + "/loss"] = sums.group_loss(g);
      if (rewards_ == Rewards::kLogged) line[prefix + "/accuracy"] = sums.group_accuracy(g);
    }
    line[prefix + "/weight"] = alpha_K[g];
  }
  add_excess(line, "group/", train_groups_, sums, extra_.train_baseline_K);
  if (extra_.nll) add_nll(line, "", train_groups_, sums);
  line["pairs_per_second"] = speed.pairs_per_second;
  line["tokens_per_second"] = speed.tokens_per_second;
  write_line(file_, path_, line);
}

EvaluationNumbers MetricsFile::write_evaluation(LinePosition position, const BatchSums& sums,
                                                std::span<const double> alpha_K) {
  Json line = {{"split", "validation"},
               {"step", position.step},
               {"epoch", position.epoch},
               {"eval_loss", sums.loss()},
               {"eval_pairs", sums.pairs()}};
  add_means(line, "eval_", sums, rewards_);
  const auto& names = validation_groups_;
  line["group_loss"] = present_groups(names, sums, [&](std::size_t g) { return sums.group_loss(g); });
  if (rewards_ == Rewards::kLogged) {
    line["group_accuracy"] = present_groups(names, sums, [&](std::size_t g) { return sums.group_accuracy(g); });
    line["group_logp_accuracy"] = present_groups(names, sums, [&](auto g) { return sums.group_logp_accuracy(g); });
    line["group_margin"] = present_groups(names, sums, [&](std::size_t g) { return sums.group_margin(g); });
  }
  line["group_count"] = present_groups(names, sums, [&](std::size_t g) { return sums.group_pairs(g); });
  line["group_weight"] = named(train_groups_, alpha_K);
  add_worst(line, names, sums, rewards_);
  if (const auto gap = robust_gap(sums, alpha_K, extra_.validation_baseline_K)) line["robust_gap"] = *gap;
  for (std::size_t g = 0; g < sums.num_groups(); ++g) {
    if (!(sums.group_pairs(g) > 0)) continue;
    line["eval_group/" + names[g] + "/loss"] = sums.group_loss(g);
    if (rewards_ == Rewards::kLogged) line["eval_group/" + names[g] + "/accuracy"] = sums.group_accuracy(g);
  }
  add_excess(line, "eval_group/", names, sums, extra_.validation_baseline_K);
  if (extra_.nll) add_nll(line, "eval_", names, sums);
  write_line(file_, path_, line);
  return numbers_of(line);
}

}  // namespace equipoise

#include "worker/reference/reference_probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "common/base/message_text.h"
#include "worker/data/prompt_trees.h"
#include "worker/model/host_numbers.h"
#include "worker/model/log_prob.h"

namespace equipoise {
namespace {

constexpr std::size_t kProbePairs = 8;

double rounding_of(torch::Dtype dtype) {
  if (dtype == torch::kFloat64) return 1e-9;
  return dtype == torch::kFloat32 ? 1e-4 : 2e-2;
}

// What another program's arithmetic explains: errors of single tokens have any sign, so they add up as their root.
double foreign_rounding(double tokens, double logp) { return 0.02 * std::sqrt(tokens) + 1e-3 * std::abs(logp); }

// The pairs whose answers have the lowest and the highest log-prob per token: where single numbers are wrong.
class Extremes {
 public:
  void see(std::size_t pair, double logp_per_token) {
    if (!(logp_per_token >= low_)) low_ = logp_per_token, lowest_ = pair;
    if (!(logp_per_token <= high_)) high_ = logp_per_token, highest_ = pair;
  }
  void add_to(std::set<std::size_t>& pairs) const { pairs.insert({lowest_, highest_}); }

 private:
  double low_ = std::numeric_limits<double>::infinity(), high_ = -std::numeric_limits<double>::infinity();
  std::size_t lowest_ = 0, highest_ = 0;
};

std::vector<std::int64_t> probed_positions(const EncodedPairs& pairs, const AnswerLogProbs& reference) {
  std::set<std::size_t> positions;
  const std::size_t wanted = std::min(pairs.size(), kProbePairs);
  for (std::size_t i = 0; i < wanted; ++i) positions.insert(i * pairs.size() / wanted);
  Extremes chosen, rejected;
  const auto per_token = [](double logp, std::size_t tokens) {
    return logp / static_cast<double>(std::max<std::size_t>(tokens, 1));
  };
  std::size_t i = 0;
  for (const EncodedPair pair : pairs) {
    chosen.see(i, per_token(reference.chosen_N[i], pair.chosen_ids.size()));
    rejected.see(i, per_token(reference.rejected_N[i], pair.rejected_ids.size()));
    ++i;
  }
  chosen.add_to(positions);
  rejected.add_to(positions);
  return {positions.begin(), positions.end()};
}

struct Answer {
  std::size_t pair;
  std::size_t tokens;
  double policy_logp, reference_logp;
};

void compare(const Answer& answer, double rounding, ProbeResult& result) {
  const double difference = std::abs(answer.policy_logp - answer.reference_logp);
  const auto tokens = static_cast<double>(answer.tokens);
  const double same = rounding * (tokens + std::abs(answer.reference_logp));
  const double close = std::max(same, foreign_rounding(tokens, answer.reference_logp));
  if (!(difference <= same)) result.is_same = false;
  if (!(difference <= close)) result.is_close = false;
  result.mean_difference += difference;
  if (difference < result.largest_difference) return;
  result.largest_difference = difference;
  result.largest_pair = answer.pair;
  result.policy_logp = answer.policy_logp;
  result.reference_logp = answer.reference_logp;
}

}  // namespace

ProbeResult probe_reference(const Decoder& policy, const EncodedPairs& pairs, const AnswerLogProbs& reference,
                            std::int64_t token_budget) {
  const torch::NoGradGuard no_grad;
  const double rounding = rounding_of(policy.head_weight().scalar_type());
  ProbeResult result;
  std::size_t answers = 0;
  const auto probed = by_prompt(pairs, probed_positions(pairs, reference));
  for (const auto& [indices, trees] : split_micro_batches(pairs, probed, token_budget)) {
    const PairLogProbs log_probs = pair_log_probs(policy, pack_trees(trees, policy.head_weight().device()));
    const auto [chosen_B, rejected_B] = on_host(std::array{log_probs.chosen_B, log_probs.rejected_B});
    for (std::size_t b = 0; b < indices.size(); ++b) {
      const auto i = static_cast<std::size_t>(indices[b]);
      compare({i, pairs[i].chosen_ids.size(), chosen_B[b], reference.chosen_N[i]}, rounding, result);
      compare({i, pairs[i].rejected_ids.size(), rejected_B[b], reference.rejected_N[i]}, rounding, result);
      answers += 2;
    }
    result.pairs += indices.size();
  }
  if (answers > 0) result.mean_difference /= static_cast<double>(answers);
  return result;
}

std::string largest_difference_text(const ProbeResult& probe) {
  return "the log-probability of an answer of pair " + std::to_string(probe.largest_pair + 1) + " is " +
         number_text(probe.policy_logp) + " by the policy and " + number_text(probe.reference_logp) +
         " by the reference";
}

}  // namespace equipoise

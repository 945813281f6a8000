#include "worker/reference/answer_log_probs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "worker/data/prompt_trees.h"
#include "worker/model/sequence_log_prob.h"

namespace equipoise {
namespace {

// Larger forward passes are no faster on any device.
constexpr std::int64_t kMostTokens = 4096;

using MicroBatches = std::span<const std::vector<std::int64_t>>;

void scatter(const torch::Tensor& values_B, const std::vector<std::int64_t>& indices, std::vector<double>& values_N) {
  const torch::Tensor host_B = values_B.to(torch::kCPU, torch::kFloat64).contiguous();
  const double* const value = host_B.const_data_ptr<double>();
  for (std::size_t b = 0; b < indices.size(); ++b) values_N[static_cast<std::size_t>(indices[b])] = value[b];
}

void check_finite(const AnswerLogProbs& values, const std::string& whose) {
  for (std::size_t i = 0; i < values.chosen_N.size(); ++i) {
    if (std::isfinite(values.chosen_N[i]) && std::isfinite(values.rejected_N[i])) continue;
    throw std::invalid_argument(whose + "'s log-probability of pair " + std::to_string(i + 1) +
                                " is not finite: its weights are damaged, or too large for this type");
  }
}

}  // namespace

std::int64_t log_prob_token_budget(std::int64_t micro_batch_tokens) {
  return std::min(micro_batch_tokens, kMostTokens);
}

MicroBatches part_of_rank(MicroBatches micro_batches, const EncodedPairs& pairs, RankInfo info) {
  std::vector<std::int64_t> tokens;
  for (const auto& indices : micro_batches) tokens.push_back(tokens_of_trees(pairs, indices));
  const std::int64_t total = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
  // A micro-batch belongs to the rank in whose share of the tokens its middle lies.
  std::size_t first = 0, count = 0;
  std::int64_t before = 0;
  for (std::size_t m = 0; m < tokens.size(); ++m) {
    const std::int64_t owner = (2 * before + tokens[m]) * info.world_size / std::max<std::int64_t>(2 * total, 1);
    before += tokens[m];
    if (owner < info.rank) first = m + 1;
    if (owner == info.rank) ++count;
  }
  return micro_batches.subspan(first, count);
}

AnswerLogProbs compute_log_probs(const Decoder& decoder, const LogProbPass& pass) {
  const torch::NoGradGuard no_grad;
  AnswerLogProbs result{.chosen_N = std::vector<double>(pass.pairs.size()),
                        .rejected_N = std::vector<double>(pass.pairs.size())};
  std::vector<std::int64_t> all(pass.pairs.size());
  std::iota(all.begin(), all.end(), std::int64_t{0});
  const auto micro_batches = split_micro_batches(pass.pairs, all, pass.token_budget);
  const MicroBatches mine = part_of_rank(micro_batches, pass.pairs, pass.ranks.info());
  for (std::size_t m = 0; m < mine.size(); ++m) {
    const PackedBatch batch = pack_pairs(pass.pairs, mine[m], decoder.head_weight().device());
    const PairLogProbs log_probs = pair_log_probs(decoder, batch);
    scatter(log_probs.chosen_B, mine[m], result.chosen_N);
    scatter(log_probs.rejected_B, mine[m], result.rejected_N);
    if (pass.on_progress) pass.on_progress(static_cast<std::int64_t>(100 * (m + 1) / mine.size()));
  }
  pass.ranks.all_reduce_sum(result.chosen_N);
  pass.ranks.all_reduce_sum(result.rejected_N);
  check_finite(result, pass.whose);
  return result;
}

}  // namespace equipoise

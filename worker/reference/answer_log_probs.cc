#include "worker/reference/answer_log_probs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "worker/data/prompt_trees.h"
#include "worker/model/host_numbers.h"
#include "worker/model/log_prob.h"

namespace equipoise {
namespace {

// Larger forward passes are no faster on any device.
constexpr std::int64_t kMostTokens = 4096;

void scatter(std::span<const double> value_B, std::span<const std::int64_t> indices, std::vector<double>& values_N) {
  for (std::size_t b = 0; b < indices.size(); ++b) values_N[static_cast<std::size_t>(indices[b])] = value_B[b];
}

// Of a whole data set: without trees, which would be larger than its ids. A rank makes those of its own again.
struct DataSetSplit {
  std::vector<std::vector<std::int64_t>> indices_M;
  std::vector<std::int64_t> tokens_M;
};

DataSetSplit split_of(const LogProbPass& pass) {
  std::vector<std::int64_t> all(pass.pairs.size());
  std::iota(all.begin(), all.end(), std::int64_t{0});
  DataSetSplit split;
  for_each_micro_batch(pass.pairs, by_prompt(pass.pairs, all), pass.token_budget, [&](MicroBatch micro_batch) {
    split.tokens_M.push_back(micro_batch.trees.num_tokens());
    split.indices_M.push_back(std::move(micro_batch.indices));
  });
  return split;
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

MicroBatchRange part_of_rank(std::span<const std::int64_t> tokens_M, RankInfo info) {
  const std::int64_t total = std::accumulate(tokens_M.begin(), tokens_M.end(), std::int64_t{0});
  // A micro-batch belongs to the rank in whose share of the tokens its middle lies.
  MicroBatchRange mine;
  std::int64_t before = 0;
  for (std::size_t m = 0; m < tokens_M.size(); ++m) {
    const std::int64_t owner = (2 * before + tokens_M[m]) * info.world_size / std::max<std::int64_t>(2 * total, 1);
    before += tokens_M[m];
    if (owner < info.rank) mine.first = m + 1;
    if (owner == info.rank) ++mine.count;
  }
  return mine;
}

AnswerLogProbs compute_log_probs(const Decoder& decoder, const LogProbPass& pass) {
  const torch::NoGradGuard no_grad;
  AnswerLogProbs result{.chosen_N = std::vector<double>(pass.pairs.size()),
                        .rejected_N = std::vector<double>(pass.pairs.size())};
  const DataSetSplit split = split_of(pass);
  const MicroBatchRange mine = part_of_rank(split.tokens_M, pass.ranks.info());
  for (std::size_t done = 0; done < mine.count; ++done) {
    const std::vector<std::int64_t>& indices = split.indices_M[mine.first + done];
    const PackedBatch batch = pack_pairs(pass.pairs, indices, decoder.head_weight().device());
    const PairLogProbs log_probs = pair_log_probs(decoder, batch);
    const auto [chosen_B, rejected_B] = on_host(std::array{log_probs.chosen_B, log_probs.rejected_B});
    scatter(chosen_B, indices, result.chosen_N);
    scatter(rejected_B, indices, result.rejected_N);
    if (pass.on_progress) pass.on_progress(static_cast<std::int64_t>(100 * (done + 1) / mine.count));
  }
  pass.ranks.all_reduce_sum(result.chosen_N);
  pass.ranks.all_reduce_sum(result.rejected_N);
  check_finite(result, pass.whose);
  return result;
}

}  // namespace equipoise

#include "worker/reference/answer_log_probs.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <mutex>
#include <numeric>

#include "tests/worker/support/golden_model.h"
#include "worker/collective/cpu_collective.h"
#include "worker/data/prompt_trees.h"

namespace equipoise {
namespace answer_log_probs_test {

// A few pairs each.
constexpr std::int64_t kBudget = 200;

AnswerLogProbs on_ranks(int world_size, const EncodedPairs& pairs, const char* model, torch::Dtype dtype) {
  std::vector<AnswerLogProbs> of_rank(static_cast<std::size_t>(world_size));
  const Decoder decoder = golden_decoder(model, dtype);
  run_ranks(world_size, [&](Collective& ranks) {
    of_rank[static_cast<std::size_t>(ranks.info().rank)] =
        compute_log_probs(decoder, {.pairs = pairs, .token_budget = kBudget, .ranks = ranks, .whose = "the model"});
  });
  for (const AnswerLogProbs& values : of_rank) {
    EXPECT_EQ(values.chosen_N, of_rank.front().chosen_N);
    EXPECT_EQ(values.rejected_N, of_rank.front().rejected_N);
  }
  return of_rank.front();
}

TEST(AnswerLogProbs, AreThoseOfTransformers) {
  const auto golden = read_json(golden_file("pairs.json"))["pairs"];
  const auto pairs = golden_pairs();
  for (const auto& [model, whose] : {std::pair(kPolicy, "policy"), std::pair(kReference, "reference")}) {
    const AnswerLogProbs ours = on_ranks(2, pairs, model, torch::kFloat32);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const double chosen = golden[i][std::string(whose) + "_chosen_logp"];
      const double rejected = golden[i][std::string(whose) + "_rejected_logp"];
      // The golden program's own two attention kernels differ by 3e-5 in sums of several hundreds.
      EXPECT_NEAR(ours.chosen_N[i], chosen, 1e-6 * std::abs(chosen) + 3e-5) << whose << " " << i;
      EXPECT_NEAR(ours.rejected_N[i], rejected, 1e-6 * std::abs(rejected) + 3e-5) << whose << " " << i;
    }
  }
}

TEST(AnswerLogProbs, AreTheSameBitsOnAnyNumberOfRanks) {
  const auto pairs = golden_pairs();
  at::set_num_threads(1);
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kFloat64}) {
    const AnswerLogProbs one = on_ranks(1, pairs, kPolicy, dtype);
    for (const int world_size : {2, 4, 7, 24}) {
      const AnswerLogProbs more = on_ranks(world_size, pairs, kPolicy, dtype);
      EXPECT_EQ(more.chosen_N, one.chosen_N) << world_size;
      EXPECT_EQ(more.rejected_N, one.rejected_N) << world_size;
    }
  }
}

// Pairs with the first prompt and with the second take turns; each number goes to its own pair.
TEST(AnswerLogProbs, OfPairsThatShareAPromptAreThoseOfEachAlone) {
  const auto golden = owned(golden_pairs());
  std::vector<OwnedPair> pairs;
  for (std::size_t i = 0; i < 8; ++i) {
    pairs.push_back(golden[i]);
    pairs.back().prompt_ids = golden[i % 2].prompt_ids;
  }
  const AnswerLogProbs together = on_ranks(2, encoded(pairs), kPolicy, torch::kFloat64);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const AnswerLogProbs alone = on_ranks(1, encoded({pairs[i]}), kPolicy, torch::kFloat64);
    EXPECT_NEAR(together.chosen_N[i], alone.chosen_N[0], 1e-9) << i;
    EXPECT_NEAR(together.rejected_N[i], alone.rejected_N[0], 1e-9) << i;
  }
}

TEST(AnswerLogProbs, RanksShareMicroBatchesByTheirTokensInOrder) {
  const auto pairs = golden_pairs();
  const auto micro_batches = split_micro_batches(pairs, by_prompt(pairs, all_of(pairs)), kBudget);
  std::vector<std::int64_t> tokens_M;
  for (const MicroBatch& each : micro_batches) tokens_M.push_back(each.trees.num_tokens());
  ASSERT_GT(tokens_M.size(), 4u);
  for (const int world_size : {1, 2, 3, 7, 24}) {
    std::size_t together = 0;
    std::int64_t largest = 0;
    for (int rank = 0; rank < world_size; ++rank) {
      const MicroBatchRange part = part_of_rank(tokens_M, {.rank = rank, .world_size = world_size});
      EXPECT_TRUE(part.count == 0 || part.first == together) << rank << " of " << world_size;
      together += part.count;
      const std::int64_t* const first = tokens_M.data() + part.first;
      largest = std::max(largest, std::accumulate(first, first + part.count, std::int64_t{0}));
    }
    EXPECT_EQ(together, tokens_M.size()) << world_size;
    const std::int64_t total = std::accumulate(tokens_M.begin(), tokens_M.end(), std::int64_t{0});
    // No rank has more than its share and one micro-batch, of 243 tokens at most (a pair that is longer than the
    // budget).
    EXPECT_LE(largest, total / world_size + 2 * 243) << world_size;
  }
}

TEST(AnswerLogProbs, ReportProgressUpToTheEnd) {
  const auto pairs = golden_pairs();
  const Decoder decoder = golden_decoder(kPolicy);
  std::vector<std::int64_t> percents;
  run_ranks(1, [&](Collective& ranks) {
    compute_log_probs(decoder, {.pairs = pairs,
                                .token_budget = kBudget,
                                .ranks = ranks,
                                .whose = "the model",
                                .on_progress = [&](std::int64_t percent) { percents.push_back(percent); }});
  });
  ASSERT_FALSE(percents.empty());
  EXPECT_TRUE(std::is_sorted(percents.begin(), percents.end()));
  EXPECT_EQ(percents.back(), 100);
}

TEST(AnswerLogProbs, ANumberThatIsNotFiniteNamesThePair) {
  auto pairs = golden_pairs();
  const Decoder decoder = golden_decoder(kPolicy);
  for (const NamedTensor& parameter : decoder.parameters()) {
    const torch::NoGradGuard no_grad;
    if (parameter.name == "model.norm.weight") parameter.tensor.fill_(std::numeric_limits<float>::quiet_NaN());
  }
  try {
    run_ranks(1, [&](Collective& ranks) {
      compute_log_probs(decoder, {.pairs = pairs, .token_budget = kBudget, .ranks = ranks, .whose = "the policy"});
    });
    FAIL() << "a NaN was accepted";
  } catch (const std::invalid_argument& refused) {
    EXPECT_NE(std::string(refused.what()).find("the policy's log-probability of pair 1 is not finite"),
              std::string::npos)
        << refused.what();
  }
}

}  // namespace answer_log_probs_test
}  // namespace equipoise

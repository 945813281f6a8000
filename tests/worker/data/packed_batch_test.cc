#include "worker/data/packed_batch.h"

#include <gtest/gtest.h>

#include "tests/worker/owned_pair.h"

namespace equipoise {
namespace {

using Rows = std::vector<std::int64_t>;

Rows values(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.contiguous().view({-1});
  return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
}

OwnedPair pair(std::vector<std::int32_t> prompt, std::vector<std::int32_t> chosen, std::vector<std::int32_t> rejected) {
  return {.prompt_ids = std::move(prompt),
          .chosen_ids = std::move(chosen),
          .rejected_ids = std::move(rejected),
          .memberships = {}};
}

PackedBatch pack(const std::vector<OwnedPair>& pairs, const Rows& indices) {
  return pack_pairs(encoded(pairs), indices, torch::kCPU);
}

TEST(PackPairs, StoresThePromptOnceAndBothAnswersContinueItsPositions) {
  const PackedBatch batch = pack({pair({10, 11}, {20, 21}, {30})}, {0});
  EXPECT_EQ(values(batch.token_T), (Rows{10, 11, 20, 21, 30}));
  EXPECT_EQ(values(batch.position_T), (Rows{0, 1, 2, 3, 2}));
  EXPECT_EQ(batch.largest_token, 30);
}

TEST(PackPairs, ScoresEachAnswerTokenFromItsPredecessor) {
  const PackedBatch batch = pack({pair({10, 11}, {20, 21}, {30})}, {0});
  EXPECT_EQ(values(batch.source_C), (Rows{1, 2, 1}));
  EXPECT_EQ(values(batch.target_C), (Rows{20, 21, 30}));
  EXPECT_EQ(values(batch.answer_C), (Rows{0, 0, 1}));
  EXPECT_EQ(values(batch.answer_tokens_B2), (Rows{2, 1}));
}

TEST(PackPairs, DoesNotScoreTheFirstTokenAfterAnEmptyPrompt) {
  const PackedBatch batch = pack({pair({}, {20, 21}, {30})}, {0});
  EXPECT_EQ(values(batch.source_C), (Rows{0}));
  EXPECT_EQ(values(batch.target_C), (Rows{21}));
  EXPECT_EQ(values(batch.answer_tokens_B2), (Rows{2, 1}));
}

TEST(PackPairs, ShowsRejectedThePromptButNotChosen) {
  const PackedBatch batch = pack({pair({10, 11}, {20}, {30, 31})}, {0});
  const torch::Tensor expected = torch::tensor({{1, 0, 0, 0, 0},  //
                                                {1, 1, 0, 0, 0},
                                                {1, 1, 1, 0, 0},
                                                {1, 1, 0, 1, 0},
                                                {1, 1, 0, 1, 1}})
                                     .to(torch::kBool);
  ASSERT_EQ(batch.blocks.size(), 1u);
  EXPECT_TRUE(batch.blocks[0].mask_DSS[0].equal(expected));
}

TEST(PackPairs, PutsTheLongestPairFirstAndKeepsTheNumbersOfPairs) {
  const PackedBatch batch = pack({pair({1}, {2}, {3}), pair({4, 5}, {6}, {7})}, {0, 1});
  EXPECT_EQ(values(batch.token_T), (Rows{4, 5, 6, 7, 1, 2, 3}));
  EXPECT_EQ(values(batch.answer_C), (Rows{2, 3, 0, 1}));
  EXPECT_EQ(values(batch.blocks[0].slot_N), (Rows{0, 1, 2, 3, 4, 5, 6}));  // S = 4: pair 0 has slots 4, 5, 6
}

TEST(PackPairs, LetsPaddingSeeItselfAlone) {
  const PackedBatch batch = pack({pair({1}, {2}, {3}), pair({4, 5}, {6}, {7})}, {0, 1});
  EXPECT_TRUE(batch.blocks[0].mask_DSS[1][3].equal(torch::tensor({false, false, false, true})));
}

TEST(PackPairs, PadsNoPairToMoreThanTwiceItsLength) {
  std::vector<OwnedPair> pairs;
  Rows indices;
  for (std::size_t length = 1; length <= 300; length += 13) {
    pairs.push_back(pair(std::vector<std::int32_t>(length, 1), {2}, {3}));
    indices.push_back(static_cast<std::int64_t>(indices.size()));
  }
  const PackedBatch batch = pack(pairs, indices);
  std::int64_t rows = 0, members = 0;
  for (const AttentionBlock& block : batch.blocks) {
    EXPECT_EQ(block.first_row, rows);
    EXPECT_LE(block.num_pairs * block.longest, 2 * block.num_rows);
    rows += block.num_rows;
    members += block.num_pairs;
  }
  EXPECT_EQ(rows, batch.token_T.size(0));
  EXPECT_EQ(members, batch.num_pairs);
}

TEST(PackPairs, TakesPairsWithoutAnyToken) {
  const PackedBatch batch = pack({pair({}, {}, {}), pair({1}, {2}, {})}, {0, 1});
  EXPECT_EQ(values(batch.token_T), (Rows{1, 2}));
  EXPECT_EQ(values(batch.answer_C), (Rows{2}));
  EXPECT_EQ(batch.num_pairs, 2);
}

using Split = std::vector<Rows>;

TEST(SplitMicroBatches, FillsEachUpToTheBudgetInOrder) {
  const EncodedPairs pairs =
      encoded({pair({1}, {2}, {3}), pair({1}, {2}, {}), pair({1, 1, 1, 1}, {2}, {3}), pair({1}, {}, {})});
  EXPECT_EQ(split_micro_batches(pairs, Rows{0, 1, 2, 3}, 5), (Split{{0, 1}, {2}, {3}}));
  EXPECT_EQ(split_micro_batches(pairs, Rows{3, 2, 1, 0}, 100), (Split{{3, 2, 1, 0}}));
  EXPECT_EQ(split_micro_batches(pairs, Rows{2, 2}, 1), (Split{{2}, {2}}));
  EXPECT_EQ(split_micro_batches(pairs, Rows{}, 5), Split{});
}

}  // namespace
}  // namespace equipoise

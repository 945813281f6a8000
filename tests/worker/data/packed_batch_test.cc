#include "worker/data/packed_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "tests/worker/support/owned_pair.h"
#include "worker/data/prompt_trees.h"

namespace equipoise {
namespace packed_batch_test {

using Rows = std::vector<std::int64_t>;
using ::testing::UnorderedElementsAreArray;

Rows values(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.to(torch::kInt64).contiguous().view({-1});
  return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
}

// The row at each place.
Rows rows_of(const RowUses& uses) {
  return uses.row_N.defined() ? values(uses.row_N) : values(torch::arange(uses.num_rows));
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

// Every tensor of a batch by its name, and their shapes.
using NamedTensors = std::map<std::string, torch::Tensor>;

void add_uses(const std::string& name, const RowUses& uses, NamedTensors& tensors) {
  if (uses.row_N.defined()) tensors[name] = uses.row_N;
  for (std::size_t round = 0; round < uses.rounds.size(); ++round) {
    tensors[name + ".row." + std::to_string(round)] = uses.rounds[round].row_R;
    tensors[name + ".place." + std::to_string(round)] = uses.rounds[round].place_R;
  }
}

NamedTensors tensors_of(const PackedBatch& batch) {
  NamedTensors tensors = {{"token", batch.token_T},
                          {"position", batch.position_T},
                          {"target", batch.target_C},
                          {"answer", batch.answer_C},
                          {"answer_of_pair", batch.answer_of_pair_B2},
                          {"answer_tokens", batch.answer_tokens_B2}};
  if (batch.row_key_T.defined()) tensors["row_key"] = batch.row_key_T;
  add_uses("source", batch.source_C, tensors);
  add_uses("queries", batch.attention.queries, tensors);
  add_uses("keys", batch.attention.keys, tensors);
  add_uses("outputs", batch.attention.outputs, tensors);
  for (std::size_t i = 0; i < batch.attention.answers.size(); ++i) {
    const AnswerBlock& block = batch.attention.answers[i];
    const std::string name = "block." + std::to_string(i);
    tensors[name + ".query_answer"] = block.query_answer_DQ;
    tensors[name + ".query_position"] = block.query_position_DQ;
    tensors[name + ".key_answer"] = block.key_answer_DK;
    tensors[name + ".key_position"] = block.key_position_DK;
  }
  return tensors;
}

void expect_same(const PackedBatch& a, const PackedBatch& b) {
  const NamedTensors ours = tensors_of(a), theirs = tensors_of(b);
  ASSERT_EQ(ours.size(), theirs.size());
  for (const auto& [name, tensor] : ours) EXPECT_TRUE(tensor.equal(theirs.at(name))) << name;
  EXPECT_EQ(a.num_pairs, b.num_pairs);
  EXPECT_EQ(a.num_answers, b.num_answers);
  EXPECT_EQ(a.largest_token, b.largest_token);
  EXPECT_EQ(a.largest_position, b.largest_position);
}

TEST(PackPairs, StoresThePromptOnceAndBothAnswersContinueItsPositions) {
  const PackedBatch batch = pack({pair({10, 11}, {20, 21}, {30})}, {0});
  EXPECT_EQ(values(batch.token_T), (Rows{10, 11, 20, 21, 30}));
  EXPECT_EQ(values(batch.position_T), (Rows{0, 1, 2, 3, 2}));
  EXPECT_EQ(values(batch.answer_tokens_B2), (Rows{2, 1}));
  EXPECT_EQ(batch.largest_position, 3);
  EXPECT_EQ(batch.largest_token, 30);
}

TEST(PackPairs, ScoresEachAnswerTokenFromTheRowThatPredictsIt) {
  const PackedBatch batch = pack({pair({10, 11}, {20, 21}, {30})}, {0});
  EXPECT_EQ(rows_of(batch.source_C), (Rows{1, 2, 1}));
  EXPECT_EQ(values(batch.target_C), (Rows{20, 21, 30}));
  EXPECT_EQ(values(batch.answer_C), (Rows{0, 0, 1}));
  EXPECT_EQ(values(batch.answer_of_pair_B2), (Rows{0, 1}));
}

TEST(PackPairs, DoesNotScoreTheFirstTokenAfterAnEmptyPrompt) {
  const PackedBatch batch = pack({pair({}, {20, 21}, {30})}, {0});
  EXPECT_EQ(rows_of(batch.source_C), (Rows{0}));
  EXPECT_EQ(values(batch.target_C), (Rows{21}));
  EXPECT_EQ(values(batch.answer_tokens_B2), (Rows{2, 1}));
}

TEST(PackPairs, StoresAPromptOnceForAllPairsThatHaveIt) {
  const PackedBatch batch =
      pack({pair({10, 11}, {20}, {30}), pair({10}, {20}, {30}), pair({10, 11}, {40}, {50})}, {0, 1, 2});
  EXPECT_EQ(values(batch.token_T), (Rows{10, 11, 10, 20, 30, 40, 50, 20, 30}));
  EXPECT_EQ(values(batch.position_T), (Rows{0, 1, 0, 2, 2, 2, 2, 1, 1}));
  EXPECT_EQ(batch.num_answers, 6);
}

TEST(PackPairs, ComputesAnAnswerOnceForAllPairsOfThePromptThatHaveIt) {
  const PackedBatch batch =
      pack({pair({10}, {20, 1}, {30, 1}), pair({10}, {30, 1}, {20, 1}), pair({10}, {20}, {20, 1})}, {0, 1, 2, 0});
  EXPECT_EQ(values(batch.token_T), (Rows{10, 20, 1, 30, 1, 20}));
  EXPECT_EQ(values(batch.answer_of_pair_B2), (Rows{0, 1, 1, 0, 2, 0, 0, 1}));
  EXPECT_EQ(batch.num_pairs, 4);
  EXPECT_EQ(batch.num_answers, 3);
  EXPECT_EQ(values(batch.answer_tokens_B2), (Rows{2, 2, 2, 2, 1, 2, 2, 2}));
}

TEST(PackPairs, NumbersPairsByTheirPlaceInTheBatch) {
  const PackedBatch batch = pack({pair({1}, {2}, {3}), pair({4, 5}, {6}, {7})}, {0, 1});
  EXPECT_EQ(values(batch.token_T), (Rows{4, 5, 1, 2, 3, 6, 7}));
  EXPECT_EQ(values(batch.target_C), (Rows{2, 3, 6, 7}));
  EXPECT_EQ(values(batch.answer_of_pair_B2), (Rows{0, 1, 2, 3}));
}

TEST(PackPairs, TakesPairsWithoutAnyToken) {
  const PackedBatch batch = pack({pair({}, {}, {}), pair({1}, {2}, {})}, {0, 1});
  EXPECT_EQ(values(batch.token_T), (Rows{1, 2}));
  EXPECT_EQ(values(batch.target_C), (Rows{2}));
  EXPECT_EQ(values(batch.answer_of_pair_B2), (Rows{0, 0, 1, 2}));
  EXPECT_EQ(pack({pair({}, {}, {})}, {0}).attention.answers.size(), 0u);
}

// For each row, the rows of the keys it sees, as often as it sees them.
std::map<std::int64_t, Rows> seen_rows(const AttentionLayout& layout) {
  const Rows queries = rows_of(layout.queries), keys = rows_of(layout.keys), outputs = rows_of(layout.outputs);
  const std::set<std::int64_t> looked_at(outputs.begin(), outputs.end());
  std::map<std::int64_t, Rows> seen;
  std::int64_t query = 0, first_key = 0;
  const auto see = [&](std::int64_t num_keys, const auto& sees) {
    for (std::int64_t k = 0; k < num_keys && looked_at.contains(query); ++k) {
      if (sees(k))
        seen[queries[static_cast<std::size_t>(query)]].push_back(keys[static_cast<std::size_t>(first_key + k)]);
    }
    ++query;
  };
  for (const PromptBlock& block : layout.prompts) {
    for (std::int64_t d = 0; d < block.num_prompts; ++d, first_key += block.longest) {
      for (std::int64_t q = 0; q < block.longest; ++q) see(block.longest, [&](std::int64_t k) { return k <= q; });
    }
  }
  for (const AnswerBlock& block : layout.answers) {
    const Rows query_answer = values(block.query_answer_DQ), query_position = values(block.query_position_DQ);
    const Rows key_answer = values(block.key_answer_DK), key_position = values(block.key_position_DK);
    for (std::int64_t d = 0; d < block.num_bundles; ++d, first_key += block.num_keys) {
      for (std::int64_t q = d * block.num_queries; q < (d + 1) * block.num_queries; ++q) {
        const auto at = static_cast<std::size_t>(q);
        see(block.num_keys, [&](std::int64_t k) {
          const auto key = static_cast<std::size_t>(d * block.num_keys + k);
          return (key_answer[key] == kPromptKey || key_answer[key] == query_answer[at]) &&
                 key_position[key] <= query_position[at];
        });
      }
    }
  }
  EXPECT_EQ(query, static_cast<std::int64_t>(queries.size()));
  EXPECT_EQ(first_key, static_cast<std::int64_t>(keys.size()));
  return seen;
}

// Lengths of many classes; every second prompt has a second pair, every third answer is short.
std::vector<OwnedPair> many_pairs() {
  std::vector<OwnedPair> pairs;
  std::int32_t id = 0;
  const auto ids = [&](std::size_t count) {
    std::vector<std::int32_t> list(count);
    for (std::int32_t& value : list) value = ++id;
    return list;
  };
  for (std::size_t n = 0; n < 24; ++n) {
    pairs.push_back(pair(ids(n * 7 % 90), ids(n % 3 == 0 ? 2 : 5 * n), ids(3 * n % 40)));
    if (n % 2 == 0) pairs.push_back(pair(pairs.back().prompt_ids, ids(1), ids(n)));
  }
  return pairs;
}

Rows all_of(const std::vector<OwnedPair>& pairs) {
  return values(torch::arange(static_cast<std::int64_t>(pairs.size())));
}

TEST(PackPairs, LetsEachTokenSeeItsPromptAndItsOwnAnswerUpToItselfOnce) {
  const auto pairs = many_pairs();
  const PackedBatch batch = pack(pairs, all_of(pairs));
  const Rows token = values(batch.token_T);
  std::map<std::int64_t, std::int64_t> row_of;  // all ids differ, but those of shared prompts
  for (std::size_t row = 0; row < token.size(); ++row) row_of[token[row]] = static_cast<std::int64_t>(row);
  ASSERT_EQ(row_of.size(), token.size());
  const auto seen = seen_rows(batch.attention);
  EXPECT_EQ(seen.size(), token.size());
  for (const OwnedPair& pair : pairs) {
    for (const auto& answer : {pair.chosen_ids, pair.rejected_ids}) {
      Rows prefix;
      for (const auto& part : {pair.prompt_ids, answer}) {
        for (const std::int32_t id : part) {
          prefix.push_back(row_of.at(id));
          EXPECT_THAT(seen.at(row_of.at(id)), UnorderedElementsAreArray(prefix)) << id;
        }
      }
    }
  }
}

TEST(PackPairs, PadsNothingToMoreThanTwiceItsLengthOr16) {
  const auto pairs = many_pairs();
  const PackedBatch batch = pack(pairs, all_of(pairs));
  EXPECT_GT(batch.attention.answers.size(), 2u);
  for (const PromptBlock& block : batch.attention.prompts) EXPECT_LE(block.longest, 128);
  for (const AnswerBlock& block : batch.attention.answers) {
    const torch::Tensor tokens_D = block.key_answer_DK.ne(kPaddingKey).sum(1);
    EXPECT_GE(2 * std::max<std::int64_t>(tokens_D.min().item<std::int64_t>(), 8), block.num_keys);
  }
  const auto places = static_cast<std::int64_t>(rows_of(batch.attention.queries).size());
  EXPECT_LE(places, 2 * batch.token_T.size(0) + 16 * batch.num_answers);
}

TEST(PackPairs, BundlesShortAnswersBehindALongPromptAndKeepsLongOnesApart) {
  const std::vector<std::int32_t> prompt(40, 9), long_answer(21, 3), other_long_answer(21, 4);
  const PackedBatch batch = pack({pair(prompt, {1, 2}, {3, 2}), pair(prompt, {4, 2}, {5, 2})}, {0, 1});
  ASSERT_EQ(batch.attention.answers.size(), 1u);
  EXPECT_EQ(batch.attention.answers[0].num_bundles, 1);
  EXPECT_EQ(batch.attention.answers[0].num_queries, 8);
  EXPECT_EQ(batch.attention.answers[0].num_keys, 48);
  const PackedBatch apart = pack({pair(prompt, long_answer, other_long_answer)}, {0});
  ASSERT_EQ(apart.attention.answers.size(), 1u);
  EXPECT_EQ(apart.attention.answers[0].num_bundles, 2);
  EXPECT_EQ(apart.attention.answers[0].num_keys, 61);
}

// To a CPU too: what a GPU gets is the same list.
TEST(MoveTo, SendsAllTensorsAsPartsOfOneListOfTheSameNumbersAndShapes) {
  const auto pairs = many_pairs();
  const EncodedPairs data = encoded(pairs);
  const PackedBatch batch = pack_pairs(data, all_of(pairs), torch::kCPU, DropoutDraw{.seed = 1, .step = 2});
  PackedBatch moved = batch;
  move_to(torch::kCPU, moved);
  expect_same(moved, batch);
  const NamedTensors before = tensors_of(batch), after = tensors_of(moved);
  EXPECT_GT(after.size(), 20u);
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : after) {
    EXPECT_EQ(tensor.sizes(), before.at(name).sizes()) << name;
    EXPECT_TRUE(tensor.is_contiguous()) << name;
    EXPECT_EQ(tensor.storage().data(), moved.token_T.storage().data()) << name;
    numbers += tensor.numel();
  }
  EXPECT_EQ(moved.token_T.storage().nbytes(), sizeof(std::int64_t) * static_cast<std::size_t>(numbers));
}

// Without memory of its own the device has the shapes alone; nothing stays behind on the CPU.
TEST(PackPairs, LeavesNoTensorOnTheCpuWhereTheDeviceIsAnother) {
  const auto pairs = many_pairs();
  const PackedBatch batch = pack_pairs(encoded(pairs), all_of(pairs), torch::kMeta, DropoutDraw{.seed = 1, .step = 2});
  for (const auto& [name, tensor] : tensors_of(batch)) EXPECT_TRUE(tensor.is_meta()) << name;
}

TEST(RowUses, NameEveryUseInARoundInWhichItsRowIsAlone) {
  RowUsesBuilder builder;
  builder.use(2, 2);
  builder.pad(0, 3);
  builder.use(1, 3);
  builder.use(3);
  const RowUses uses = builder.build(5);
  EXPECT_EQ(values(uses.row_N), (Rows{2, 3, 0, 0, 0, 1, 2, 3, 3}));
  ASSERT_EQ(uses.rounds.size(), 3u);
  EXPECT_EQ(values(uses.rounds[0].row_R), (Rows{1, 2, 3}));
  EXPECT_EQ(values(uses.rounds[0].place_R), (Rows{5, 0, 1}));
  EXPECT_EQ(values(uses.rounds[1].row_R), (Rows{2, 3}));
  EXPECT_EQ(values(uses.rounds[1].place_R), (Rows{6, 7}));
  EXPECT_EQ(values(uses.rounds[2].row_R), (Rows{3}));
  EXPECT_EQ(values(uses.rounds[2].place_R), (Rows{8}));
}

TEST(RowUses, SayNothingWhereEveryRowIsInItsPlace) {
  RowUsesBuilder builder;
  builder.use(0, 3);
  EXPECT_FALSE(builder.build(3).row_N.defined());
  EXPECT_TRUE(builder.build(4).row_N.defined());
}

using Split = std::vector<Rows>;

// The pairs of each micro-batch, whose trees are those of its pairs.
Split split_up(const EncodedPairs& pairs, const Rows& indices, std::int64_t token_budget) {
  Split split;
  for (const auto& [own, trees] : split_micro_batches(pairs, by_prompt(pairs, indices), token_budget)) {
    expect_same(pack_trees(trees, torch::kCPU), pack_pairs(pairs, own, torch::kCPU));
    split.push_back(own);
  }
  return split;
}

TEST(SplitMicroBatches, FillsEachUpToTheBudgetInOrder) {
  const EncodedPairs pairs =
      encoded({pair({1}, {2}, {3}), pair({4}, {2}, {}), pair({1, 1, 1, 1}, {2}, {3}), pair({5}, {}, {})});
  EXPECT_EQ(split_up(pairs, Rows{0, 1, 2, 3}, 5), (Split{{0, 1}, {2}, {3}}));
  EXPECT_EQ(split_up(pairs, Rows{3, 2, 1, 0}, 100), (Split{{3, 2, 1, 0}}));
  EXPECT_EQ(split_up(pairs, Rows{0, 2}, 1), (Split{{0}, {2}}));
  EXPECT_EQ(split_up(pairs, Rows{}, 5), Split{});
}

TEST(SplitMicroBatches, CountsAPromptAndAnAnswerOnce) {
  const EncodedPairs pairs = encoded({pair({1, 1, 1}, {2}, {3}), pair({1, 1, 1}, {2}, {4}), pair({1, 1, 1}, {4}, {3})});
  EXPECT_EQ(split_up(pairs, Rows{0, 1, 2}, 6), (Split{{0, 1, 2}}));
  EXPECT_EQ(split_up(pairs, Rows{0, 1, 2}, 5), (Split{{0}, {1}, {2}}));
  EXPECT_EQ(split_up(pairs, Rows{2, 2, 0}, 5), (Split{{2, 2}, {0}}));
}

TEST(SplitMicroBatches, BringsPairsOfOnePromptTogether) {
  const EncodedPairs pairs = encoded({pair({1}, {2}, {3}), pair({4}, {2}, {3}), pair({1}, {5}, {6}),
                                      pair({4}, {5}, {6}), pair({7}, {5}, {6}), pair({1}, {7}, {8})});
  EXPECT_EQ(split_up(pairs, Rows{0, 1, 2, 3, 4, 5}, 100), (Split{{0, 2, 5, 1, 3, 4}}));
  EXPECT_EQ(split_up(pairs, Rows{0, 1, 2, 3, 4, 5}, 8), (Split{{0, 2, 5}, {1, 3, 4}}));
  // {4}'s two pairs have 5 tokens: more than are left beside {1}'s 7 of 9.
  EXPECT_EQ(split_up(pairs, Rows{0, 1, 2, 3, 4, 5}, 9), (Split{{0, 2, 5}, {1, 3, 4}}));
  // {1}'s three pairs do not fit into any: they fill one after the other.
  EXPECT_EQ(split_up(pairs, Rows{4, 0, 2, 5}, 6), (Split{{4, 0}, {2, 5}}));
}

TEST(ByPrompt, KeepsTheOrderOfWhatSharesNothing) {
  const EncodedPairs pairs =
      encoded({pair({1}, {2}, {3}), pair({1, 2}, {3}, {4}), pair({}, {1}, {2}), pair({2}, {3}, {})});
  EXPECT_EQ(by_prompt(pairs, Rows{3, 1, 2, 0}), (Rows{3, 1, 2, 0}));
  EXPECT_EQ(by_prompt(pairs, Rows{}), Rows{});
}

TEST(ByPrompt, MovesAPairBehindTheFirstWithItsPrompt) {
  const EncodedPairs pairs = encoded({pair({1}, {2}, {3}), pair({}, {3}, {4}), pair({1}, {1}, {2}), pair({}, {3}, {})});
  EXPECT_EQ(by_prompt(pairs, Rows{3, 2, 1, 0, 2}), (Rows{3, 1, 2, 0, 2}));
}

TEST(PromptTrees, HaveTheTokensOfThePackedBatch) {
  const auto pairs = many_pairs();
  Rows indices = all_of(pairs);
  indices.insert(indices.end(), {3, 5, 3});
  EXPECT_EQ(trees_of(encoded(pairs), indices).num_tokens(), pack(pairs, indices).token_T.size(0));
}

TEST(PromptTrees, AppendedAreThoseOfAllPairsInOrder) {
  const EncodedPairs pairs = encoded({pair({1}, {2}, {3}), pair({4}, {2}, {3}), pair({4}, {3}, {5})});
  PromptTrees trees = trees_of(pairs, Rows{0});
  trees.append(trees_of(pairs, Rows{1}));
  EXPECT_EQ(trees.new_tokens(pairs[2]), 1) << "prompt {4} and answer {3} are there";
  trees.add(pairs[2]);
  expect_same(pack_trees(trees, torch::kCPU), pack_pairs(pairs, Rows{0, 1, 2}, torch::kCPU));
  EXPECT_EQ(trees.num_tokens(), 7);
}

TEST(PromptTrees, AppendedKeepAPromptOfTheirOwnThatIsThereAlready) {
  const EncodedPairs pairs = encoded({pair({1}, {2}, {3}), pair({1}, {2}, {4})});
  PromptTrees trees = trees_of(pairs, Rows{0});
  trees.append(trees_of(pairs, Rows{1}));
  EXPECT_EQ(trees.num_tokens(), 6);
  const PackedBatch batch = pack_trees(trees, torch::kCPU);
  EXPECT_EQ(values(batch.token_T), (Rows{1, 1, 2, 3, 2, 4}));
  EXPECT_EQ(values(batch.answer_of_pair_B2), (Rows{0, 1, 2, 3}));
}

using Ids = std::vector<std::int32_t>;
using Keys = std::vector<std::int64_t>;

Keys of_prompt(const Ids& prompt, const DropoutDraw& draw = {}) {
  RowKeys keys(draw);
  keys.add_prompt(prompt);
  return keys.values();
}
Keys of_answer(const Ids& prompt, const Ids& answer, const DropoutDraw& draw = {}) {
  RowKeys keys(draw);
  keys.add_answer(prompt, answer);
  return keys.values();
}

TEST(RowKeys, AreAFunctionOfTheTextAlone) {
  RowKeys keys({.seed = 1, .step = 2});
  keys.add_answer({}, Ids{9});
  keys.add_prompt(Ids{1, 2});
  keys.add_answer(Ids{1, 2}, Ids{3});
  Keys wanted = of_answer({}, {9}, {.seed = 1, .step = 2});
  for (const Keys& more : {of_prompt({1, 2}, {.seed = 1, .step = 2}), of_answer({1, 2}, {3}, {.seed = 1, .step = 2})}) {
    wanted.insert(wanted.end(), more.begin(), more.end());
  }
  EXPECT_EQ(keys.values(), wanted);
}

TEST(RowKeys, DifferInEverythingThatMakesARow) {
  std::set<std::int64_t> keys;
  std::size_t rows = 0;
  const auto add = [&](const Keys& more) {
    rows += more.size();
    keys.insert(more.begin(), more.end());
  };
  for (const DropoutDraw& draw : {DropoutDraw{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, -1}}) {
    for (const Ids& prompt : {Ids{1, 2, 3}, {1, 2}, {2, 1}, {0}, {0, 0}, {-1}}) {
      add(of_prompt(prompt, draw));
      // Where the prompt ends is part of it: 1 2 | 3 is not 1 | 2 3.
      for (const Ids& answer : {Ids{1, 2}, {2}, {3}, {2, 3}}) add(of_answer(prompt, answer, draw));
    }
  }
  EXPECT_EQ(keys.size(), rows);
}

}  // namespace packed_batch_test
}  // namespace equipoise

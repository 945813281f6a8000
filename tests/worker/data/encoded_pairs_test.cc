#include "worker/data/encoded_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/support/owned_pair.h"
#include "worker/data/encoded_dataset.h"

namespace equipoise {
namespace encoded_pairs_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

// Pair i is told from all others by its ids, their lengths, its group, its share, its weight and its log-probs.
OwnedPair numbered(std::int32_t i) {
  return {.prompt_ids = std::vector<std::int32_t>(static_cast<std::size_t>(i % 4), i),
          .chosen_ids = {i, i + 1},
          .rejected_ids = std::vector<std::int32_t>(static_cast<std::size_t>(i % 3), i + 2),
          .memberships = {{.group = static_cast<std::uint32_t>(i % 5), .weight = 1.0 / (1 + i % 2)}},
          .chosen_share = 1.0 / (1 + i),
          .weight = i % 7 == 3 ? 0.5 + i : 1,
          .reference = ReferenceLogProbs{.chosen = -1.0 * i, .rejected = -2.0 * i}};
}

void expect_numbered(const EncodedPair& pair, std::int32_t i) {
  const OwnedPair expected = numbered(i);
  ASSERT_EQ(to_list(pair.prompt_ids), expected.prompt_ids) << i;
  ASSERT_EQ(to_list(pair.chosen_ids), expected.chosen_ids) << i;
  ASSERT_EQ(to_list(pair.rejected_ids), expected.rejected_ids) << i;
  ASSERT_EQ(pair.memberships.size(), 1U) << i;
  ASSERT_EQ(pair.memberships[0].group, expected.memberships[0].group) << i;
  ASSERT_EQ(pair.memberships[0].weight, expected.memberships[0].weight) << i;
  ASSERT_EQ(pair.chosen_share, expected.chosen_share) << i;
  ASSERT_EQ(pair.weight, expected.weight) << i;
  ASSERT_EQ(pair.reference, expected.reference) << i;
}

EncodedPairs numbered_pairs(std::int32_t first, std::int32_t count) {
  EncodedPairs pairs;
  for (std::int32_t i = first; i < first + count; ++i) pairs.add(numbered(i).view());
  return pairs;
}

// More than one block of columns holds.
TEST(EncodedPairs, AreWhatWasAdded) {
  constexpr std::int32_t kPairs = 70'000;
  const EncodedPairs pairs = numbered_pairs(0, kPairs);
  ASSERT_EQ(pairs.size(), std::size_t{kPairs});
  EXPECT_GT(pairs.columns().size(), 2U);
  std::int32_t next = 0;
  for (const EncodedPair pair : pairs) expect_numbered(pair, next++);
  EXPECT_EQ(next, kPairs);
  for (const std::int32_t i : {69'999, 0, 32'767, 32'768, 65'535, 65'536}) {
    expect_numbered(pairs[static_cast<std::size_t>(i)], i);
  }
}

TEST(EncodedPairs, FollowEachOtherInSeveralParts) {
  EncodedPairs pairs;
  for (const auto& [first, count] : {std::pair(0, 3), {3, 0}, {3, 1}, {4, 40'000}}) {
    pairs.append(numbered_pairs(first, count));
  }
  pairs.add(numbered(40'004).view());
  ASSERT_EQ(pairs.size(), 40'005U);
  std::int32_t next = 0;
  for (const EncodedPair pair : pairs) expect_numbered(pair, next++);
  for (const std::int32_t i : {2, 3, 4, 40'004}) expect_numbered(pairs[static_cast<std::size_t>(i)], i);
}

TEST(EncodedPairs, StayValidWhenTheyAreMoved) {
  EncodedPairs pairs = numbered_pairs(0, 10);
  const EncodedPair third = pairs[3];
  const EncodedPairs moved = std::move(pairs);
  EXPECT_EQ(moved[3].prompt_ids.data(), third.prompt_ids.data());
  expect_numbered(third, 3);
}

TEST(EncodedPairs, KeepEqualMembershipListsOnce) {
  const std::vector<Membership> one = {{0, 1.0}}, two = {{0, 1.0}, {1, 0.5}};
  EncodedPairs pairs;
  for (int i = 0; i < 10; ++i) pairs.add({.memberships = i % 2 == 0 ? one : two});
  pairs.add_dropped(two, {});
  EXPECT_EQ(pairs.columns().at(0).memberships.size(), 3U);
  EXPECT_EQ(pairs[9].memberships.size(), 2U);
  EXPECT_EQ(pairs[9].memberships.data(), pairs.dropped(0).memberships.data());
}

TEST(EncodedPairs, KnowWhereInTheDataADroppedPairWas) {
  const std::vector<Membership> group = {{2, 0.5}};
  const DropCause cause{.what = DropCause::What::kLongPrompt, .tokens = 70, .limit = 64};
  EncodedPairs pairs, more;
  pairs.add(numbered(0).view());
  pairs.add_dropped(group, cause);
  more.add_dropped(group, {});
  more.add(numbered(1).view());
  more.add_dropped(group, cause);
  pairs.append(std::move(more));
  ASSERT_EQ(pairs.num_dropped(), 3U);
  EXPECT_EQ(pairs.dropped(0).position, 1);
  EXPECT_EQ(pairs.dropped(1).position, 2);
  EXPECT_EQ(pairs.dropped(2).position, 4);
  EXPECT_EQ(pairs.dropped(2).memberships.front().group, 2U);
  EXPECT_EQ(pairs.dropped(2).cause.text(), "its prompt of 70 tokens is longer than max_prompt_length = 64");
  expect_numbered(pairs[1], 1);
}

EncodedDataset of_groups(std::vector<std::string> names, std::vector<double> count_K) {
  EncodedDataset data;
  data.pairs = numbered_pairs(0, 1);
  data.group_names = std::move(names);
  data.pair_count_K = std::move(count_K);
  data.dropped_count_K.resize(data.group_names.size(), 1);
  data.shortened_count_K.resize(data.group_names.size(), 2);
  return data;
}

TEST(EncodedDataset, CountsAPartThatBringsNewGroups) {
  EncodedDataset data = of_groups({"a"}, {1.5});
  data.append(of_groups({"a", "b"}, {0.25, 2}));
  EXPECT_EQ(data.size(), 2U);
  EXPECT_THAT(data.group_names, ElementsAre("a", "b"));
  EXPECT_THAT(data.pair_count_K, ElementsAre(1.75, 2));
  EXPECT_THAT(data.dropped_count_K, ElementsAre(2, 1));
  EXPECT_THAT(data.shortened_count_K, ElementsAre(4, 2));
}

TEST(EncodedDataset, RefusesAPartWithOtherGroups) {
  EncodedDataset data = of_groups({"a", "b"}, {1, 1});
  EXPECT_THAT(
      [&] {
        data.append(of_groups({"a", "c"}, {1, 1}));
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("has no group \"b\" in this place")));
  EXPECT_THROW(data.append(of_groups({"a"}, {1})), std::invalid_argument);
  EXPECT_EQ(data.size(), 1U);
}

}  // namespace encoded_pairs_test
}  // namespace equipoise

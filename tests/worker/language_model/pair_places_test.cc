#include "worker/language_model/pair_places.h"

#include <gtest/gtest.h>

#include "tests/worker/support/owned_pair.h"

namespace equipoise {
namespace pair_places_test {

EncodedPairs pairs_of(const std::vector<std::vector<Membership>>& memberships) {
  EncodedPairs pairs;
  for (const auto& of_pair : memberships) {
    OwnedPair pair;
    pair.prompt_ids = {1, 2};
    pair.chosen_ids = {3};
    pair.rejected_ids = {4};
    pair.memberships = of_pair;
    pairs.add(pair.view());
  }
  return pairs;
}

// Two files: of the first its rows 1 and 4 are left out, of the second its last.
TEST(PairPlaces, CountsRowsOfEachFileWithThoseThatAreLeftOut) {
  const std::vector<Membership> in_0 = {{.group = 0, .weight = 1}};
  EncodedPairs pairs;
  const auto add = [&pairs, &in_0](bool is_kept) {
    if (is_kept) {
      pairs.append(pairs_of({in_0}));
    } else {
      pairs.add_dropped(in_0, {.what = DropCause::What::kLongPair, .tokens = 9, .limit = 8});
    }
  };
  for (const bool is_kept : {false, true, true, false, true}) add(is_kept);
  for (const bool is_kept : {true, true, false}) add(is_kept);
  const PairPlaces places(pairs, {{.file = "a", .counts = {.pairs = 3, .dropped = 2}},
                                  {.file = "b", .counts = {.pairs = 2, .dropped = 1}}});
  const std::vector<std::pair<std::uint32_t, std::int64_t>> expected = {{0, 2}, {0, 3}, {0, 5}, {1, 1}, {1, 2}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const PairShare place = places.place(static_cast<std::int64_t>(i));
    EXPECT_EQ(std::pair(place.file, place.row), expected[i]) << i;
  }
}

TEST(PairPlaces, GivesEachGroupTheSharesOfItsMembers) {
  const EncodedPairs pairs = pairs_of({{{.group = 0, .weight = 1}, {.group = 2, .weight = 0.5}},
                                       {{.group = 2, .weight = 1}},
                                       {{.group = 0, .weight = 1}}});
  const PairPlaces places(pairs, {{.file = "a", .counts = {.pairs = 3}}});
  const std::vector<BatchLoss> losses = {{.pair = 0, .weight = 2, .loss = 0.75},
                                         {.pair = 1, .weight = 1, .loss = 4},
                                         {.pair = 0, .weight = 2, .loss = 0.5}};
  const GroupSums sums{.group = {0, 2}, .loss_sum = {2.5, 5.25}, .pair_count = {4, 3}, .batch_pairs = 3};
  const std::vector<GroupShares> groups = places.shares(losses, sums);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].pairs, 2);
  EXPECT_EQ(groups[0].top[0].share, 1.5);
  EXPECT_EQ(groups[0].top[1].share, 1);
  EXPECT_EQ(groups[1].group, 2u);
  EXPECT_EQ(groups[1].loss_sum, 5.25);
  ASSERT_EQ(groups[1].top.size(), 3u);
  EXPECT_EQ(groups[1].top[0].row, 2);
  EXPECT_EQ(groups[1].top[0].share, 4);
  EXPECT_EQ(groups[1].top[1].share, 0.75);
  EXPECT_EQ(groups[1].rest, 0);
}

}  // namespace pair_places_test
}  // namespace equipoise

#include "common/log_linear/pair_matrix.h"

#include <gtest/gtest.h>

#include "client/data/preference_generator.h"

namespace equipoise::log_linear {
namespace pair_matrix_test {

const Problem kProblem{FeatureMap::kFlipped, 8, {{1, 3}, {3, 1}, {1, 1}}, {}};

PairMatrix matrix_of(std::vector<std::uint64_t> sizes_K) {
  return make_pair_matrix(
      kProblem, generate_preferences(kProblem, {Responses::kEven, Preferring::kDeterministic, std::move(sizes_K), 5}));
}

// The rows in the blocks of a group, padding left out.
std::vector<std::vector<double>> rows_of(const GroupedPairs::Segment& segment) {
  std::vector<std::vector<double>> rows;
  for (std::size_t slot = 0; slot < segment.blocks.count * kLanes; ++slot) {
    std::vector<double> row;
    for (std::size_t j = 0; j < segment.blocks.dim; ++j) {
      row.push_back(segment.blocks.x[(slot / kLanes * segment.blocks.dim + j) * kLanes + slot % kLanes]);
    }
    if (segment.blocks.mask[slot] == 1) rows.push_back(row);
    if (segment.blocks.mask[slot] == 0) {
      EXPECT_EQ(row, std::vector<double>(row.size(), 0.0));
    }
  }
  return rows;
}

TEST(PairMatrix, RowsAreChosenMinusRejectedFeatures) {
  const Preference pair{{0.3}, 1, 6, 2};
  const PairMatrix matrix = make_pair_matrix(kProblem, std::vector<Preference>{pair});
  std::vector<double> chosen_D(2), rejected_D(2);
  write_features(kProblem, pair.state, 6, 1, chosen_D);
  write_features(kProblem, pair.state, 2, 1, rejected_D);
  EXPECT_EQ(matrix.x_ND, (std::vector<double>{chosen_D[0] - rejected_D[0], chosen_D[1] - rejected_D[1]}));
  EXPECT_EQ(matrix.group_counts(), (std::vector<double>{0, 1, 0}));
}

TEST(SliceOf, CoversEveryPairOnceWithSizesThatDifferByAtMostOne) {
  for (const std::size_t slices : {1u, 2u, 4u, 7u}) {
    for (const std::size_t pairs : {0u, 1u, 6u, 300u}) {
      std::size_t next = 0;
      for (std::size_t slice = 0; slice < slices; ++slice) {
        const PairRange range = slice_of(pairs, slice, slices);
        EXPECT_EQ(range.first, next);
        EXPECT_GE(range.end - range.first, pairs / slices);
        EXPECT_LE(range.end - range.first, pairs / slices + 1);
        next = range.end;
      }
      EXPECT_EQ(next, pairs);
    }
  }
}

TEST(GroupedPairs, HoldEachGroupsRowsInTheirOrder) {
  const PairMatrix matrix = matrix_of({13, 0, 8});
  GroupedPairs grouped;
  grouped.assign(matrix, PairRange{0, matrix.pairs()});
  ASSERT_EQ(grouped.segments().size(), 2u);
  for (const GroupedPairs::Segment& segment : grouped.segments()) {
    std::vector<std::vector<double>> expected;
    for (std::size_t pair = 0; pair < matrix.pairs(); ++pair) {
      if (matrix.group_N[pair] != segment.group) continue;
      expected.emplace_back(matrix.row(pair).begin(), matrix.row(pair).end());
    }
    EXPECT_EQ(segment.pairs, static_cast<double>(expected.size()));
    EXPECT_EQ(rows_of(segment), expected);
  }
}

TEST(GroupedPairs, CountAPairTwiceThatIsNamedTwice) {
  const PairMatrix matrix = matrix_of({2, 2, 2});
  const std::vector<std::int64_t> pairs = {3, 3};
  GroupedPairs grouped;
  grouped.assign(matrix, PairRange{0, 6});  // what is replaced
  grouped.assign(matrix, pairs);
  ASSERT_EQ(grouped.segments().size(), 1u);
  EXPECT_EQ(grouped.segments()[0].group, matrix.group_N[3]);
  EXPECT_EQ(grouped.segments()[0].pairs, 2);
  EXPECT_EQ(rows_of(grouped.segments()[0]).size(), 2u);
}

TEST(GroupedPairs, MayBeEmpty) {
  GroupedPairs grouped;
  grouped.assign(matrix_of({1, 1, 1}), PairRange{2, 2});
  EXPECT_TRUE(grouped.segments().empty());
}

}  // namespace pair_matrix_test
}  // namespace equipoise::log_linear

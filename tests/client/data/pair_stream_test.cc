#include "client/data/pair_stream.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace pair_stream_test {

PreferencePair pair_of(const std::string& prompt, const std::string& chosen, const std::string& rejected) {
  return {.prompt = prompt, .chosen = chosen, .rejected = rejected, .memberships = {{0, 1}}};
}

TEST(SeenPairs, KnowEveryPairOfAGroupAgain) {
  SeenPairs seen;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(seen.seen_before(pair_of(std::to_string(i), "a", "b"), i % 3), round == 1);
  }
  EXPECT_FALSE(seen.seen_before(pair_of("0", "a", "b"), 1)) << "another group";
}

TEST(SeenPairs, AreNotTheSameWhereTheTextsEndElsewhere) {
  SeenPairs seen;
  EXPECT_FALSE(seen.seen_before(pair_of("ab", "c", "d"), 0));
  EXPECT_FALSE(seen.seen_before(pair_of("a", "bc", "d"), 0));
  EXPECT_FALSE(seen.seen_before(pair_of("ab", "d", "c"), 0));
}

TEST(SeenPairs, RememberNoMoreThanTheyMay) {
  SeenPairs seen(2);
  EXPECT_FALSE(seen.seen_before(pair_of("1", "a", "b"), 0));
  EXPECT_FALSE(seen.is_full());
  EXPECT_FALSE(seen.seen_before(pair_of("2", "a", "b"), 0));
  EXPECT_TRUE(seen.is_full());
  EXPECT_FALSE(seen.seen_before(pair_of("3", "a", "b"), 0));
  EXPECT_FALSE(seen.seen_before(pair_of("3", "a", "b"), 0)) << "it was not remembered";
  EXPECT_TRUE(seen.seen_before(pair_of("2", "a", "b"), 0));
}

}  // namespace pair_stream_test
}  // namespace equipoise

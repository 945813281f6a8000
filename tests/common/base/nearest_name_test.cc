#include "common/base/nearest_name.h"

#include <gtest/gtest.h>

#include <vector>

namespace equipoise {
namespace nearest_name_test {

TEST(EditDistance, CountsInsertionsDeletionsAndReplacements) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("beta", "beta"), 0u);
}

TEST(NearestName, IsTheOneWithTheFewestEdits) {
  const std::vector<std::string> verbs = {"train", "submit", "jobs"};
  EXPECT_EQ(nearest_name("trian", verbs), "train");
  EXPECT_EQ(nearest_name("sumbit", verbs), "submit");
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(SimilarName, IsNoneWhereTheNearestOneIsAnotherWord) {
  const std::vector<std::string> verbs = {"train", "submit", "checkpoints"};
  EXPECT_EQ(similar_name("trian", verbs), "train");
  EXPECT_EQ(similar_name("check", verbs), "checkpoints");
  EXPECT_EQ(similar_name("trainer", verbs), "train");
  EXPECT_EQ(similar_name("nonsense", verbs), "");
  EXPECT_EQ(similar_name("x", {}), "");
}

}  // namespace nearest_name_test
}  // namespace equipoise

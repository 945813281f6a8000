#include "common/summary/thinned_list.h"

#include <gmock/gmock.h>

namespace equipoise {
namespace {

TEST(ThinnedList, KeepsAllThatFit) {
  ThinnedList<int> list(4, 1000);
  for (int i = 0; i < 4; ++i) list.add(i, 1);
  EXPECT_THAT(list.take(), testing::ElementsAre(0, 1, 2, 3));
}

TEST(ThinnedList, KeepsEvenDistancesTheFirstAndTheLastWhateverTheirNumber) {
  for (int count = 5; count < 200; ++count) {
    ThinnedList<int> list(8, 1000);
    for (int i = 0; i < count; ++i) list.add(i, 1);
    const std::vector<int> values = list.take();
    EXPECT_EQ(values.front(), 0);
    EXPECT_EQ(values.back(), count - 1);
    EXPECT_LE(values.size(), 9U);
    EXPECT_GE(values.size(), std::min(count, 5) * 1U);
    for (std::size_t i = 2; i + 1 < values.size(); ++i) EXPECT_EQ(values[i] - values[i - 1], values[1] - values[0]);
  }
}

TEST(ThinnedList, IsBoundedInBytes) {
  ThinnedList<int> list(1000, 100);
  for (int i = 0; i < 500; ++i) list.add(i, 10);
  EXPECT_LE(list.take().size(), 11U);
}

}  // namespace
}  // namespace equipoise

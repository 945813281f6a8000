#include "worker/client/rank_progress.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace rank_progress_test {

TEST(RankProgress, GrowsWithAllThatARankDoes) {
  RankProgress progress;
  const auto begin = progress.read();
  EXPECT_EQ(begin.phase, v1::RANK_PHASE_STARTING);
  EXPECT_EQ(begin.phase_text, "starting");
  EXPECT_EQ(begin.last_collective, "");
  progress.advance();
  const auto advanced = progress.read();
  EXPECT_GT(advanced.counter, begin.counter);
  progress.set_phase(v1::RANK_PHASE_REFERENCE_LOG_PROBS, "reference log-probs, 40 %");
  const auto moved = progress.read();
  EXPECT_GT(moved.counter, advanced.counter);
  EXPECT_EQ(moved.phase, v1::RANK_PHASE_REFERENCE_LOG_PROBS);
  EXPECT_EQ(moved.phase_text, "reference log-probs, 40 %");
}

TEST(RankProgress, TellsTheCollectiveThatItIsInAndTheLastOne) {
  RankProgress progress;
  {
    const RankProgress::InCollective inside(progress, "broadcast");
    EXPECT_TRUE(progress.read().is_in_collective);
    EXPECT_EQ(progress.read().last_collective, "broadcast");
  }
  EXPECT_FALSE(progress.read().is_in_collective);
  EXPECT_EQ(progress.read().last_collective, "broadcast");
  EXPECT_EQ(progress.read().counter, 1);
}

// Else the ranks that wait for a checkpoint's writer that hangs would look alive for ever.
TEST(RankProgress, CollectivesOfAThreadThatWaitsForAnotherOneAreNoProgress) {
  RankProgress progress;
  progress.set_works_aside(true);
  { const RankProgress::InCollective inside(progress, "all_reduce_sum"); }
  EXPECT_EQ(progress.read().counter, 0);
  progress.advance();
  EXPECT_EQ(progress.read().counter, 1) << "of the other thread";
  progress.set_works_aside(false);
  { const RankProgress::InCollective inside(progress, "all_reduce_sum"); }
  EXPECT_EQ(progress.read().counter, 2);
}

}  // namespace rank_progress_test
}  // namespace equipoise

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

using namespace std::chrono_literals;

TEST(WaitWatch, ARankThatPollsInACollectiveWaits) {
  RankProgress progress;
  std::int64_t polls = 0;
  progress.set_polls([&polls] { return polls; });
  const RankProgress::InCollective inside(progress, "broadcast");
  WaitWatch watch;
  const auto begin = WaitWatch::Clock::now();
  for (int beat = 0; beat < 5; ++beat) {
    ++polls;
    EXPECT_TRUE(watch.is_waiting(progress.read(), progress.has_polls(), begin + 2s * beat)) << beat;
  }
}

// The thread is stopped, or waits for a lock: the others wait for this rank.
TEST(WaitWatch, ARankThatDoesNotPollHangsAfterTwoHeartbeats) {
  RankProgress progress;
  progress.set_polls([] { return std::int64_t{7}; });
  const RankProgress::InCollective inside(progress, "broadcast");
  WaitWatch watch;
  const auto begin = WaitWatch::Clock::now();
  EXPECT_TRUE(watch.is_waiting(progress.read(), true, begin));
  EXPECT_TRUE(watch.is_waiting(progress.read(), true, begin + 2s)) << "after a stop of the whole process";
  EXPECT_TRUE(watch.is_waiting(progress.read(), true, begin + 2s + 10ms)) << "sent at once";
  EXPECT_FALSE(watch.is_waiting(progress.read(), true, begin + 4s));
  progress.advance();
  EXPECT_TRUE(watch.is_waiting(progress.read(), true, begin + 6s)) << "another collective";
}

TEST(WaitWatch, WithoutPollsARankInACollectiveWaits) {
  RankProgress progress;
  WaitWatch watch;
  const auto begin = WaitWatch::Clock::now();
  EXPECT_FALSE(watch.is_waiting(progress.read(), progress.has_polls(), begin)) << "in none";
  const RankProgress::InCollective inside(progress, "broadcast");
  for (int beat = 1; beat < 5; ++beat) {
    EXPECT_TRUE(watch.is_waiting(progress.read(), progress.has_polls(), begin + 2s * beat)) << beat;
  }
}

}  // namespace rank_progress_test
}  // namespace equipoise

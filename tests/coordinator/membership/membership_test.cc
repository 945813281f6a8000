#include "coordinator/membership/membership.h"

#include <gtest/gtest.h>

namespace equipoise::coordinator {
namespace membership_test {

using namespace std::chrono_literals;
using Finish = Membership::Finish;

const SteadyTime kStart = SteadyTime{} + 1h;
const LeaseSettings kLease{.lease = 30s, .exit_grace = 10s};

RankProcess process(std::int64_t pid) { return {.host = "host", .pid = pid, .device = "cpu"}; }

Membership of_ranks(int world_size) {
  Membership members(world_size, kLease);
  for (int rank = 0; rank < world_size; ++rank) members.add(rank, process(100 + rank), kStart);
  return members;
}

TEST(Membership, TheSameProcessMayRegisterAgainButNotAnother) {
  Membership members = of_ranks(1);
  EXPECT_TRUE(members.add(0, process(100), kStart));
  EXPECT_FALSE(members.add(0, process(101), kStart));
}

TEST(Membership, ARankIsGivenUpOnlyAfterItsLease) {
  Membership members = of_ranks(2);
  members.renew_lease(0, kStart + 20s);
  EXPECT_FALSE(members.first_silent(kStart + 30s));
  const auto silent = members.first_silent(kStart + 30s + 1ms);
  ASSERT_TRUE(silent);
  EXPECT_EQ(silent->rank, 1);
  EXPECT_EQ(silent->host, "host");
}

TEST(Membership, AFinishedRankNeedNotBeHeard) {
  Membership members = of_ranks(1);
  members.finish(0, "digest", kStart);
  EXPECT_FALSE(members.first_silent(kStart + 1h));
}

TEST(Membership, AllHaveFinishedWhenEveryRankHasWithOneDigest) {
  Membership members = of_ranks(2);
  EXPECT_EQ(members.finish(1, "a", kStart).outcome, Finish::kAccepted);
  EXPECT_FALSE(members.all_finished());
  EXPECT_EQ(members.finish(1, "a", kStart).outcome, Finish::kRepeated);
  EXPECT_EQ(members.finish(1, "b", kStart).outcome, Finish::kDiffersFromItself);
  const auto differs = members.finish(0, "b", kStart);
  EXPECT_EQ(differs.outcome, Finish::kDiffersFromOther);
  EXPECT_EQ(differs.other_rank, 1);
  EXPECT_FALSE(members.all_finished());
  EXPECT_EQ(members.finish(0, "a", kStart).outcome, Finish::kAccepted);
  EXPECT_TRUE(members.all_finished());
}

TEST(Membership, RanksThatWereToldToExitAreGoneSoonerThanByTheirLease) {
  Membership members = of_ranks(2);
  members.set_told_to_exit(0);
  members.set_left(1);
  EXPECT_FALSE(members.none_running(kStart + 10s));
  EXPECT_TRUE(members.none_running(kStart + 10s + 1ms));
}

// It counts on ranks that cannot be asked to have ended 30 s after they were cut off, whatever they were told to wait.
TEST(Membership, ARankThatWaitsLongerMayRunLonger) {
  constexpr LeaseSettings kPatient{.lease = 30s, .exit_grace = 10s, .rank_wait = 120s};
  EXPECT_EQ(kPatient.until_ended(), 130s);
  EXPECT_EQ(kLease.until_ended(), 40s);
  Membership members(1, kPatient);
  members.add(0, process(100), kStart);
  EXPECT_TRUE(members.first_silent(kStart + 31s));
  EXPECT_FALSE(members.none_running(kStart + 31s));
  EXPECT_FALSE(members.none_running(kStart + 120s));
  EXPECT_TRUE(members.none_running(kStart + 121s));
}

// What many ranks do in numbers whose count does not grow with them.
TEST(Membership, TellsTheMedianLagAndTheLongestOneAndThePhasesOfActiveRanks) {
  Membership members = of_ranks(4);
  for (const int rank : {0, 1, 2}) {
    members.report(rank, {.phase = v1::RANK_PHASE_TRAINING, .progress = 1}, kStart + std::chrono::seconds(rank));
  }
  members.set_left(3);
  const RankActivity activity = members.activity(kStart + 10s);
  EXPECT_EQ(activity.in_phase[v1::RANK_PHASE_TRAINING], 3);
  EXPECT_EQ(activity.in_phase[v1::RANK_PHASE_UNSPECIFIED], 0) << "rank 3 has left";
  EXPECT_EQ(activity.median_lag, 9s);
  EXPECT_EQ(activity.longest_lag, 10s);
  EXPECT_EQ(Membership(2, kLease).activity(kStart).longest_lag, 0s) << "nobody has registered";
}

TEST(Membership, APauseOfTheCoordinatorCountsAgainstNobody) {
  Membership members = of_ranks(1);
  members.renew_leases(60s);
  EXPECT_FALSE(members.first_silent(kStart + 90s));
  EXPECT_TRUE(members.first_silent(kStart + 91s));
}

}  // namespace membership_test
}  // namespace equipoise::coordinator

#include "coordinator/job/job_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace equipoise::coordinator {
namespace job_queue_test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Stay = RoomHolder::Stay;

RoomHolder holder(QueuePlace place, int slots, Stay stay = Stay::kMayLeave) {
  return {.place = place, .room = {.places = 1, .slots = slots}, .stay = stay};
}

constexpr QueuePlace kUrgent{.priority = 5, .sequence = 100};

std::vector<std::int64_t> leaving(int slots, Room free, const std::vector<RoomHolder>& holders) {
  return jobs_to_leave(kUrgent, {.places = 1, .slots = slots}, free, holders);
}

TEST(JobQueue, HigherPrioritiesStartFirstAndOlderJobsOfOne) {
  EXPECT_TRUE(starts_before({.priority = 1, .sequence = 9}, {.priority = 0, .sequence = 1}));
  EXPECT_FALSE(starts_before({.priority = -1, .sequence = 1}, {.priority = 0, .sequence = 9}));
  EXPECT_TRUE(starts_before({.priority = 3, .sequence = 1}, {.priority = 3, .sequence = 2}));
  EXPECT_FALSE(starts_before(kUrgent, kUrgent));
}

TEST(JobQueue, OnlyJobsOfALowerPriorityLeave) {
  EXPECT_THAT(leaving(2, {.places = 1}, {holder({5, 1}, 4), holder({6, 2}, 4)}), IsEmpty());
  EXPECT_THAT(leaving(2, {.places = 1}, {holder({5, 1}, 4), holder({4, 2}, 2)}), ElementsAre(2));
}

TEST(JobQueue, TheLowestPriorityLeavesFirstAndOfOneTheYoungest) {
  EXPECT_THAT(leaving(2, {.places = 1}, {holder({2, 1}, 2), holder({1, 2}, 2), holder({1, 3}, 2)}), ElementsAre(3));
}

TEST(JobQueue, NoneLeavesForAJobThatWouldStillNotFit) {
  EXPECT_THAT(leaving(5, {.places = 1}, {holder({0, 1}, 2), holder({0, 2}, 2)}), IsEmpty());
  EXPECT_THAT(leaving(4, {.places = 1}, {holder({0, 1}, 2), holder({0, 2}, 2, Stay::kStays)}), IsEmpty());
}

TEST(JobQueue, NoneLeavesThatIsNotNeeded) {
  // The second one alone makes enough room.
  EXPECT_THAT(leaving(4, {.places = 1}, {holder({0, 1}, 1), holder({1, 2}, 4)}), ElementsAre(2));
  EXPECT_THAT(leaving(5, {.places = 1}, {holder({0, 1}, 1), holder({1, 2}, 4)}), ElementsAre(2, 1));
  EXPECT_THAT(leaving(5, {.places = 1, .slots = 1}, {holder({0, 1}, 1), holder({1, 2}, 4)}), ElementsAre(2));
}

TEST(JobQueue, NoneLeavesWhereOthersAreOnTheirWayOut) {
  EXPECT_THAT(leaving(2, {.places = 0}, {holder({0, 1}, 2, Stay::kLeaves), holder({0, 2}, 2)}), IsEmpty());
  EXPECT_THAT(leaving(4, {.places = 0}, {holder({0, 1}, 2, Stay::kLeaves), holder({0, 2}, 2)}), ElementsAre(2));
}

// Of max-running-jobs, where slots are not counted.
TEST(JobQueue, PlacesAreRoomToo) {
  EXPECT_THAT(leaving(0, {.places = 0}, {holder({0, 1}, 0), holder({0, 2}, 0)}), ElementsAre(2));
  EXPECT_THAT(leaving(0, {.places = -1}, {holder({0, 1}, 0), holder({0, 2}, 0)}), ElementsAre(1, 2));
  EXPECT_THAT(leaving(0, {.places = -2}, {holder({0, 1}, 0), holder({0, 2}, 0)}), IsEmpty());
}

}  // namespace job_queue_test
}  // namespace equipoise::coordinator

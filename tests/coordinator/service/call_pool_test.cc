#include "coordinator/service/call_pool.h"

#include <gtest/gtest.h>

#include <latch>
#include <set>
#include <string>
#include <thread>

namespace equipoise::coordinator {
namespace call_pool_test {

TEST(CallPool, ServesAllOnItsOwnThreads) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  int done = 0;
  {
    CallPool pool({.threads = 3, .most_waiting = 2000});
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(pool.run("a", [&] {
        const std::lock_guard lock(mutex);
        threads.insert(std::this_thread::get_id());
        ++done;
      }));
    }
  }
  EXPECT_EQ(done, 1000);
  EXPECT_LE(threads.size(), 3u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

// Whoever asked for a hundred things kept everybody else waiting for all of them.
TEST(CallPool, ServesCallersInTurns) {
  std::latch is_busy(1), may_end(1);
  std::string order;
  {
    CallPool pool({.threads = 1, .most_waiting = 100, .most_of_one = 4});
    ASSERT_TRUE(pool.run("a", [&] {
      is_busy.count_down();
      may_end.wait();
    }));
    is_busy.wait();
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(pool.run("a", [&] { order += 'a'; }));
    EXPECT_FALSE(pool.run("a", [&] { order += 'x'; })) << "it has as much waiting as one may";
    ASSERT_TRUE(pool.run("b", [&] { order += 'b'; }));
    ASSERT_TRUE(pool.run("c", [&] { order += 'c'; }));
    ASSERT_TRUE(pool.run("b", [&] { order += 'b'; }));
    may_end.count_down();
  }
  EXPECT_EQ(order, "abcabaa");
}

TEST(CallPool, RefusesWhatItHasNoRoomFor) {
  std::latch is_busy(1), may_end(1);
  CallPool pool({.threads = 1, .most_waiting = 1});
  ASSERT_TRUE(pool.run("a", [&] {
    is_busy.count_down();
    may_end.wait();
  }));
  is_busy.wait();
  EXPECT_TRUE(pool.run("a", [] {}));
  EXPECT_FALSE(pool.run("a", [] {}));
  may_end.count_down();
}

}  // namespace call_pool_test
}  // namespace equipoise::coordinator

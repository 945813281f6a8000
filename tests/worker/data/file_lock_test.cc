#include "worker/data/file_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace file_lock_test {

using std::chrono::seconds;

TEST(FileLock, IsHeldByOneAtATime) {
  const TempFolder folder;
  std::atomic<int> inside = 0, rounds = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) {
          const auto lock = FileLock::acquire(folder / "lock", seconds(60));
          ASSERT_TRUE(lock);
          EXPECT_EQ(++inside, 1);
          std::this_thread::yield();
          --inside;
          ++rounds;
        }
      });
    }
  }
  EXPECT_EQ(rounds, 20);
}

TEST(FileLock, LeavesNothingBehind) {
  const TempFolder folder;
  { const auto lock = FileLock::acquire(folder / "lock", seconds(0)); }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(FileLock, GivesUpWhenPatienceIsOver) {
  const TempFolder folder;
  const auto first = FileLock::acquire(folder / "lock", seconds(0));
  ASSERT_TRUE(first);
  EXPECT_FALSE(FileLock::acquire(folder / "lock", seconds(0)));
}

// A rank that waited for one that tokenises was taken for one that hangs, or the other way round.
TEST(FileLock, WhoeverWaitsHearsThatItsHolderGoesOn) {
  const TempFolder folder;
  auto holder = FileLock::acquire(folder / "lock", seconds(0));
  ASSERT_TRUE(holder);
  std::atomic<int> signs = 0;
  std::jthread waiting([&] {
    const auto lock = FileLock::acquire(folder / "lock", seconds(60), [&] { ++signs; });
    EXPECT_TRUE(lock);
  });
  for (int wanted = 1; wanted <= 3; ++wanted) {
    holder->give_sign();
    while (signs < wanted) std::this_thread::yield();
  }
  holder.reset();
  waiting.join();
  EXPECT_EQ(signs, 3) << "there is a sign only where one was given";
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(FileLock, IsNothingWhereItsFileCannotBeMade) {
  const TempFolder folder;
  EXPECT_FALSE(FileLock::acquire(folder / "no/lock", seconds(60)));
}

}  // namespace file_lock_test
}  // namespace equipoise

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

TEST(FileLock, IsNothingWhereItsFileCannotBeMade) {
  const TempFolder folder;
  EXPECT_FALSE(FileLock::acquire(folder / "no/lock", seconds(60)));
}

}  // namespace file_lock_test
}  // namespace equipoise

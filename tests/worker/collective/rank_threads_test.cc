#include "worker/collective/rank_threads.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <stdexcept>

#include "worker/collective/thread_collective.h"

namespace equipoise {
namespace rank_threads_test {

int threads(const std::vector<double>& ranks_C) { return threads_of_shares(ranks_C); }

TEST(RankThreads, AreTheCoresDividedByTheRanksThatShareThem) {
  EXPECT_EQ(threads({1, 1, 1, 1}), 4);
  EXPECT_EQ(threads({2, 2, 2, 2}), 2);
  EXPECT_EQ(threads({3, 3, 3}), 1);
  EXPECT_EQ(threads({8, 8}), 1);
}

// mpirun binds two ranks to a core each: once that core was divided by two again.
TEST(RankThreads, AreTheRanksOwnCoresWhereItIsBound) {
  EXPECT_EQ(threads({0, 1, 0, 0}), 1);
  EXPECT_EQ(threads({1, 1, 1, 1, 0, 0, 0, 0}), 4);
  EXPECT_EQ(threads({1, 1, 2, 2}), 3);
}

TEST(RankThreads, AreOneAtLeast) { EXPECT_EQ(threads({}), 1); }

class BoundRanks : public testing::Test {
 protected:
  BoundRanks() { unsetenv("OMP_NUM_THREADS"); }
};

TEST_F(BoundRanks, CountWhoMayUseTheirCores) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const int cores = CPU_COUNT(&allowed);
  run_ranks(2, [&](Collective& local) { EXPECT_EQ(threads_per_rank(local), std::max(1, cores / 2)); });
  if (cores < 2) return;
  // Each thread that plays a rank is bound to a core of its own.
  run_ranks(2, [&](Collective& local) {
    cpu_set_t mine;
    CPU_ZERO(&mine);
    int left = local.info().rank;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &allowed) && left-- == 0) CPU_SET(core, &mine);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(mine), &mine), 0);
    EXPECT_EQ(threads_per_rank(local), 1);
  });
}

// OpenMP passes over such a value, and each rank then took all cores.
TEST_F(BoundRanks, RefuseAVariableThatIsNoNumberOfThreads) {
  setenv("OMP_NUM_THREADS", "four", 1);
  run_ranks(2, [](Collective& local) { EXPECT_THROW(threads_per_rank(local), std::invalid_argument); });
  setenv("OMP_NUM_THREADS", "", 1);
  run_ranks(1, [](Collective& local) { EXPECT_GE(threads_per_rank(local), 1); });
  unsetenv("OMP_NUM_THREADS");
}

}  // namespace rank_threads_test
}  // namespace equipoise

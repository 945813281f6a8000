#include "worker/collective/host_resources.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <stdexcept>

#include "tests/support/temp_folder.h"
#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace host_resources_test {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

void write(const TempFolder& root, const std::string& name, const std::string& content) {
  std::filesystem::create_directories((root / name).parent_path());
  root.write(name, content);
}

// A machine with 8 GiB available.
void write_meminfo(const TempFolder& root) {
  write(root, "proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n");
}

TEST(HostMemory, IsWhatTheKernelCallsAvailable) {
  const TempFolder root;
  write_meminfo(root);
  EXPECT_EQ(free_host_memory(root.path()), 8192 * kMebibyte);
  EXPECT_GT(free_host_memory("/"), 0U);
}

TEST(HostMemory, IsWhatTheTightestControlGroupLeaves) {
  const TempFolder root;
  write_meminfo(root);
  write(root, "proc/self/cgroup", "0::/batch/job7\n");
  write(root, "sys/fs/cgroup/batch/job7/memory.max", "max\n");
  write(root, "sys/fs/cgroup/batch/job7/memory.current", "1048576\n");
  EXPECT_EQ(free_host_memory(root.path()), 8192 * kMebibyte);
  write(root, "sys/fs/cgroup/batch/memory.max", std::to_string(100 * kMebibyte));
  write(root, "sys/fs/cgroup/batch/memory.current", std::to_string(60 * kMebibyte));
  EXPECT_EQ(free_host_memory(root.path()), 40 * kMebibyte);
}

TEST(HostMemory, IsNotKnownWhereNothingSaysIt) {
  const TempFolder root;
  EXPECT_EQ(free_host_memory(root.path()), 0U);
}

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

}  // namespace host_resources_test
}  // namespace equipoise

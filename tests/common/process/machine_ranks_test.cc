#include "common/process/machine_ranks.h"

#include <gtest/gtest.h>

#include <thread>

namespace equipoise {
namespace machine_ranks_test {

TEST(MachineRanks, AreAFewForEachCoreAndAtLeast64) {
  EXPECT_GE(most_ranks_of_this_machine(), 64);
  EXPECT_GE(most_ranks_of_this_machine(), 4 * static_cast<int>(std::thread::hardware_concurrency()));
  EXPECT_LT(most_ranks_of_this_machine(), 64 + 5 * static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace machine_ranks_test
}  // namespace equipoise

#include "worker/collective/host_ranks.h"

#include <gtest/gtest.h>
#include <link.h>

#include <string>
#include <vector>

namespace equipoise {
namespace host_ranks_test {

class HostRanksOfThreads : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(WorldSizes, HostRanksOfThreads, testing::Values(1, 2, 4, 7));

template <typename Number>
void expect_sum(HostRanks& ranks) {
  const int world_size = ranks.info().world_size;
  std::vector<Number> values(3, static_cast<Number>(ranks.info().rank + 1));
  ranks.start_sum(std::span(values))->wait();
  EXPECT_EQ(values, std::vector<Number>(3, static_cast<Number>(world_size * (world_size + 1)) / 2));
}

TEST_P(HostRanksOfThreads, SumNumbersOfBothTypes) {
  run_host_ranks(GetParam(), [](HostRanks& ranks) {
    expect_sum<double>(ranks);
    expect_sum<float>(ranks);
  });
}

TEST_P(HostRanksOfThreads, BroadcastFromAnyRoot) {
  const int world_size = GetParam();
  run_host_ranks(world_size, [&](HostRanks& ranks) {
    for (int root = 0; root < world_size; ++root) {
      int value = ranks.info().rank;
      ranks.broadcast(std::as_writable_bytes(std::span(&value, 1)), root);
      EXPECT_EQ(value, root);
    }
  });
}

TEST(SingleRank, LeavesNumbersAsTheyAre) {
  SingleRank alone;
  std::vector<double> values = {0.1, -0.0};
  alone.all_reduce_sum(values);
  alone.broadcast(std::as_writable_bytes(std::span(values)), 0);
  EXPECT_EQ(values, (std::vector<double>{0.1, -0.0}));
  EXPECT_EQ(alone.info().rank, 0);
  EXPECT_EQ(alone.info().world_size, 1);
}

int note_torch(dl_phdr_info* library, std::size_t /*size*/, void* found) {
  const std::string name = library->dlpi_name;
  for (const char* of_torch : {"libtorch", "libc10"}) {
    if (name.find(of_torch) != std::string::npos) *static_cast<std::string*>(found) = name;
  }
  return 0;
}

TEST(HostRanks, NeedNoLibTorch) {
  std::string found;
  dl_iterate_phdr(note_torch, &found);
  EXPECT_EQ(found, "");
}

}  // namespace host_ranks_test
}  // namespace equipoise

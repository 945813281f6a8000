#include "worker/collective/cpu_collective.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "common/base/error.h"

namespace equipoise {
namespace cpu_collective_test {

class ThreadCollective : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(WorldSizes, ThreadCollective, testing::Values(1, 2, 4, 7));

TEST_P(ThreadCollective, SumsOverAllRanks) {
  const int world_size = GetParam();
  run_ranks(world_size, [&](Collective& collective) {
    const double mine = collective.info().rank + 1;
    std::vector<double> values = {mine, 10 * mine};
    collective.all_reduce_sum(values);
    const double expected = world_size * (world_size + 1) / 2.0;
    EXPECT_EQ(values, (std::vector<double>{expected, 10 * expected}));
  });
}

TEST_P(ThreadCollective, SumsTensorsOfBothTypes) {
  const int world_size = GetParam();
  run_ranks(world_size, [&](Collective& collective) {
    for (const auto type : {torch::kFloat32, torch::kFloat64}) {
      torch::Tensor tensor = torch::full({3}, collective.info().rank + 1.0, type);
      collective.start_all_reduce_sum(tensor)->wait();
      EXPECT_EQ(tensor[2].item<double>(), world_size * (world_size + 1) / 2.0);
    }
  });
}

TEST_P(ThreadCollective, BroadcastsFromAnyRoot) {
  const int world_size = GetParam();
  run_ranks(world_size, [&](Collective& collective) {
    for (int root = 0; root < world_size; ++root) {
      int value = collective.info().rank;
      collective.broadcast(std::as_writable_bytes(std::span(&value, 1)), root);
      EXPECT_EQ(value, root);
    }
  });
}

TEST(ThreadCollectiveFailure, EndsTheOthersAndIsRethrown) {
  std::atomic<int> ended_by_peer = 0;
  const auto body = [&](Collective& collective) {
    if (collective.info().rank == 1) throw std::invalid_argument("rank 1 has had enough");
    std::vector<double> values = {1};
    try {
      collective.all_reduce_sum(values);
    } catch (const PeerError&) {
      ++ended_by_peer;
      throw;
    }
  };
  EXPECT_THROW(run_ranks(3, body), std::exception);
  EXPECT_EQ(ended_by_peer, 2);
}

}  // namespace cpu_collective_test
}  // namespace equipoise

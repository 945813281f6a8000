// Run by mpirun, every rank the same tests; see CMakeLists.txt.
#include <gtest/gtest.h>

#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace mpi_session_test {

const MpiSession* session = nullptr;

TEST(MpiCollective, SumsOverAllRanks) {
  const auto collective = make_mpi_collective(*session, kCollectiveTimeout);
  const RankInfo info = collective->info();
  std::vector<double> values = {info.rank + 1.0, -2.0 * (info.rank + 1)};
  collective->all_reduce_sum(values);
  const double expected = info.world_size * (info.world_size + 1) / 2.0;
  EXPECT_EQ(values, (std::vector<double>{expected, -2 * expected}));
}

TEST(MpiCollective, SumsBucketsThatAreUnderWayTogether) {
  const auto collective = make_mpi_collective(*session, kCollectiveTimeout);
  const RankInfo info = collective->info();
  torch::Tensor flat = torch::full({1000}, info.rank + 1.0, torch::kFloat32);
  auto first = collective->start_all_reduce_sum(flat.slice(0, 0, 400));
  auto second = collective->start_all_reduce_sum(flat.slice(0, 400, 1000));
  first->wait();
  second->wait();
  const double expected = info.world_size * (info.world_size + 1) / 2.0;
  EXPECT_TRUE(flat.eq(expected).all().item<bool>());
}

TEST(MpiCollective, BroadcastsFromTheRoot) {
  const auto collective = make_mpi_collective(*session, kCollectiveTimeout);
  const int root = collective->info().world_size - 1;
  int value = collective->info().rank;
  collective->broadcast(std::as_writable_bytes(std::span(&value, 1)), root);
  EXPECT_EQ(value, root);
}

TEST(MpiCollective, SumsOverTheRanksOfThisHost) {
  const auto local = make_host_collective(*session, kCollectiveTimeout);
  EXPECT_EQ(local->info().rank, session->local().rank);
  std::vector<double> values = {1, local->info().rank + 1.0};
  local->all_reduce_sum(values);
  const double ranks = session->local().world_size;
  EXPECT_EQ(values, (std::vector<double>{ranks, ranks * (ranks + 1) / 2}));
}

TEST(MpiSession, NumbersTheRanksOfThisHost) {
  EXPECT_EQ(session->local().world_size, session->info().world_size);
  EXPECT_EQ(session->local().rank, session->info().rank);
}

}  // namespace mpi_session_test
}  // namespace equipoise

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const equipoise::MpiSession mpi;
  equipoise::mpi_session_test::session = &mpi;
  return RUN_ALL_TESTS();
}

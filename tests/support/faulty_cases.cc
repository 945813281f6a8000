// Cases with every way not to pass, which gtest_program_test.py runs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace equipoise {
namespace faulty_cases {

TEST(Faulty, Passes) { std::printf("of a case that passes, without a line end"); }

TEST(Faulty, Fails) { EXPECT_EQ(1, 2) << "one is not two"; }

TEST(Faulty, DISABLED_NeverRuns) {}

TEST(Faulty, IsSkipped) { GTEST_SKIP() << "no such device"; }

TEST(Faulty, EndsTheProgram) {
  std::puts("before the end");
  std::fflush(stdout);
  std::abort();
}

TEST(Faulty, PassesAfterTheEnd) {}

TEST(Faulty, LeavesWithSuccess) { std::exit(0); }

TEST(Faulty, Hangs) { ::pause(); }

class OfNumbers : public testing::TestWithParam<int> {};
TEST_P(OfNumbers, AreSmall) { EXPECT_LT(GetParam(), 2); }
INSTANTIATE_TEST_SUITE_P(Faulty, OfNumbers, testing::Values(1, 2));

}  // namespace faulty_cases
}  // namespace equipoise

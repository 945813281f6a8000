#include "common/base/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <stdexcept>

namespace equipoise {
namespace environment_test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

TEST(UnknownVariables, AreNamedWithTheNearestKnownName) {
  const std::vector<std::string> environment = {"EQUIPOISE_DEVCE=cuda", "EQUIPOISE_CACHE_DIR=/tmp", "PATH=/bin"};
  EXPECT_THAT(unknown_variables(environment),
              ElementsAre("the environment variable \"EQUIPOISE_CACHE_DIR\" has no effect, the nearest known name is "
                          "EQUIPOISE_CACHE",
                          "the environment variable \"EQUIPOISE_DEVCE\" has no effect, the nearest known name is "
                          "EQUIPOISE_DEVICE"));
}

TEST(UnknownVariables, AreNoneOfThoseThatProgramsReadOrTheCoordinatorSets) {
  EXPECT_THAT(unknown_variables(std::vector<std::string>{
                  "EQUIPOISE_DEVICE=cpu", "EQUIPOISE_CACHE=", "EQUIPOISE_BIN=b", "EQUIPOISE_COORDINATOR=h:1",
                  "EQUIPOISE_ATTEMPT_TOKEN=t", "EQUIPOISE_CRASH_AT=3", "EQUIPOISE_CRASH_BELOW=/f",
                  "EQUIPOISE_HOME=/opt/equipoise", "EQUIPOISE=x", "NOT_EQUIPOISE_DEVCE=1", "no equals sign"}),
              IsEmpty());
}

TEST(UnknownVariables, OfAnyLengthMakeAShortLine) {
  const auto warnings = unknown_variables(std::vector<std::string>{"EQUIPOISE_" + std::string(100000, 'x') + "=1"});
  ASSERT_THAT(warnings, SizeIs(1));
  EXPECT_THAT(warnings.front(), SizeIs(Le(200u)));
}

class Threads : public ::testing::Test {
 protected:
  ~Threads() override {
    unsetenv("OMP_NUM_THREADS");
    if (before_) setenv("OMP_NUM_THREADS", before_->c_str(), 1);
  }
  static std::optional<int> threads(const char* value) {
    setenv("OMP_NUM_THREADS", value, 1);
    return thread_setting();
  }

 private:
  static std::optional<std::string> value() {
    const char* const set = std::getenv("OMP_NUM_THREADS");
    return set == nullptr ? std::nullopt : std::optional<std::string>(set);
  }
  const std::optional<std::string> before_ = value();
};

TEST_F(Threads, AreANumberAsOpenMpReadsIt) {
  EXPECT_EQ(threads("4"), 4);
  EXPECT_EQ(threads(" 8 "), 8);
  EXPECT_EQ(threads("4,3,2"), 4) << "of nested levels the first is ours";
}

TEST_F(Threads, AreNotSetByAnEmptyVariable) {
  EXPECT_EQ(threads(""), std::nullopt);
  unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(thread_setting(), std::nullopt);
}

TEST_F(Threads, AreRefusedWhereOpenMpWouldPassOverThem) {
  for (const char* value : {"0", "-2", "four", "4x", "4,", ",4", "2.5", " ", "99999999999999999999"}) {
    EXPECT_THROW(threads(value), std::invalid_argument) << value;
  }
}

}  // namespace environment_test
}  // namespace equipoise

#include "common/base/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace equipoise {
namespace environment_test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

TEST(UnknownVariables, AreNamedWithTheNearestKnownName) {
  const std::vector<std::string> environment = {"EQUIPOISE_DEVCE=cuda", "EQUIPOISE_CACHE_DIR=/tmp", "PATH=/bin"};
  EXPECT_THAT(
      unknown_variables(environment),
      ElementsAre("the environment variable \"EQUIPOISE_CACHE_DIR\" has no effect, the nearest known name is "
                  "EQUIPOISE_CACHE",
                  "the environment variable \"EQUIPOISE_DEVCE\" has no effect, the nearest known name is "
                  "EQUIPOISE_DEVICE"));
}

TEST(UnknownVariables, AreNoneOfThoseThatProgramsReadOrTheCoordinatorSets) {
  EXPECT_THAT(unknown_variables(std::vector<std::string>{"EQUIPOISE_DEVICE=cpu", "EQUIPOISE_CACHE=", "EQUIPOISE_BIN=b",
                                                         "EQUIPOISE_COORDINATOR=h:1", "EQUIPOISE_ATTEMPT_TOKEN=t",
                                                         "EQUIPOISE=x", "NOT_EQUIPOISE_DEVCE=1", "no equals sign"}),
              IsEmpty());
}

TEST(UnknownVariables, OfAnyLengthMakeAShortLine) {
  const auto warnings = unknown_variables(std::vector<std::string>{"EQUIPOISE_" + std::string(100000, 'x') + "=1"});
  ASSERT_THAT(warnings, SizeIs(1));
  EXPECT_THAT(warnings.front(), SizeIs(Le(200u)));
}

}  // namespace environment_test
}  // namespace equipoise

#include "worker/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace equipoise {
namespace log_test {

std::string lines_at(std::string_view level) {
  testing::internal::CaptureStderr();
  const auto logger = make_logger("equipoise-test", level);
  logger->info("step {}", 3);
  logger->warn("late");
  logger->flush();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, LinesHaveTimeLevelProgramAndProcess) {
  EXPECT_THAT(lines_at("info"),
              testing::MatchesRegex(
                  "[0-9-]+T[0-9:]+\\.[0-9]+Z info equipoise-test\\[[0-9]+\\]: step 3\n.* warning .*: late\n"));
}

TEST(Log, LevelHidesWhatIsBelowIt) {
  EXPECT_THAT(lines_at("warning"), testing::Not(testing::HasSubstr("step 3")));
  EXPECT_EQ(lines_at("error"), "");
}

TEST(Log, UnknownLevelNamesTheKnownOnes) {
  EXPECT_THAT([] { make_logger("equipoise-test", "loud"); },
              testing::ThrowsMessage<std::invalid_argument>(
                  "--log-level is \"loud\", expected trace | debug | info | warning | error"));
}

}  // namespace log_test
}  // namespace equipoise

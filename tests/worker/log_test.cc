#include "worker/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>

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

TEST(Log, ATextOfOthersIsOneLineAndCommandsNoTerminal) {
  testing::internal::CaptureStderr();
  const auto logger = make_logger("equipoise-test", "info");
  logger->info("group \"{}\"",
               "north\nforged line\x1b[2J\xc2\x9b"
               "31m\x7f");
  logger->flush();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, testing::EndsWith(": group \"north forged line [2J 31m \"\n"));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1);
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

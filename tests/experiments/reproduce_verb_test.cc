#include "experiments/reproduce_verb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/support/command_run.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace reproduce_verb_test {

using testing::HasSubstr;

CommandRun reproduce(std::vector<std::string> arguments) {
  constexpr AddVerb kVerbs[] = {add_reproduce_verb};
  arguments.insert(arguments.begin(), "reproduce");
  return run(std::move(arguments), kVerbs);
}

TEST(ReproduceVerb, WritesTheReportAndNamesIt) {
  const TempFolder folder;
  const std::string output = folder.path() / "report";
  const CommandRun done = reproduce(
      {"bandits", "--output", output, "--seeds", "2", "--iterations", "10", "--jobs", "2", "--features", "flipped"});
  EXPECT_EQ(done.code, ExitCode::kSuccess) << done.err;
  EXPECT_THAT(done.out, HasSubstr(output + "/report.html"));
  EXPECT_TRUE(std::filesystem::is_regular_file(output + "/report.html"));
  EXPECT_TRUE(std::filesystem::is_regular_file(output + "/curves.csv"));
}

TEST(ReproduceVerb, RefusesBadSettingsInOneLineAndWritesNothing) {
  const TempFolder folder;
  const std::string output = folder.path() / "report";
  for (const auto& [flag, value] : {std::pair{"--seeds", "1"}, {"--features", "upside-down"}, {"--jobs", "0"}}) {
    const CommandRun refused = reproduce({"bandits", "--output", output, flag, value});
    EXPECT_EQ(refused.code, ExitCode::kBadInput) << flag;
    EXPECT_THAT(refused.err, HasSubstr("equipoise reproduce bandits: "));
  }
  EXPECT_FALSE(std::filesystem::exists(output));
}

TEST(ReproduceVerb, RefusesAnEmptyValue) {
  for (const char* experiment : {"bandits", "opinions"}) {
    const CommandRun refused = reproduce({experiment, "--output", ""});
    EXPECT_EQ(refused.code, ExitCode::kBadInput);
    EXPECT_THAT(refused.err, HasSubstr(" is empty, expected a value\n"));
  }
}

TEST(ReproduceVerb, LooksAtTheOutputFolderBeforeItWorks) {
  const TempFolder folder;
  folder.write("notes.txt", "");
  const CommandRun refused = reproduce({"bandits", "--output", folder.path()});
  EXPECT_EQ(refused.code, ExitCode::kBadInput);
  EXPECT_THAT(refused.err, HasSubstr("notes.txt"));
}

}  // namespace reproduce_verb_test
}  // namespace equipoise

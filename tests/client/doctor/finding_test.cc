#include "client/doctor/finding.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace equipoise::finding_test {
namespace {

using testing::HasSubstr;
using testing::Not;

const DoctorFindings kThree = {{Health::kOk, "mpirun", "Open MPI 4.1", ""},
                               {Health::kWarn, "clock", "late", "set it"},
                               {Health::kFail, "ranks", "red \x1b[31m", "see \"mpirun\""}};

TEST(DoctorFinding, IsALineWithItsAdviceBelow) {
  EXPECT_EQ(findings_text({kThree[0], kThree[1]}, Colors::kOff),
            "OK    mpirun                 Open MPI 4.1\n"
            "WARN  clock                  late\n"
            "                             -> set it\n");
}

TEST(DoctorFinding, HasColoursOnlyWhereTheyAreWanted) {
  EXPECT_THAT(findings_text(kThree, Colors::kOff), Not(HasSubstr("\x1b")));
  EXPECT_THAT(findings_text(kThree, Colors::kOn), HasSubstr("\x1b[1;31mFAIL\x1b[0m"));
  EXPECT_THAT(findings_text(kThree, Colors::kOn), Not(HasSubstr("red \x1b")));
}

TEST(DoctorFinding, IsJsonForPrograms) {
  const auto report = nlohmann::json::parse(findings_json(kThree));
  EXPECT_EQ(report["worst"], "fail");
  EXPECT_EQ(report["checks"].size(), 3U);
  EXPECT_EQ(report["checks"][1]["health"], "warn");
  EXPECT_EQ(report["checks"][2]["found"], "red \x1b[31m");
}

TEST(DoctorFinding, DoesNotSayWhoseHomeItIs) {
  EXPECT_EQ(without_home("/home/ada/runs and /home/ada", "/home/ada"), "~/runs and ~");
  EXPECT_EQ(without_home("/home/adam/runs", "/home/ada"), "/home/adam/runs");
  EXPECT_EQ(without_home("/x", ""), "/x");
  EXPECT_EQ(without_home("/x", "/"), "/x");
}

}  // namespace
}  // namespace equipoise::finding_test

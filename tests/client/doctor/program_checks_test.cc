#include "client/doctor/program_checks.h"

#include <gmock/gmock.h>

#include "tests/support/temp_folder.h"

namespace equipoise::program_checks_test {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

class ProgramChecks : public testing::Test {
 protected:
  fs::path script(const std::string& name, const std::string& text) {
    const fs::path file = folder_.write(name, "#!/bin/sh\n" + text + "\n");
    fs::permissions(file, fs::perms::owner_all);
    return file;
  }
  TempFolder folder_;
};

TEST_F(ProgramChecks, RunAProgramForATime) {
  EXPECT_EQ(run_for({"sh", "-c", "echo words; exit 3"}, 30s, folder_.path()).exit_code, 3);
  EXPECT_EQ(run_for({"sh", "-c", "echo words; exit 3"}, 30s, folder_.path()).said, "words\n");
  EXPECT_EQ(run_for({"sleep", "600"}, 0s, folder_.path()).exit_code, 124);
  EXPECT_EQ(run_for({"no-such-program"}, 30s, folder_.path()).exit_code, 127);
}

TEST_F(ProgramChecks, CompareVersions) {
  script("program", "echo program 1.2.3");
  EXPECT_EQ(program_finding(folder_.path(), "program", "1.2.3", folder_.path()).health, Health::kOk);
  EXPECT_EQ(program_finding(folder_.path(), "program", "1.2.4", folder_.path()).health, Health::kWarn);
  EXPECT_EQ(program_finding(folder_.path(), "other", "1.2.3", folder_.path()).health, Health::kFail);
}

TEST_F(ProgramChecks, SayWhyRanksDoNotMeet) {
  const DoctorFinding finding =
      ranks_finding(script("worker", "echo 'equipoise-worker: no route to host' >&2; exit 1"), "", folder_.path());
  EXPECT_EQ(finding.health, Health::kFail);
  EXPECT_THAT(finding.found, HasSubstr("equipoise-worker: no route to host"));
  EXPECT_EQ(ranks_finding(script("worker", "exit 0"), "", folder_.path()).health, Health::kOk);
  EXPECT_THAT(ranks_finding(script("worker", "exit 0"), folder_ / "none", folder_.path()).found, HasSubstr("none"));
}

}  // namespace
}  // namespace equipoise::program_checks_test

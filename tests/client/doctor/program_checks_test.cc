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
  const DoctorFinding finding = ranks_finding(
      {.worker = script("worker", "echo 'equipoise-worker: no route to host' >&2; exit 1")}, folder_.path());
  EXPECT_EQ(finding.health, Health::kFail);
  EXPECT_THAT(finding.found, HasSubstr("equipoise-worker: no route to host"));
  EXPECT_EQ(ranks_finding({.worker = script("worker", "exit 0")}, folder_.path()).health, Health::kOk);
  EXPECT_THAT(ranks_finding({.worker = script("worker", "exit 0"), .hostfile = folder_ / "none"}, folder_.path()).found,
              HasSubstr("none"));
}

TEST_F(ProgramChecks, SayWhichRanksTheCoordinatorIsOutOfReachOf) {
  const DoctorFinding away = ranks_finding(
      {.worker = script("worker", "echo 'equipoise-worker: n2 cannot reach the coordinator at h:1: no' >&2; exit 1"),
       .coordinator = "h:1"},
      folder_.path());
  EXPECT_EQ(away.health, Health::kFail);
  EXPECT_THAT(away.found, HasSubstr("reach each other, and not the coordinator: equipoise-worker: n2 cannot reach"));
  // It is asked for as it was given.
  const DoctorFinding there = ranks_finding(
      {.worker = script("worker", "[ \"$*\" = '--coordinator h:1 meet' ] && [ -z \"$EQUIPOISE_COORDINATOR\" ]"),
       .coordinator = "h:1"},
      folder_.path());
  EXPECT_EQ(there.health, Health::kOk) << there.found;
  EXPECT_THAT(there.found, HasSubstr("2 ranks on this machine reach each other, and the coordinator at h:1"));
}

TEST_F(ProgramChecks, WarnOfHostsWhoseClocksAreApart) {
  const auto finding = [&](const std::string& said) {
    return ranks_finding({.worker = script("worker", "echo '" + said + "'")}, folder_.path());
  };
  EXPECT_EQ(finding("2 ranks, clocks 0.1 s apart").health, Health::kOk);
  const DoctorFinding apart = finding("2 ranks, clocks 61.2 s apart");
  EXPECT_EQ(apart.health, Health::kWarn);
  EXPECT_THAT(apart.found, HasSubstr("their clocks are 61 s apart"));
}

}  // namespace
}  // namespace equipoise::program_checks_test

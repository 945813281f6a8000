#include "client/doctor/machine_checks.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/support/temp_folder.h"

namespace equipoise::machine_checks_test {
namespace {

using std::chrono::hours;
using testing::HasSubstr;
using Time = std::chrono::system_clock::time_point;

TEST(DiskFinding, LooksAtTheNearestFolderThatIsThere) {
  const TempFolder folder;
  const DoctorFinding finding = disk_finding("output", folder / "runs/of/today");
  EXPECT_EQ(finding.check, "output");
  EXPECT_THAT(finding.found, HasSubstr("GiB free in"));
  EXPECT_NE(finding.health, Health::kFail);
}

TEST(NoCacheFinding, SaysWhatIsWrongWithHome) {
  EXPECT_THAT(no_cache_finding("").found, HasSubstr("HOME is not set"));
  EXPECT_THAT(no_cache_finding("ada").found, HasSubstr("HOME is \"ada\", no absolute path"));
  EXPECT_EQ(no_cache_finding("").health, Health::kWarn);
}

TEST(DiskFinding, FailsWhereAFileStandsInTheWay) {
  const TempFolder folder;
  const DoctorFinding finding = disk_finding("output", folder.write("file", "x") / "run");
  EXPECT_EQ(finding.health, Health::kFail);
  EXPECT_THAT(finding.found, HasSubstr("cannot be written"));
}

TEST(DiskFinding, WarnsWhereThereIsLittleRoom) {
  const DoctorFinding finding = disk_finding("output", "/proc");
  EXPECT_EQ(finding.health, Health::kFail);
}

TEST(ClockFinding, ComparesWithTheProgramAndTheCoordinator) {
  const Time now = Time() + hours(1000);
  EXPECT_EQ(clock_finding(now, now - hours(1), {}).health, Health::kOk);
  EXPECT_EQ(clock_finding(now, now + hours(1), {}).health, Health::kWarn);
  const DoctorFinding late = clock_finding(now, now - hours(1), now + std::chrono::seconds(60));
  EXPECT_EQ(late.health, Health::kWarn);
  EXPECT_EQ(late.found, "60 s behind what the coordinator has written");
}

TEST(EnvironmentFindings, NameWhatNobodyReads) {
  ::setenv("EQUIPOISE_DEVISE", "cpu", 1);
  ::setenv("EQUIPOISE_DEVICE", "tpu", 1);
  const DoctorFindings findings = environment_findings();
  ::unsetenv("EQUIPOISE_DEVISE");
  ::unsetenv("EQUIPOISE_DEVICE");
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].health, Health::kFail);
  EXPECT_THAT(findings[0].found, HasSubstr("EQUIPOISE_DEVICE"));
  EXPECT_EQ(findings[1].health, Health::kWarn);
  EXPECT_THAT(findings[1].found, HasSubstr("EQUIPOISE_DEVISE"));
}

}  // namespace
}  // namespace equipoise::machine_checks_test

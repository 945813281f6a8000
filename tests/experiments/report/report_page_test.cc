#include "experiments/report/report_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "tests/experiments/report/page_results.h"
#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace report_page_test {

namespace fs = std::filesystem;

std::string content_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST(ReportFolder, IsMadeWithAllItsFilesAndNothingBeside) {
  const TempFolder folder;
  write_report_folder(folder.path() / "a/b/", {{"x.csv", "1\n"}, {"y.html", "2"}});
  EXPECT_EQ(content_of(folder.path() / "a/b/x.csv"), "1\n");
  EXPECT_EQ(content_of(folder.path() / "a/b/y.html"), "2");
  EXPECT_EQ(names_in(folder.path() / "a"), std::set<std::string>{"b"});
}

TEST(ReportFolder, ReplacesAnEarlierReport) {
  const TempFolder folder;
  write_report_folder(folder.path() / "r", {{"x.csv", "old"}, {"y.csv", "old"}});
  write_report_folder(folder.path() / "r", {{"x.csv", "new"}, {"y.csv", "new"}});
  EXPECT_EQ(content_of(folder.path() / "r/x.csv"), "new");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"r"});
}

TEST(ReportFolder, LeavesAloneWhatIsNoReport) {
  const TempFolder folder;
  folder.write("r/thesis.tex", "dear");
  folder.write("file", "dear");
  EXPECT_THROW(write_report_folder(folder.path() / "r", {{"x.csv", ""}}), std::invalid_argument);
  EXPECT_THROW(write_report_folder(folder.path() / "file", {{"x.csv", ""}}), std::invalid_argument);
  EXPECT_THROW(check_report_folder(folder.path() / "file/deeper", {"x.csv"}), std::invalid_argument);
  EXPECT_EQ(content_of(folder.path() / "r/thesis.tex"), "dear");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"r", "file"}));
}

TEST(ReportFolder, StaysAsItWasWhenAFileCannotBeWritten) {
  const TempFolder folder;
  write_report_folder(folder.path() / "r", {{"x.csv", "old"}});
  EXPECT_ANY_THROW(write_report_folder(folder.path() / "r", {{"x.csv", "new"}, {"no/such/folder", ""}}));
  EXPECT_EQ(content_of(folder.path() / "r/x.csv"), "old");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"r"});
}

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

TEST(ReportPage, HoldsItsLibraryStyleAndScriptWhole) {
  const std::string page = report_page("bandits.html", json::object());
  for (const char* name : {"report.css", "report.js", "vega.min.js", "vega-lite.min.js"}) {
    const std::string_view file = report_file(name);
    EXPECT_GT(file.size(), 1000U) << name;
    EXPECT_NE(page.find(file), std::string::npos) << name;
  }
}

TEST(ReportPage, TheLibraryCannotEndItsScript) {
  for (const char* name : {"report.js", "vega.min.js", "vega-lite.min.js"}) {
    EXPECT_EQ(report_file(name).find("</script"), std::string_view::npos) << name;
  }
}

// A group may be called so: the text must neither end the script it stands in nor be taken for a place to fill.
TEST(ReportPage, ATextOfTheResultsCannotEndThem) {
  const json results{{"name", "</script><script>alert(1)</script> {{report.css}} <!--"}};
  const std::string page = report_page("opinions.html", results);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_EQ(page_results(page), results);
}

TEST(ReportPage, ANumberThatIsNotFiniteIsNull) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const json results{{"estimate", estimate_json({.mean = 1, .standard_error = nan, .low = nan, .high = nan})}};
  const json shown = page_results(report_page("bandits.html", results));
  EXPECT_EQ(shown["estimate"]["mean"], 1);
  EXPECT_TRUE(shown["estimate"]["low"].is_null());
}

TEST(ReportPage, ClaimsKeepWhatIsNotClaimed) {
  const std::vector<Claim> claims{{"a", "b", {Finding{Verdict::kHolds, "1"}, std::nullopt}}};
  const json shown = claims_json(claims);
  EXPECT_EQ(shown[0]["findings"][0], (json{{"holds", true}, {"numbers", "1"}}));
  EXPECT_TRUE(shown[0]["findings"][1].is_null());
  EXPECT_EQ(checks_json(claims), (json{{"holding", 1}, {"judged", 1}}));
}

}  // namespace report_page_test
}  // namespace equipoise::reproduce

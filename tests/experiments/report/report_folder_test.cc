#include "experiments/report/report_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace report_folder_test {

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

}  // namespace report_folder_test
}  // namespace equipoise::reproduce

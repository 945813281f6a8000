#include "common/base/path_check.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace path_check_test {

namespace fs = std::filesystem;

class PathCheck : public ::testing::Test {
 protected:
  const TempFolder folder_;
};

TEST_F(PathCheck, ALinkToNothingIsAnEntry) {
  fs::create_symlink("nothing", folder_ / "link");
  EXPECT_TRUE(entry_exists(folder_ / "link"));
  EXPECT_FALSE(entry_exists(folder_ / "nothing"));
  EXPECT_FALSE(entry_exists(folder_ / std::string(300, 'a')));
}

TEST_F(PathCheck, OnePlaceHasOneName) {
  const fs::path here = fs::canonical(folder_.path());
  fs::create_directory(here / "real");
  fs::create_directory_symlink(here / "real", here / "link");
  EXPECT_EQ(resolved_path(here / "link/new/"), here / "real/new");
  EXPECT_EQ(resolved_path(here / "real/../link"), here / "real");
  EXPECT_EQ(resolved_path("not-there"), fs::current_path() / "not-there");
  EXPECT_FALSE(resolved_path("/").has_relative_path());
}

// Such a path came back empty, and was then taken for the root.
TEST_F(PathCheck, AnImpossibleNameStaysAsItIs) {
  const fs::path here = fs::canonical(folder_.path());
  EXPECT_EQ(resolved_path(here / std::string(300, 'a')), here / std::string(300, 'a'));
  fs::create_symlink("circle", here / "circle");
  EXPECT_EQ(resolved_path(here / "circle/out"), here / "circle/out");
}

TEST_F(PathCheck, IsWithinComparesWholeNames) {
  EXPECT_TRUE(is_within("/a/b", "/a/b"));
  EXPECT_TRUE(is_within("/a/b/c", "/a/b"));
  EXPECT_TRUE(is_within("/a", "/"));
  EXPECT_FALSE(is_within("/a/bc", "/a/b"));
  EXPECT_FALSE(is_within("/a", "/a/b"));
}

}  // namespace path_check_test
}  // namespace equipoise

#include "common/base/bounded_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace bounded_file_test {

using ::testing::HasSubstr;

std::string refusal(const std::filesystem::path& file, std::uintmax_t most_bytes = 8) {
  try {
    read_bounded_file(file, most_bytes, "settings");
    return "accepted";
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
}

TEST(BoundedFile, GivesTheWholeContent) {
  const TempFolder folder;
  const std::string text("a\0b\n", 4);
  EXPECT_EQ(read_bounded_file(folder.write("a", text), 4, "settings"), text);
  EXPECT_EQ(read_bounded_file(folder.write("empty", ""), 4, "settings"), "");
}

TEST(BoundedFile, RefusesOneByteTooMany) {
  const TempFolder folder;
  EXPECT_EQ(refusal(folder.write("a", "12345678")), "accepted");
  EXPECT_THAT(refusal(folder.write("a", "123456789")),
              HasSubstr("a: has more than 8 bytes, expected at most that of settings"));
}

// Six terabytes that take no room on the disk: no memory is asked for.
TEST(BoundedFile, RefusesAFileOfHolesWithoutReadingIt) {
  const TempFolder folder;
  const auto file = folder.write("sparse", "");
  std::filesystem::resize_file(file, std::uintmax_t{6} << 40);
  EXPECT_THAT(refusal(file), HasSubstr("has more than 8 bytes"));
}

TEST(BoundedFile, NeverWaitsForAPipeOrReadsADevice) {
  const TempFolder folder;
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(refusal(pipe), HasSubstr("pipe: is not a file"));
  EXPECT_EQ(refusal("/dev/zero"), "/dev/zero: is not a file");
  EXPECT_THAT(refusal(folder.path()), HasSubstr(": is not a file"));
}

TEST(BoundedFile, SaysWhatIsNotThere) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.path() / "none"), HasSubstr("none: there is no such file"));
  std::filesystem::create_symlink("gone", folder.path() / "link");
  EXPECT_THAT(refusal(folder.path() / "link"), HasSubstr("is a link to gone, which is not there"));
}

// Files of /proc say that they have no bytes.
TEST(BoundedFile, ReadsAFileThatIsLongerThanItSays) {
  EXPECT_FALSE(read_bounded_file("/proc/self/status", 1 << 20, "settings").empty());
  EXPECT_THAT(refusal("/proc/self/status"), HasSubstr("has more than 8 bytes"));
}

}  // namespace bounded_file_test
}  // namespace equipoise

#include "coordinator/http/log_tail.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace {

TEST(LogTail, BeginsWithAWholeLine) {
  const TempFolder folder;
  const auto file = folder.write("stderr.log", "first\nsecond\nthird\n");
  EXPECT_EQ(log_tail(file, 100).text, "first\nsecond\nthird\n");
  const LogTail tail = log_tail(file, 10);
  EXPECT_EQ(tail.text, "third\n");
  EXPECT_EQ(tail.begin, 13U);
  EXPECT_EQ(tail.size, 19U);
}

TEST(LogTail, IsTextWhateverWasWritten) {
  const TempFolder folder;
  EXPECT_EQ(log_tail(folder.write("log", "a\x1b[31mb\xff\n"), 100).text, "a [31mb?\n");
}

TEST(LogTail, OfALinkOrAFolderOrNothingIsEmpty) {
  const TempFolder folder;
  std::filesystem::create_symlink(folder.write("secret", "secret\n"), folder / "link");
  EXPECT_EQ(log_tail(folder / "link", 100).text, "");
  EXPECT_EQ(log_tail(folder.path(), 100).text, "");
  EXPECT_EQ(log_tail(folder / "none", 100).text, "");
}

}  // namespace
}  // namespace equipoise::coordinator

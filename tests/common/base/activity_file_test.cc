#include "common/base/activity_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace activity_file_test {

TEST(ActivityFile, IsReadAsItWasTold) {
  const TempFolder folder;
  ActivityFile file(folder / "activity");
  EXPECT_FALSE(read_activity(folder / "activity").has_value());
  file.tell({.name = "policy log-probs", .percent = 12});
  const auto activity = read_activity(folder / "activity");
  ASSERT_TRUE(activity.has_value());
  EXPECT_EQ(activity->name, "policy log-probs");
  EXPECT_EQ(activity->percent, 12);
}

TEST(ActivityFile, TellsANewActivityAtOnce) {
  const TempFolder folder;
  ActivityFile file(folder / "activity");
  file.tell({.name = "reading data", .percent = 0});
  file.tell({.name = "policy log-probs", .percent = 0});
  EXPECT_EQ(read_activity(folder / "activity")->name, "policy log-probs");
}

TEST(ActivityFile, GoesOnWhereItCannotBeWritten) {
  const TempFolder folder;
  ActivityFile(folder / "absent" / "activity").tell({.name = "reading data", .percent = 0});
  EXPECT_FALSE(read_activity(folder / "absent" / "activity").has_value());
  ActivityFile("").tell({.name = "reading data", .percent = 0});
}

TEST(ActivityFile, AnotherTextIsNoActivity) {
  const TempFolder folder;
  for (const char* text : {"", "12", "half policy log-probs\n", "\n"}) {
    std::ofstream(folder / "activity") << text;
    EXPECT_FALSE(read_activity(folder / "activity").has_value()) << text;
  }
}

}  // namespace activity_file_test
}  // namespace equipoise

#include "client/progress/read_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace equipoise {
namespace read_progress_test {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err, .kind = OutputKind::kTerminal};
};

constexpr std::int64_t kMegabyte = 1'000'000;

TEST(ReadProgress, ShowsNothingOfWhatIsDoneWithinTwoSeconds) {
  Screen screen;
  {
    ReadProgress progress(screen.console, "verify", 10 * kMegabyte, SteadyTime());
    for (int i = 1; i <= 10; ++i) progress.add(kMegabyte, SteadyTime() + i * seconds(2) / 10);
    progress.note("step 5: whole");
  }
  EXPECT_EQ(screen.out.str(), "step 5: whole\n");
}

TEST(ReadProgress, ShowsShareSpeedAndTimeLeftOfWhatTakesLonger) {
  Screen screen;
  {
    ReadProgress progress(screen.console, "verify", 100 * kMegabyte, SteadyTime());
    progress.add(25 * kMegabyte, SteadyTime() + seconds(5));
    EXPECT_THAT(screen.out.str(), HasSubstr("25/100  25 %  25.0 MB of 100 MB  5.00 MB/s  0:15 left"));
    progress.note("step 5: whole");
    EXPECT_THAT(screen.out.str(), HasSubstr("\r\x1b[2Kstep 5: whole\n"));
  }
  EXPECT_TRUE(screen.out.str().ends_with("\r\x1b[2K\x1b[?25h")) << "the line is erased, and the cursor is back";
}

TEST(ReadProgress, NeverShowsMoreThanAll) {
  Screen screen;
  ReadProgress progress(screen.console, "verify", 0, SteadyTime());
  progress.add(kMegabyte, SteadyTime() + seconds(5));
  EXPECT_THAT(screen.out.str(), HasSubstr("100/100  100 %  1.00 MB of 1.00 MB"));
}

TEST(ReadProgress, WritesSentencesAloneElsewhere) {
  Screen screen;
  screen.console.kind = OutputKind::kPlain;
  ReadProgress progress(screen.console, "verify", 100 * kMegabyte, SteadyTime());
  progress.add(25 * kMegabyte, SteadyTime() + seconds(5));
  progress.note("step 5: whole");
  EXPECT_EQ(screen.out.str(), "step 5: whole\n");
}

TEST(PartProgress, CountsEachPartByItself) {
  Screen screen;
  PartProgress progress(screen.console, "model init", SteadyTime());
  progress.show("reading texts", 0.5, SteadyTime() + seconds(1));
  EXPECT_EQ(screen.out.str(), "") << "two seconds are no wait";
  progress.show("learning tokens", 0, SteadyTime() + seconds(10));
  EXPECT_THAT(screen.out.str(), HasSubstr("0/100  0 %  learning tokens"));
  EXPECT_THAT(screen.out.str(), Not(HasSubstr("left")));
  progress.show("learning tokens", 0.25, SteadyTime() + seconds(15));
  EXPECT_THAT(screen.out.str(), HasSubstr("25/100  25 %  learning tokens  0:15 left"));
}

TEST(TimeLeft, FollowsThePaceUntilNow) {
  EXPECT_EQ(time_left_of(0.75, seconds(30)), seconds(10));
  EXPECT_EQ(time_left_of(1, seconds(30)), seconds(0));
  EXPECT_EQ(time_left_of(0, seconds(30)), std::nullopt);
  EXPECT_EQ(time_left_of(0.5, seconds(0)), std::nullopt);
}

}  // namespace read_progress_test
}  // namespace equipoise

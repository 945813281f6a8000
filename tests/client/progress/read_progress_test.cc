#include "client/progress/read_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace equipoise {
namespace read_progress_test {

using std::chrono::seconds;
using testing::HasSubstr;

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

}  // namespace read_progress_test
}  // namespace equipoise

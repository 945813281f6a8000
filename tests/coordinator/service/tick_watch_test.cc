#include "coordinator/service/tick_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

namespace equipoise::coordinator {
namespace tick_watch_test {

TEST(TickWatch, TellsOnceThatTheyHaveStoppedAndOnceThatTheyGoOn) {
  std::atomic<std::uint64_t> ticks = 7;
  std::promise<void> has_stopped, has_stopped_again;
  std::vector<bool> told;
  {
    TickWatch watch({.interval = std::chrono::milliseconds(1), .most_looks = 3}, ticks, [&](bool go_on) {
      told.push_back(go_on);
      if (told.size() == 1) has_stopped.set_value();
      if (told.size() == 3) has_stopped_again.set_value();
    });
    has_stopped.get_future().get();
    ++ticks;
    has_stopped_again.get_future().get();
  }
  EXPECT_THAT(told, ::testing::ElementsAre(false, true, false)) << "not at every look";
}

}  // namespace tick_watch_test
}  // namespace equipoise::coordinator

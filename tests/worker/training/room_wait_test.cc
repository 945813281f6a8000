#include "worker/training/room_wait.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <cerrno>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace equipoise {
namespace room_wait_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RoomWaitTest : public ::testing::Test {
 protected:
  std::ostringstream text_;
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)};
  std::vector<bool> told_;
  int checks_ = 0;
  int end_at_ = -1;  // of the checks
  RoomWait wait_{{.log = log_,
                  .tell = [this](bool waits) { told_.push_back(waits); },
                  .check =
                      [this] {
                        if (++checks_ == end_at_) throw std::runtime_error("asked to end");
                      },
                  .between_tries = std::chrono::milliseconds(0)}};
};

TEST_F(RoomWaitTest, TriesUntilThereIsRoom) {
  int tries = 0;
  wait_.keep_trying([&] {
    EXPECT_EQ(told_.size(), tries > 0 ? 1U : 0U);
    if (++tries < 4) throw DiskFault("out/metrics.jsonl: No space left on device", ENOSPC);
  });
  EXPECT_EQ(tries, 4);
  EXPECT_EQ(checks_, 3);
  EXPECT_THAT(told_, ElementsAre(true, false));
  EXPECT_THAT(text_.str(), HasSubstr("out/metrics.jsonl: No space left on device; training waits until there is room"));
  EXPECT_THAT(text_.str(), HasSubstr("has room again: training goes on"));
}

TEST_F(RoomWaitTest, SaysNothingWhereThereIsRoom) {
  wait_.keep_trying([] {});
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(text_.str(), "");
}

TEST_F(RoomWaitTest, PassesOnWhatIsNoFullDisk) {
  EXPECT_THROW(wait_.keep_trying([] { throw DiskFault("out: Input/output error", EIO); }), DiskFault);
  EXPECT_THROW(wait_.keep_trying([] { throw std::invalid_argument("out"); }), std::invalid_argument);
  EXPECT_TRUE(told_.empty());
}

TEST_F(RoomWaitTest, EndsWhereTheRankHasTo) {
  end_at_ = 2;
  EXPECT_THROW(wait_.patience()([] { throw DiskFault("out", EDQUOT); }), std::runtime_error);
  EXPECT_EQ(checks_, 2);
  EXPECT_THAT(told_, ElementsAre(true, false));
}

}  // namespace room_wait_test
}  // namespace equipoise

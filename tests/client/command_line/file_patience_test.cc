#include "client/command_line/file_patience.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <string>

namespace equipoise {
namespace file_patience_test {

using std::chrono::milliseconds;
using ::testing::ThrowsMessage;

TEST(FilePatience, GivesWhatTheLookGivesOrThrows) {
  EXPECT_EQ(looked_in_time<int>([](LookedAt&) { return 7; }), 7);
  EXPECT_THROW(looked_in_time<int>([](LookedAt&) -> int { throw std::invalid_argument("no"); }), std::invalid_argument);
}

TEST(FilePatience, NamesWhatIsSilent) {
  std::promise<void> answer;
  const std::shared_future<void> answered = answer.get_future().share();
  const auto look = [answered](LookedAt& at) {
    at.set("/net/runs/first");
    answered.wait();
    return 1;
  };
  EXPECT_THAT([&] { looked_in_time<int>(look, milliseconds(5)); },
              ThrowsMessage<PeerError>("the file system of /net/runs/first does not answer"));
  answer.set_value();
}

}  // namespace file_patience_test
}  // namespace equipoise

#include "coordinator/webhook/webhook_cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace webhook_cursor_test {

class Cursor : public ::testing::Test {
 protected:
  std::string content() const {
    std::ifstream stream(file_);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  void write(const std::string& text) const { std::ofstream(file_) << text; }

  TempFolder folder_;
  const std::filesystem::path file_ = folder_.path() / "webhook";
};

// Nobody wants last year's events on the day on which the webhook is set up.
TEST_F(Cursor, BeginsBehindWhatThereIs) {
  const WebhookCursor cursor(file_, {{"old", 7}});
  EXPECT_EQ(cursor.of("old"), 7);
  EXPECT_EQ(cursor.of("new"), 0);
}

// What came while the receiver was away, before the first event was delivered, is not old.
TEST_F(Cursor, BeginsOnceOnly) {
  { const WebhookCursor first(file_, {}); }
  const WebhookCursor second(file_, {{"job", 3}});
  EXPECT_EQ(second.of("job"), 0);
}

TEST_F(Cursor, RemovesWhatAKilledCoordinatorLeftOfTheFile) {
  folder_.write(".webhook.partial-4711", "equipoise webhook cu");
  folder_.write(".notes.partial-4711", "of somebody");
  const WebhookCursor cursor(file_, {});
  EXPECT_FALSE(std::filesystem::exists(folder_ / ".webhook.partial-4711"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / ".notes.partial-4711"));
}

TEST_F(Cursor, KeepsWhatIsDeliveredAndForgetsJobsThatAreGone) {
  {
    WebhookCursor cursor(file_, {});
    cursor.advance("job", 3);
    cursor.advance("gone", 9);
    cursor.advance("job", 5);
  }
  const WebhookCursor cursor(file_, {{"job", 8}});
  EXPECT_EQ(cursor.of("job"), 5);
  EXPECT_EQ(cursor.of("gone"), 0);
  EXPECT_EQ(content(), "equipoise webhook cursor 1\njob 5\n");
}

// "job 12" cut off from "job 1234" has less delivered than there is: events are sent again, and none is left out.
TEST_F(Cursor, ALineThatACrashHasCutOffCountsNothing) {
  write("equipoise webhook cursor 1\njob 7\nother 12");
  const WebhookCursor cursor(file_, {{"job", 8}, {"other", 20}});
  EXPECT_EQ(cursor.of("job"), 7);
  EXPECT_EQ(cursor.of("other"), 0);
}

TEST_F(Cursor, LinesOfNoUseAreLeftOut) {
  write("equipoise webhook cursor 1\n\njob\njob x\njob 4x\njob \njob 3\n");
  EXPECT_EQ(WebhookCursor(file_, {{"job", 8}}).of("job"), 3);
}

// By a flipped bit, or as the database was restored from a backup: no event to come is left out.
TEST_F(Cursor, NothingThatIsToComeIsDelivered) {
  write("equipoise webhook cursor 1\njob 7\nother 900\n");
  WebhookCursor cursor(file_, {{"job", 8}, {"other", 20}});
  EXPECT_EQ(cursor.of("job"), 7);
  EXPECT_EQ(cursor.of("other"), 20);
}

// The service starts on a full disk.
TEST_F(Cursor, OneThatCannotBeWrittenKeepsNobodyFromStarting) {
  WebhookCursor cursor(folder_.path() / "absent/webhook", {{"job", 3}});
  EXPECT_EQ(cursor.of("job"), 3);
  cursor.advance("job", 4);
  EXPECT_EQ(cursor.of("job"), 4);
}

TEST_F(Cursor, AnotherFileIsRefusedAndLeftAsItIs) {
  write("precious\n");
  EXPECT_THROW(WebhookCursor(file_, {}), std::invalid_argument);
  EXPECT_EQ(content(), "precious\n");
}

TEST_F(Cursor, DoesNotGrowWithoutEnd) {
  WebhookCursor cursor(file_, {{"job", 1}});
  std::int64_t revision = 1;
  while (!cursor.has_grown()) cursor.advance("job", ++revision);
  EXPECT_LT(revision, 2000);
  cursor.keep({{"job", revision}});
  EXPECT_EQ(content(), "equipoise webhook cursor 1\njob " + std::to_string(revision) + "\n");
  EXPECT_FALSE(cursor.has_grown());
}

}  // namespace webhook_cursor_test
}  // namespace equipoise::coordinator

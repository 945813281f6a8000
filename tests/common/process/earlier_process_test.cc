#include "common/process/earlier_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace equipoise {
namespace earlier_process_test {

// A child that waits for a signal.
class EarlierProcessTest : public ::testing::Test {
 protected:
  EarlierProcessTest() : child_(::fork()) {
    if (child_ != 0) return;
    while (true) ::pause();
  }
  ~EarlierProcessTest() override { end(); }
  void end() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = 0;
  }
  pid_t child_;
};

TEST_F(EarlierProcessTest, OneThatIsThereHasAState) {
  const EarlierProcess process{.pid = child_, .began_before = std::chrono::seconds(0)};
  const auto state = state_of(process);
  ASSERT_TRUE(state);
  EXPECT_TRUE(*state == 'S' || *state == 'R') << *state;
  end();
  EXPECT_FALSE(state_of(process));
}

// Its number may be somebody else's by now.
TEST_F(EarlierProcessTest, AYoungerOneIsAnother) {
  EXPECT_FALSE(state_of({.pid = child_, .began_before = std::chrono::hours(24 * 365 * 50)}));
}

TEST_F(EarlierProcessTest, OneThatHasEndedAndWasNotWaitedForIsGone) {
  ::kill(child_, SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child_), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(state_of({.pid = child_, .began_before = std::chrono::seconds(0)}));
}

TEST_F(EarlierProcessTest, LinesOfALogNameThoseThatAreThere) {
  const std::string text = processes_text({{.pid = child_, .began_before = std::chrono::seconds(0)},
                                           {.pid = 2'000'000'000, .began_before = std::chrono::seconds(0)}});
  const auto found = processes_in("ssh: a banner\n" + text + "equipoise: process x is there, in state D\n" +
                                  "equipoise: process 5 is there, in state ");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->begin()->first, child_);
  const std::string line = "equipoise: process 7 is there, in state D\r\n";
  EXPECT_EQ(processes_in(processes_text({}) + line)->at(7), 'D');
  EXPECT_TRUE(processes_in(processes_text({}) + line + processes_text({}))->empty()) << "the newest answer counts";
  EXPECT_FALSE(processes_in(line)) << "the log has no answer";
}

TEST(EarlierProcessText, IsReadBack) {
  const EarlierProcess process = parse_earlier_process(earlier_process_text({4711, std::chrono::seconds(12)}));
  EXPECT_EQ(process.pid, 4711);
  EXPECT_EQ(process.began_before, std::chrono::seconds(12));
  for (const char* wrong : {"", "1", ":", "1:", ":1", "a:1", "1:b", "-1:2", "1:-2", "1:2 ", "99999999999:1"}) {
    EXPECT_THROW(parse_earlier_process(wrong), std::invalid_argument) << wrong;
  }
}

}  // namespace earlier_process_test
}  // namespace equipoise

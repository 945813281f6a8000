#include "client/connection/interrupts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include "client/connection/interruptible_work.h"
#include "client/connection/job_inbox.h"

namespace equipoise {
namespace interrupts_test {

constexpr std::chrono::minutes kLongAfterTheTest{1};

TEST(Interrupts, ReachTheInboxInsteadOfEndingTheProcess) {
  JobInbox inbox;
  const Interrupts interrupts([&inbox](int signal) { inbox.interrupt(signal); });
  int seen = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    ASSERT_EQ(kill(getpid(), signal), 0);
    const JobInbox::Update update = inbox.wait(kLongAfterTheTest);
    EXPECT_EQ(update.interrupts, ++seen);
    EXPECT_EQ(update.last_signal, signal);
  }
}

// The terminal of a command under nohup is gone: what it does goes on.
TEST(Interrupts, AHangupThatIsIgnoredStaysIgnored) {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    JobInbox inbox;
    const Interrupts interrupts([&inbox](int signal) { inbox.interrupt(signal); });
    ASSERT_EQ(kill(getpid(), SIGHUP), 0);
    ASSERT_EQ(kill(getpid(), SIGTERM), 0);
    const JobInbox::Update update = inbox.wait(kLongAfterTheTest);
    EXPECT_EQ(update.interrupts, 1);
    EXPECT_EQ(update.last_signal, SIGTERM);
  }
  std::signal(SIGHUP, before);
}

TEST(Interrupts, LeaveTheSignalsAsTheyWere) {
  sigset_t before;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    const Interrupts interrupts([](int) {});
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EQ(sigismember(&after, signal), sigismember(&before, signal));
  }
}

TEST(InterruptibleWork, EndsByAnExceptionAtTheNextLook) {
  std::ostringstream out, err;
  const Console console{.out = out, .err = err};
  InterruptibleRead reading(console, "verify", 10);
  reading.add(1);
  ASSERT_EQ(kill(getpid(), SIGINT), 0);
  const auto read_on = [on_bytes = reading.on_bytes()] {
    while (true) on_bytes(1);  // the signal has a thread of its own
  };
  try {
    read_on();
  } catch (const CommandError& interrupted) {
    EXPECT_EQ(interrupted.code(), ExitCode::kInterrupted);
  }
  EXPECT_EQ(out.str(), "");
}

TEST(InterruptibleWorkDeathTest, EndsAtOnceAfterASecondSignal) {
  const auto wait_in_vain = [] {
    const InterruptCheck check;
    kill(getpid(), SIGTERM);
    while (true) {
      try {
        check.throw_if_interrupted();
      } catch (const CommandError&) {
        break;
      }
    }
    kill(getpid(), SIGINT);
    while (true) pause();
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(wait_in_vain(), testing::ExitedWithCode(130), "");
}

TEST(JobInbox, GivesTheNewestJobOnceAndThenTheEnd) {
  JobInbox inbox;
  v1::TrainingJob job;
  job.set_step(1);
  inbox.put(job);
  job.set_step(2);
  inbox.put(job);
  EXPECT_EQ(inbox.wait(kLongAfterTheTest).job->step(), 2);
  inbox.end();
  const JobInbox::Update last = inbox.wait(kLongAfterTheTest);
  EXPECT_TRUE(last.ended);
  EXPECT_FALSE(last.job);
}

}  // namespace interrupts_test
}  // namespace equipoise

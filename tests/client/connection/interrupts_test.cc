#include "client/connection/interrupts.h"

#include <gtest/gtest.h>

#include <csignal>

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

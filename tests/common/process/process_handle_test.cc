#include "common/process/process_handle.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>

#include "common/process/child_process.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace process_handle_test {

class ProcessHandleTest : public ::testing::Test {
 protected:
  ProgramStart sleeper() const {
    return {.command = {"sleep", "1000"},
            .environment = {},
            .stdout_file = folder_ / "out",
            .stderr_file = folder_ / "out"};
  }
  static bool has_ended(const ProcessHandle& handle, int timeout_ms) {
    pollfd end{.fd = handle.descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&end, 1, timeout_ms) == 1;
  }

  const TempFolder folder_;
};

TEST_F(ProcessHandleTest, TellsOfTheEndOfAProcess) {
  ChildProcess process(sleeper());
  const auto start_time = process_start_time(process.pid());
  ASSERT_TRUE(start_time);
  const auto handle = ProcessHandle::find(process.pid(), *start_time);
  ASSERT_NE(handle, nullptr);
  EXPECT_FALSE(has_ended(*handle, 0));
  handle->signal(SIGTERM);
  EXPECT_TRUE(has_ended(*handle, -1));
  EXPECT_EQ(process.wait(), 128 + SIGTERM);
  handle->signal(SIGTERM);  // reaches nobody
}

// A shim's number may be another process's after a while: that one was signalled.
TEST_F(ProcessHandleTest, AnotherProcessOfTheSameNumberIsNotFound) {
  const ChildProcess process(sleeper());
  const auto start_time = process_start_time(process.pid());
  ASSERT_TRUE(start_time);
  EXPECT_EQ(ProcessHandle::find(process.pid(), *start_time - 1), nullptr);
  EXPECT_EQ(ProcessHandle::find(process.pid(), *start_time + 1), nullptr);
}

TEST_F(ProcessHandleTest, AProcessThatHasEndedIsNotFound) {
  ChildProcess process(sleeper());
  const pid_t pid = process.pid();
  const auto start_time = process_start_time(pid);
  ASSERT_TRUE(start_time);
  process.signal_group(SIGKILL);
  process.wait();
  EXPECT_EQ(ProcessHandle::find(pid, *start_time), nullptr);
  EXPECT_EQ(ProcessHandle::find(0, *start_time), nullptr);
}

TEST_F(ProcessHandleTest, StartsOfProcessesDoNotFall) {
  const auto ours = process_start_time(::getpid());
  const ChildProcess process(sleeper());
  ASSERT_TRUE(ours);
  EXPECT_GE(process_start_time(process.pid()), ours);
}

}  // namespace process_handle_test
}  // namespace equipoise

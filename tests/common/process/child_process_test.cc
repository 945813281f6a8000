#include "common/process/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace child_process_test {

using ::testing::HasSubstr;
using ::testing::Not;

class ChildProcessTest : public ::testing::Test {
 protected:
  ChildProcessTest() { ::mkfifo(ready_.c_str(), 0600); }
  // A shell that does these things.
  ProgramStart shell(const std::string& words) const {
    return {.command = {"sh", "-c", words},
            .environment = {"READY=" + ready_.string()},
            .stdout_file = folder_ / "out",
            .stderr_file = folder_ / "err"};
  }
  std::string refusal(const ProgramStart& start) const {
    try {
      const ChildProcess process(start);
    } catch (const PeerError& refused) {
      return refused.what();
    }
    return "it started";
  }

  const TempFolder folder_;
  const std::filesystem::path ready_ = folder_ / "ready";  // a FIFO: reading ends when nobody is left to write
};

TEST_F(ChildProcessTest, GivesTheExitCodeAndTheSignalAsAShellDoes) {
  EXPECT_EQ(ChildProcess(shell("exit 0")).wait(), 0);
  EXPECT_EQ(ChildProcess(shell("exit 7")).wait(), 7);
  EXPECT_EQ(ChildProcess(shell("kill -SEGV $$")).wait(), 128 + SIGSEGV);
}

TEST_F(ChildProcessTest, AppendsItsOutputToTheFiles) {
  for (const char* name : {"first", "second"}) {
    ChildProcess(shell(std::string("echo out ") + name + "; echo err " + name + " >&2")).wait();
  }
  EXPECT_EQ(read_file(folder_ / "out"), "out first\nout second\n");
  EXPECT_EQ(read_file(folder_ / "err"), "err first\nerr second\n");
}

TEST_F(ChildProcessTest, HasOurEnvironmentWithTheChangesNamed) {
  for (const char* name : {"KEPT", "REPLACED", "REMOVED", "REMOVED_NOT"}) ::setenv(name, "ours", 1);
  ProgramStart start = shell("echo \"$KEPT $REPLACED $ADDED [$REMOVED] $REMOVED_NOT\"; env | grep -c ^REPLACED=");
  start.environment.insert(start.environment.end(), {"REPLACED=theirs", "ADDED=a b"});
  start.removed = {"REMOVED"};
  ChildProcess(start).wait();
  for (const char* name : {"KEPT", "REPLACED", "REMOVED", "REMOVED_NOT"}) ::unsetenv(name);
  EXPECT_EQ(read_file(folder_ / "out"), "ours theirs a b [] ours\n1\n");
}

TEST_F(ChildProcessTest, WhatCannotBeStartedIsNamedWithTheCause) {
  ProgramStart start = shell("");
  start.command = {"/no/such/program"};
  EXPECT_EQ(refusal(start), "/no/such/program cannot be started: No such file or directory");
  start.command = {folder_.path().string()};
  EXPECT_EQ(refusal(start), folder_.path().string() + " cannot be started: Permission denied");
  start = shell("");
  start.stderr_file = folder_ / "none/err";
  EXPECT_EQ(refusal(start), (folder_ / "none/err").string() + " cannot be written: No such file or directory");
}

TEST_F(ChildProcessTest, ASignalReachesTheWholeGroup) {
  // Both hold the FIFO open until they have ended.
  ChildProcess process(shell("exec 3> $READY; sleep 1000 & echo both run >&3; wait"));
  std::ifstream ready(ready_);
  std::string line;
  std::getline(ready, line);
  EXPECT_EQ(line, "both run");
  process.signal_group(SIGTERM);
  EXPECT_FALSE(std::getline(ready, line));
  EXPECT_EQ(process.wait(), 128 + SIGTERM);
  process.signal_group(SIGKILL);  // nothing is left to be signalled
}

// mpirun needs the ssh of its group until its ranks on other hosts have ended.
TEST_F(ChildProcessTest, ASignalToItAloneLeavesItsChildrenToIt) {
  ChildProcess process(
      shell("exec 3> $READY; trap 'kill -0 $child && echo child lives >&3; exit 4' TERM; "
            "sleep 1000 & child=$!; echo both run >&3; wait"));
  std::ifstream ready(ready_);
  std::string line;
  std::getline(ready, line);
  EXPECT_EQ(line, "both run");
  process.signal(SIGTERM);
  std::getline(ready, line);
  EXPECT_EQ(line, "child lives");
  EXPECT_EQ(process.wait(), 4);
  process.signal(SIGKILL);  // nothing is left to be signalled
}

TEST_F(ChildProcessTest, WhatItLeftBehindEndsWithIt) {
  ChildProcess process(shell("exec 3> $READY; sleep 1000 & echo leader ends >&3; exit 3"));
  std::ifstream ready(ready_);
  EXPECT_EQ(process.wait(), 3);
  std::string line, rest;
  std::getline(ready, line);
  EXPECT_EQ(line, "leader ends");
  EXPECT_FALSE(std::getline(ready, rest));
}

TEST_F(ChildProcessTest, ItDoesNotOutliveItsOwner) {
  auto process = std::make_optional<ChildProcess>(shell("exec 3> $READY; trap '' TERM; echo runs >&3; sleep 1000"));
  std::ifstream ready(ready_);
  std::string line;
  std::getline(ready, line);
  EXPECT_EQ(line, "runs");
  process.reset();
  EXPECT_FALSE(std::getline(ready, line));
}

TEST_F(ChildProcessTest, GetsNoDescriptorNoInputAndNoBlockedSignalOfOurs) {
  constexpr int kOurs = 200;
  ASSERT_EQ(::dup2(STDERR_FILENO, kOurs), kOurs);  // without close-on-exec
  sigset_t term, before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &term, &before);
  ChildProcess process(shell("echo /proc/self/fd/*; cat; kill -TERM $$; echo lives"));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(process.wait(), 128 + SIGTERM);
  ::close(kOurs);
  EXPECT_THAT(read_file(folder_ / "out"), HasSubstr("/proc/self/fd/2"));
  EXPECT_THAT(read_file(folder_ / "out"), Not(HasSubstr("/proc/self/fd/200")));
}

TEST_F(ChildProcessTest, LeadsASessionOfItsOwn) {
  ChildProcess(shell("read -r _ _ _ _ group session _ < /proc/$$/stat; echo $group $session $$")).wait();
  std::ifstream numbers(folder_ / "out");
  int group = 0, session = 0, pid = 0;
  numbers >> group >> session >> pid;
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, pid);
  EXPECT_NE(session, ::getsid(0));
}

}  // namespace child_process_test
}  // namespace equipoise

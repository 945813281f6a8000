#include "client/coordinator_process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "client/connection/connection.h"
#include "client/exit_code.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace coordinator_process_test {

const auto kNeverStop = [] { return false; };

// First, while this process has no threads of gRPC's: it forks.
TEST(CoordinatorProcess, EndsWithTheProcessThatStartedIt) {
  const TempFolder folder;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {  // its coordinator inherits the pipe's writing end, so that reading ends when both are gone
    CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, kNeverStop);
    kill(getpid(), SIGKILL);
  }
  close(pipe_ends[1]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  constexpr int kFarTooLongMs = 60'000;
  pollfd end{pipe_ends[0], POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, kFarTooLongMs), 1);
  EXPECT_NE(end.revents & POLLHUP, 0);
  close(pipe_ends[0]);
  EXPECT_FALSE(std::filesystem::exists(folder.path()));  // nobody else would have removed it
}

TEST(CoordinatorProcess, ServesUntilItIsStopped) {
  const TempFolder folder;
  CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, kNeverStop);
  Connection connection({process.address(), std::chrono::seconds(30)});
  EXPECT_EQ(connection.list_jobs({}).jobs_size(), 0);
  EXPECT_EQ(process.end(), "");
  process.stop();
  EXPECT_EQ(process.end(), "exit code 0");
}

TEST(CoordinatorProcess, SaysWhatItsLogSaysWhereItDoesNotStart) {
  const TempFolder folder;
  folder.write("state", "a file where a folder is needed");
  try {
    const CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, kNeverStop);
    FAIL() << "it started";
  } catch (const PeerError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find((folder.path() / "state").string()), std::string::npos) << text;
    EXPECT_NE(text.find("exit code 2"), std::string::npos) << text;
  }
}

TEST(CoordinatorProcess, NamesAProgramThatIsNotThere) {
  const TempFolder folder;
  EXPECT_THROW(CoordinatorProcess({folder.path() / "none", folder.path(), ""}, kNeverStop), std::invalid_argument);
}

TEST(CoordinatorProcess, GivesUpStartingWhenAsked) {
  const TempFolder folder;
  try {
    const CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, [] { return true; });
  } catch (const CommandError& error) {
    EXPECT_EQ(error.code(), ExitCode::kInterrupted);
  }
}

}  // namespace coordinator_process_test
}  // namespace equipoise

#include "client/connection/private_service.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "client/connection/connection.h"
#include "client/console/console.h"
#include "common/base/error.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace private_service_test {

const auto kNeverStop = [] { return false; };

// First, while this process has no threads of gRPC's: it forks.
TEST(CoordinatorProcess, EndsWithTheProcessThatStartedIt) {
  const TempFolder folder;
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // the orphaned coordinator becomes our child, to wait for
  const pid_t child = fork();
  if (child == 0) {
    CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, kNeverStop);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_GT(waitpid(-1, &status, 0), 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
  EXPECT_FALSE(std::filesystem::exists(folder.path()));  // nobody else would have removed it
}

TEST(CoordinatorProcess, ServesUntilItIsStopped) {
  const TempFolder folder;
  CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, kNeverStop);
  Connection connection({process.address(), std::chrono::seconds(30), process.access()});
  EXPECT_EQ(connection.list_jobs({}).jobs_size(), 0);
  EXPECT_EQ(process.end(), "");
  process.stop();
  EXPECT_EQ(process.end(), "exit code 0");
}

TEST(CoordinatorProcess, AnswersNobodyElse) {
  const TempFolder folder;
  CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, kNeverStop);
  Connection stranger({process.address(), std::chrono::seconds(30)});
  EXPECT_THROW(stranger.list_jobs({}), std::invalid_argument);
  EXPECT_THROW(stranger.cancel_job({.id = "any-00000000"}), std::invalid_argument);
  // What is on the disk does not let anybody in.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(content.find(process.access().token), std::string::npos) << entry.path();
  }
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
  try {
    const CoordinatorProcess process({folder.path() / "none", folder.path(), ""}, kNeverStop);
    FAIL() << "it started";
  } catch (const PeerError& error) {
    EXPECT_EQ(error.what(), (folder.path() / "none").string() + " cannot be started: No such file or directory");
  }
}

TEST(CoordinatorProcess, GivesUpStartingWhenAsked) {
  const TempFolder folder;
  try {
    const CoordinatorProcess process({EQUIPOISE_COORDINATOR_PROGRAM, folder.path(), ""}, [] { return true; });
  } catch (const CommandError& error) {
    EXPECT_EQ(error.code(), ExitCode::kInterrupted);
  }
}

}  // namespace private_service_test
}  // namespace equipoise

#include "common/base/standard_streams.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace standard_streams_test {

// The exit code of a child that closes `closed`, opens the streams, then `file`, and writes to standard error.
int code_of_child(std::initializer_list<int> closed, const std::string& file) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int descriptor : closed) ::close(descriptor);
    open_standard_streams();
    const int opened = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
    const bool are_open = ::fcntl(0, F_GETFD) >= 0 && ::fcntl(1, F_GETFD) >= 0 && ::fcntl(2, F_GETFD) >= 0;
    const bool is_written = ::write(STDERR_FILENO, "", 0) == 0;
    ::_exit(opened > STDERR_FILENO && are_open && is_written ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// What was logged went into the lock file of a state folder, which was the first file that was opened.
TEST(StandardStreams, NoFileTakesThePlaceOfOneThatIsClosed) {
  const TempFolder folder;
  const std::string file = folder / "file";
  EXPECT_EQ(code_of_child({}, file), 0);
  EXPECT_EQ(code_of_child({2}, file), 0);
  EXPECT_EQ(code_of_child({0, 2}, file), 0);
  EXPECT_EQ(code_of_child({0, 1, 2}, file), 0);
}

}  // namespace standard_streams_test
}  // namespace equipoise

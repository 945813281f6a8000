#include "client/command_line/file_patience.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/error.h"

namespace equipoise {
namespace file_patience_test {

using std::chrono::milliseconds;
using ::testing::ThrowsMessage;

void wait_for_ever(const char* /*path*/) {
  while (true) ::pause();
}

TEST(FilePatience, TakesAnyAnswer) {
  for (const char* path : {"/", "/there/is/no/such/folder", "/dev/null/below-a-file", ""}) await_file_system(path);
}

TEST(FilePatience, NamesWhatIsSilent) {
  EXPECT_THAT([] { await_file_system("/net/runs/first", milliseconds(5), wait_for_ever); },
              ThrowsMessage<PeerError>("the file system of /net/runs/first does not answer"));
}

}  // namespace file_patience_test
}  // namespace equipoise

#include "common/base/durable_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace durable_file_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(DurableFile, LeavesTheOldFileUntilCommitted) {
  const TempFolder folder;
  const auto path = folder.write("x", "old");
  {
    DurableFile file(path);
    file.write("new");
    file.flush();
    EXPECT_EQ(read_file(path), "old");
    file.commit();
  }
  EXPECT_EQ(read_file(path), "new");
}

TEST(DurableFile, LeavesNothingBehindWithoutCommit) {
  const TempFolder folder;
  {
    DurableFile file(folder / "x");
    file.write("half");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DurableFile, NamesAFolderThatIsNotThere) {
  const TempFolder folder;
  EXPECT_THAT([&] { write_durably(folder / "absent" / "x", "text"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("absent/x: cannot be written: No such file")));
}

TEST(DurableFile, SaysThatTheRenameFailedAndCleansUp) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "x" / "y");
  EXPECT_THAT([&] { write_durably(folder / "x", "text"); }, ThrowsMessage<std::runtime_error>(HasSubstr("renamed")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace durable_file_test
}  // namespace equipoise

#include "common/base/disk_fault.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include "common/base/descriptor.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace disk_fault_test {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(DiskFault, IsOfTheDiskAlone) {
  for (const int error : {ENOSPC, EDQUOT, EIO, ESTALE, EROFS}) {
    EXPECT_THROW(throw_write_fault("file", error), DiskFault) << error;
  }
  for (const int error : {EACCES, ENOENT, ENOTDIR, EFBIG, EBADF}) {
    try {
      throw_write_fault("file", error);
    } catch (const DiskFault&) {
      FAIL() << error;
    } catch (const std::runtime_error& failure) {
      EXPECT_EQ(failure.what(), "file: " + std::generic_category().message(error));
    }
  }
}

TEST(DiskFault, TellsAFullDiskFromABrokenOne) {
  EXPECT_TRUE(is_full_disk(DiskFault("file", ENOSPC)));
  EXPECT_TRUE(is_full_disk(DiskFault("file", EDQUOT)));
  EXPECT_FALSE(is_full_disk(DiskFault("file", EIO)));
  EXPECT_TRUE(
      is_full_disk(std::filesystem::filesystem_error("folder", std::make_error_code(std::errc::no_space_on_device))));
  EXPECT_FALSE(is_full_disk(std::filesystem::filesystem_error("folder", std::make_error_code(std::errc::io_error))));
  EXPECT_FALSE(is_full_disk(std::runtime_error("No space left on device")));
}

TEST(WriteAll, KeepsWhatFoundNoRoom) {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  std::string bytes = "text";
  EXPECT_THAT([&] { write_all(full.get(), bytes, "cannot write metrics.jsonl"); },
              ThrowsMessage<DiskFault>(HasSubstr("cannot write metrics.jsonl: No space left on device")));
  EXPECT_EQ(bytes, "text");
  const TempFolder folder;
  const Descriptor file(::open((folder / "x").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  write_all(file.get(), bytes, "");
  EXPECT_EQ(bytes, "");
  EXPECT_EQ(read_file(folder / "x"), "text");
}

}  // namespace disk_fault_test
}  // namespace equipoise

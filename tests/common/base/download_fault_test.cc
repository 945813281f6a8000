#include "common/base/download_fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace download_fault_test {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(DownloadFault, TellsAPointerOfGitLfs) {
  const TempFolder folder;
  const auto file = folder.write("model.safetensors",
                                 "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 988097824\n");
  EXPECT_THAT(download_fault(file), HasSubstr("is a Git-LFS pointer, not the file itself: run git lfs pull"));
}

TEST(DownloadFault, TellsALinkWhoseFileIsMissing) {
  const TempFolder folder;
  std::filesystem::create_symlink("../../blobs/4d7a2146", folder / "tokenizer.json");
  EXPECT_THAT(download_fault(folder / "tokenizer.json"),
              HasSubstr("is a link to ../../blobs/4d7a2146, which is not there"));
  std::filesystem::create_symlink(folder.write("blob", "{}"), folder / "config.json");
  EXPECT_THAT(download_fault(folder / "config.json"), IsEmpty());
}

TEST(DownloadFault, TellsAWebPageAndAnEmptyFile) {
  const TempFolder folder;
  EXPECT_THAT(download_fault(folder.write("a", "\n<!DOCTYPE HTML><title>Sign in")), HasSubstr("is a web page"));
  EXPECT_THAT(download_fault(folder.write("b", "")), HasSubstr("is empty"));
}

TEST(DownloadFault, SaysNothingOfWhatIsRight) {
  const TempFolder folder;
  EXPECT_THAT(download_fault(folder.write("a", "{\"version\": 1}")), IsEmpty());
  EXPECT_THAT(download_fault(folder.path()), IsEmpty());
  EXPECT_THAT(download_fault(folder / "nothing"), IsEmpty());
  EXPECT_EQ(absent_file_fault(folder / "nothing"), "there is no such file");
}

TEST(DownloadFault, IsThrownWithTheFilesName) {
  const TempFolder folder;
  const auto check = [&](const std::string& text) {
    return refusal_in(folder.path(), [&] { check_download(folder.write("a", text)); });
  };
  EXPECT_EQ(check("{}"), "accepted");
  EXPECT_EQ(check(""), "a: is empty: download it again");
}

}  // namespace download_fault_test
}  // namespace equipoise

#include "common/base/secret_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace secret_file_test {

using ::testing::HasSubstr;
using ::testing::Not;

class SecretFile : public ::testing::Test {
 protected:
  std::string refusal_at(mode_t mode, FileReaders readers) {
    ::chmod(file_.c_str(), mode);
    return refusal_of([&] { content_ = read_secret_file(file_, 100, "a token", readers); });
  }
  TempFolder folder_;
  std::filesystem::path file_ = folder_.write("token", "the secret itself");
  std::string content_;
};

TEST_F(SecretFile, IsReadWhereItsOwnerAloneCan) {
  EXPECT_EQ(refusal_at(0600, FileReaders::kOwner), "accepted");
  EXPECT_EQ(content_, "the secret itself");
  EXPECT_EQ(refusal_at(0640, FileReaders::kGroup), "accepted");
}

TEST_F(SecretFile, IsRefusedWhereOthersHaveAccessAndNeverRepeated) {
  for (const mode_t mode : {0640u, 0620u, 0604u, 0644u, 0666u}) {
    const std::string text = refusal_at(mode, FileReaders::kOwner);
    EXPECT_THAT(text, HasSubstr("expected at most 0600")) << mode;
    EXPECT_THAT(text, Not(HasSubstr("secret"))) << mode;
  }
  for (const mode_t mode : {0660u, 0604u, 0644u}) {
    EXPECT_THAT(refusal_at(mode, FileReaders::kGroup), HasSubstr("expected at most 0640")) << mode;
  }
}

// As Kubernetes mounts a secret into a container that is not root's: of root, for a group of this user.
TEST_F(SecretFile, OfRootIsReadByTheUserOfItsGroup) {
  if (::geteuid() != 0) return;  // nobody else can make such a file
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::chown(file_.c_str(), 0, kNobody), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::setegid(kNobody), 0);
  ASSERT_EQ(::seteuid(kNobody), 0);
  const auto answer = [&] {
    return refusal_of([&] { content_ = read_secret_file(file_, 100, "a token", FileReaders::kOwner); });
  };
  // Its mode can only be changed by root.
  const auto answer_at = [&](mode_t mode) {
    EXPECT_EQ(::seteuid(0), 0);
    ::chmod(file_.c_str(), mode);
    EXPECT_EQ(::seteuid(kNobody), 0);
    return answer();
  };
  EXPECT_EQ(answer_at(0440), "accepted");
  EXPECT_EQ(content_, "the secret itself");
  EXPECT_THAT(answer_at(0460), HasSubstr("expected at most 0640"));
  EXPECT_THAT(answer_at(0444), HasSubstr("expected at most 0640"));
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_EQ(::setegid(0), 0);
}

TEST_F(SecretFile, IsRefusedWhereItIsNoFileOrTooLong) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal_of([&] { read_secret_file(folder_ / "pipe", 100, "a token", FileReaders::kOwner); }),
              HasSubstr("is not a file"));
  EXPECT_THAT(refusal_of([&] { read_secret_file(folder_ / "none", 100, "a token", FileReaders::kOwner); }),
              HasSubstr("No such file"));
  ::chmod(file_.c_str(), 0600);
  EXPECT_THAT(refusal_of([&] { read_secret_file(file_, 3, "a token", FileReaders::kOwner); }),
              HasSubstr("more than 3 bytes"));
}

TEST_F(SecretFile, IsMadeForItsOwnerAloneAndOnce) {
  const mode_t before = ::umask(0);
  write_secret_file(folder_ / "new", "x");
  ::umask(before);
  struct stat found {};
  ASSERT_EQ(::stat((folder_ / "new").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777u, 0600u);
  EXPECT_THAT(refusal_of([&] { write_secret_file(folder_ / "new", "y"); }), HasSubstr("File exists"));
  ASSERT_EQ(::symlink("elsewhere", (folder_ / "link").c_str()), 0);
  EXPECT_NE(refusal_of([&] { write_secret_file(folder_ / "link", "y"); }), "accepted");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
}

}  // namespace secret_file_test
}  // namespace equipoise

#include "client/connection/private_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace private_folder_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PrivateFolderTest : public ::testing::Test {
 protected:
  PrivateFolderTest() { use(temporary_.path()); }
  ~PrivateFolderTest() override {
    if (before_.empty()) {
      ::unsetenv("TMPDIR");
    } else {
      ::setenv("TMPDIR", before_.c_str(), 1);
    }
  }
  static void use(const std::filesystem::path& folder) { ::setenv("TMPDIR", folder.c_str(), 1); }
  static std::string refusal() {
    try {
      const PrivateFolder folder;
    } catch (const std::invalid_argument& refused) {
      return refused.what();
    }
    return "no refusal";
  }
  bool is_empty() const { return std::filesystem::is_empty(temporary_.path()); }

  const std::string before_ = std::getenv("TMPDIR") == nullptr ? "" : std::getenv("TMPDIR");
  const TempFolder temporary_;
};

TEST_F(PrivateFolderTest, IsGoneAtTheEnd) {
  {
    const PrivateFolder folder;
    std::ofstream(folder.path() / "file") << "x";
    EXPECT_EQ(folder.path().parent_path(), temporary_.path());
    EXPECT_EQ(std::filesystem::status(folder.path()).permissions(), std::filesystem::perms::owner_all);
    EXPECT_THAT(folder.mpirun_settings(), ElementsAre("OMPI_MCA_orte_tmpdir_base=" + folder.path().string(),
                                                      "PRTE_MCA_prte_tmpdir_base=" + folder.path().string()));
  }
  EXPECT_TRUE(is_empty());
}

TEST_F(PrivateFolderTest, WhereItCannotBeMadeTmpdirIsNamed) {
  use(temporary_.path() / "none");
  EXPECT_THAT(refusal(), HasSubstr("TMPDIR (" + (temporary_.path() / "none").string() + ") takes no new folder"));
  std::ofstream(temporary_.path() / "file") << "x";
  use(temporary_.path() / "file");
  EXPECT_THAT(refusal(), HasSubstr("set TMPDIR to another folder"));
}

// After kill -9 nobody had removed it.
TEST_F(PrivateFolderTest, OneOfAKilledProcessGoesWithTheNext) {
  const pid_t child = ::fork();
  if (child == 0) {
    const PrivateFolder left;
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(is_empty());
  std::filesystem::create_directory(temporary_.path() / "equipoise-abcdef");  // no lock: none of ours, or a kept log
  {
    const PrivateFolder first;
    const PrivateFolder second;
    EXPECT_TRUE(std::filesystem::exists(first.path()));
  }
  EXPECT_TRUE(std::filesystem::remove(temporary_.path() / "equipoise-abcdef"));
  EXPECT_TRUE(is_empty());
}

TEST_F(PrivateFolderTest, LogsArePutWherePeopleFindThem) {
  const std::filesystem::path target = temporary_.path() / "out/failure";
  {
    PrivateFolder folder;
    std::ofstream(folder.path() / "stderr.log") << "why";
    EXPECT_EQ(folder.keep_logs(target, {folder.path() / "stderr.log", folder.path() / "none"}), target);
  }
  EXPECT_TRUE(std::filesystem::exists(target / "stderr.log"));
  std::filesystem::remove_all(temporary_.path() / "out");
  EXPECT_TRUE(is_empty());
  std::ofstream(temporary_.path() / "out") << "no folder";
  std::filesystem::path kept;
  {
    PrivateFolder folder;
    kept = folder.keep_logs(target, {});
  }
  EXPECT_TRUE(std::filesystem::exists(kept));
}

}  // namespace private_folder_test
}  // namespace equipoise

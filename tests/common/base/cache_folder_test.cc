#include "common/base/cache_folder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace cache_folder_test {

// The three variables as they were, when the test ends.
class CacheFolder : public ::testing::Test {
 protected:
  static constexpr const char* kNames[] = {"EQUIPOISE_CACHE", "XDG_CACHE_HOME", "HOME"};

  void SetUp() override {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      before_.emplace_back(value == nullptr ? "" : value);
      unsetenv(name);
    }
  }
  void TearDown() override {
    for (std::size_t i = 0; i < before_.size(); ++i) {
      if (before_[i].empty()) {
        unsetenv(kNames[i]);
      } else {
        setenv(kNames[i], before_[i].c_str(), 1);
      }
    }
  }
  static void set(const char* name, const char* value) { setenv(name, value, 1); }

 private:
  std::vector<std::string> before_;
};

TEST_F(CacheFolder, IsTheFirstThatIsSet) {
  EXPECT_EQ(cache_folder(), "");
  set("HOME", "/home/ada");
  EXPECT_EQ(cache_folder(), "/home/ada/.cache/equipoise");
  set("XDG_CACHE_HOME", "/var/cache/ada");
  EXPECT_EQ(cache_folder(), "/var/cache/ada/equipoise");
  set("EQUIPOISE_CACHE", "/fast/disk");
  EXPECT_EQ(cache_folder(), "/fast/disk");
}

TEST_F(CacheFolder, PassesOverWhatIsEmptyOrRelative) {
  set("HOME", "/home/ada");
  set("XDG_CACHE_HOME", "cache");
  set("EQUIPOISE_CACHE", "");
  EXPECT_EQ(cache_folder(), "/home/ada/.cache/equipoise");
}

// It would be another folder for each process.
TEST_F(CacheFolder, IsNotARelativeOneOfOurOwn) {
  set("HOME", "/home/ada");
  for (const char* relative : {"cache", "./cache", "~/cache", "../cache"}) {
    set("EQUIPOISE_CACHE", relative);
    EXPECT_EQ(refusal_of([] { cache_folder(); }), "EQUIPOISE_CACHE is \"" + std::string(relative) +
                                                      "\", expected the absolute path of a folder, such as "
                                                      "/var/tmp/equipoise");
  }
}

TEST_F(CacheFolder, NamesAnEntryByItsKindAndKey) {
  Digest key{};
  key[0] = std::byte{0xab};
  const std::string hex = "ab" + std::string(62, '0');
  EXPECT_EQ(cache_entry("/cache", "reference", key), "/cache/reference/" + hex);
  EXPECT_EQ(cache_entry("/cache", "tokens", key, "idx"), "/cache/tokens/" + hex + ".idx");
}

TEST_F(CacheFolder, MakesAllFoldersOfAnEntryTwice) {
  const TempFolder temp;
  const auto entry = cache_entry(temp.path() / "a" / "b", "reference", Digest{});
  make_cache_place(entry);
  make_cache_place(entry);
  EXPECT_TRUE(std::filesystem::is_directory(entry.parent_path()));
  EXPECT_EQ(std::filesystem::status(entry.parent_path()).permissions(), std::filesystem::perms::owner_all);
}

TEST_F(CacheFolder, SaysWhichFolderCannotBeMade) {
  const TempFolder temp;
  std::ofstream(temp.path() / "file") << "not a folder";
  try {
    make_cache_place(cache_entry(temp.path() / "file", "reference", Digest{}));
    FAIL() << "a file was taken for a folder";
  } catch (const std::invalid_argument& refused) {
    EXPECT_NE(std::string(refused.what()).find((temp.path() / "file").string()), std::string::npos) << refused.what();
  }
}

}  // namespace cache_folder_test
}  // namespace equipoise

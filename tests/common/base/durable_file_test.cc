#include "common/base/durable_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
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
  {
    DurableFile file(folder / "x");
    std::filesystem::create_directories(folder / "x" / "y");
    EXPECT_THAT([&] { file.commit(); }, ThrowsMessage<std::runtime_error>(HasSubstr("renamed")));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

// What kill -9 leaves, and what looks like it and is somebody's.
TEST(DurableFile, WhatKilledProcessesLeftOfItIsRemovedAndNothingElse) {
  const TempFolder folder;
  const auto names = [&] {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      found.insert(entry.path().filename().string());
    return found;
  };
  folder.write(".x.partial-1", "half");
  folder.write(".x.partial-4294967295", "");
  std::filesystem::create_directories(folder / ".x.partial-7" / "part");
  std::set<std::string> others = {".x.partial-", ".x.partial-1a", ".x.partial-12345678901",
                                  "x.partial-1", ".x.partial",    ".y.partial-1",
                                  ".partial-1",  ".xx.partial-1", ".x.partial-1.partial-2"};
  for (const std::string& name : others) folder.write(name, "of a user");
  std::filesystem::create_symlink("x.partial-1", folder / ".x.partial-2");
  ASSERT_EQ(::mkfifo((folder / ".x.partial-3").c_str(), 0600), 0);
  std::filesystem::create_hard_link(folder / ".y.partial-1", folder / ".x.partial-5");
  others.merge(std::set<std::string>{".x.partial-2", ".x.partial-3", ".x.partial-5"});
  remove_abandoned(folder / "x");
  EXPECT_EQ(names(), others);
  remove_abandoned(folder / "absent" / "x");
}

TEST(DurableFile, WhatAProcessIsWritingStays) {
  const TempFolder folder;
  DurableFile file(folder / "x");
  file.write("text");
  DurableFolder whole(folder / "y");
  std::ofstream(whole / "part") << "text";
  remove_abandoned(folder.path(), [](std::string_view name) { return name == "x" || name == "y"; });
  file.commit();
  whole.commit();
  EXPECT_EQ(read_file(folder / "x"), "text");
  EXPECT_EQ(read_file(folder / "y" / "part"), "text");
}

// In folders that nobody owns, as the cache.
TEST(DurableFile, WhatWasLeftOfItADayAgoIsRemovedWithTheNextOne) {
  const TempFolder folder;
  const auto young = folder.write(".x.partial-1", "half"), old = folder.write(".x.partial-2", "half");
  std::filesystem::create_directory(folder / ".y.partial-3");
  const auto aged = std::filesystem::last_write_time(young) - std::chrono::hours(25);
  std::filesystem::last_write_time(old, aged);
  std::filesystem::last_write_time(folder / ".y.partial-3", aged);
  write_durably(folder / "x", "text");
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_TRUE(std::filesystem::exists(young));
  { const DurableFolder other(folder / "y"); }
  EXPECT_FALSE(std::filesystem::exists(folder / ".y.partial-3"));
}

// As root a rename puts a regular file in the place of /dev/full, of which a FIFO is the harmless kind.
TEST(DurableFile, RefusesWhatIsNoFileAndLeavesIt) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::filesystem::create_directory(folder / "data");
  std::filesystem::create_symlink("pipe", folder / "link");
  std::filesystem::create_symlink("circle", folder / "circle");
  const auto refuses = [&](const std::string& name, const std::string& why) {
    EXPECT_THAT([&] { write_durably(folder / name, "text"); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("/" + name + " is " + why)));
  };
  refuses("pipe", "a FIFO");
  refuses("link", "a FIFO");
  refuses("data", "a folder");
  refuses("circle", "a link that leads back to itself");
  EXPECT_TRUE(std::filesystem::is_fifo(folder / "pipe"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 4);
}

TEST(DurableFile, WritesWhereALinkLeads) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "data");
  const auto old = folder.write("data/old", "old");
  std::filesystem::create_symlink("data/old", folder / "link");
  std::filesystem::create_symlink("link", folder / "link of link");
  std::filesystem::create_symlink(folder / "data" / "new", folder / "dangling");
  write_durably(folder / "link of link", "text");
  write_durably(folder / "dangling", "other text");
  EXPECT_EQ(read_file(old), "text");
  EXPECT_EQ(read_file(folder / "data/new"), "other text");
  for (const char* link : {"link", "link of link", "dangling"}) {
    EXPECT_TRUE(std::filesystem::is_symlink(folder / link)) << link;
  }
}

// A new file in the place of the one that standard output goes to would be lost to whoever redirected it.
TEST(DurableFile, RefusesTheNameOfAnOpenFile) {
  const TempFolder folder;
  const auto path = folder.write("redirected", "old");
  const int descriptor = ::open(path.c_str(), O_WRONLY);
  ASSERT_GE(descriptor, 0);
  const std::string number = std::to_string(descriptor);
  std::filesystem::create_symlink("/dev/fd/" + number, folder / "link");
  for (const std::string& name :
       {"/dev/fd/" + number, "/proc/self/fd/" + number, "/proc/" + std::to_string(::getpid()) + "/fd/" + number,
        (folder / "link").string()}) {
    EXPECT_THAT([&] { write_durably(name, "text"); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(name + " is the name of an open file")));
  }
  EXPECT_EQ(read_file(path), "old");
  ::close(descriptor);
}

TEST(DurableFile, HasOneDestinationForAllNamesOfAFile) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "a");
  std::filesystem::create_symlink("a/new", folder / "link");
  std::filesystem::create_symlink("a", folder / "b");
  const auto wanted = destination_of(folder / "a" / "new");
  for (const char* name : {"link", "b/new", "a/./new", "a/../b/new", "a/new/"}) {
    EXPECT_EQ(destination_of(folder / name), wanted) << name;
  }
  EXPECT_NE(destination_of(folder / "new"), wanted);
}

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

using Earlier = DurableFolder::Earlier;

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

TEST(DurableFolder, StandsAtItsPlaceOnceItIsWhole) {
  const TempFolder temp;
  {
    DurableFolder folder(temp / "model/");
    write(folder / "config.json", "{}");
    EXPECT_FALSE(fs::exists(temp / "model"));
    folder.commit();
    EXPECT_EQ(read_file(temp / "model/config.json"), "{}");
  }
  EXPECT_THAT(names_in(temp.path()), ElementsAre("model"));
}

TEST(DurableFolder, LeavesNothingBehindWithoutCommit) {
  const TempFolder temp;
  write(DurableFolder(temp / "model") / "config.json", "half");
  EXPECT_TRUE(fs::is_empty(temp.path()));
}

TEST(DurableFolder, RefusesWhatIsThereAlready) {
  const TempFolder temp;
  temp.write("file", "text");
  fs::create_directory(temp / "folder");
  fs::create_symlink("nowhere", temp / "link");
  for (const char* name : {"file", "folder", "folder/", "link"}) {
    EXPECT_THAT([&] { DurableFolder(temp / name); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("exists: choose a folder that does not")));
  }
}

// Another program may make the folder meanwhile: its files are not ours to remove.
TEST(DurableFolder, LeavesAloneWhatCameMeanwhile) {
  const TempFolder temp;
  {
    DurableFolder folder(temp / "model");
    write(folder / "x", "new");
    fs::create_directory(temp / "model");
    temp.write("model/theirs", "text");
    EXPECT_THAT([&] { folder.commit(); }, ThrowsMessage<std::runtime_error>(HasSubstr("renamed into place")));
  }
  EXPECT_THAT(names_in(temp / "model"), ElementsAre("theirs"));
  EXPECT_THAT(names_in(temp.path()), ElementsAre("model"));
}

TEST(DurableFolder, NamesAParentThatIsNotThere) {
  const TempFolder temp;
  EXPECT_THAT([&] { DurableFolder(temp / "absent" / "model"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("absent/model: No such file or directory")));
}

TEST(DurableFolder, ReplacesAnEarlierFolderWhole) {
  const TempFolder temp;
  for (const char* name : {"first", "second"}) {
    DurableFolder folder(temp / "report", Earlier::kReplaced);
    write(folder / name, name);
    folder.commit();
  }
  EXPECT_THAT(names_in(temp / "report"), ElementsAre("second"));
  EXPECT_THAT(names_in(temp.path()), ElementsAre("report"));
}

TEST(DurableFolder, MayBecomeOneOfItsParts) {
  const TempFolder temp;
  {
    DurableFolder folder(temp / "model");
    write(folder / "stdout.log", "said");
    fs::create_directory(folder / "merged");
    write(folder / "merged/config.json", "{}");
    folder.commit("merged");
  }
  EXPECT_THAT(names_in(temp / "model"), ElementsAre("config.json"));
  EXPECT_THAT(names_in(temp.path()), ElementsAre("model"));
}

}  // namespace durable_file_test
}  // namespace equipoise

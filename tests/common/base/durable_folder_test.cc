#include "common/base/durable_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace durable_folder_test {

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

}  // namespace durable_folder_test
}  // namespace equipoise

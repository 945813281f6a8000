#include "experiments/opinions/experiment_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace experiment_folder_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Fingerprint, DiffersWhereAnythingDiffers) {
  const TempFolder folder;
  const auto file = folder.write("train.jsonl", "one\n");
  const auto text = [&](const std::string& a, const std::string& b) {
    return Fingerprint().add("a", a).add("b", b).add_file("train", file).text();
  };
  const std::string first = text("x", "yz");
  EXPECT_EQ(text("x", "yz"), first);
  EXPECT_NE(text("xy", "z"), first);
  EXPECT_NE(Fingerprint().add("a", "x").text(), Fingerprint().add("b", "x").text());
  folder.write("train.jsonl", "two\n");
  EXPECT_NE(text("x", "yz"), first);
}

// It marks what is finished in folders that users have. Of Python's hashlib.
TEST(Fingerprint, StaysWhatItWas) {
  const TempFolder folder;
  const auto file = folder.write("train.jsonl", "one\n");
  EXPECT_EQ(Fingerprint().add("a", "x").add("b", "yz").add_file("train", file).text(),
            "f53f59fa7f6ca5857124e243f82fe6602cf7b30b3943161c8986060f4eb6f13c");
}

TEST(Fingerprint, OfAModelReadsWeightsSettingsAndTokenizer) {
  const TempFolder folder;
  const auto model = folder.path() / "model";
  for (const char* name : {"a.safetensors", "b.safetensors", "config.json", "tokenizer.json"}) {
    folder.write(std::filesystem::path("model") / name, name);
  }
  const auto text = [&] { return Fingerprint().add_model("model", model).text(); };
  std::string before = text();
  for (const char* name : {"a.safetensors", "b.safetensors", "config.json", "tokenizer.json"}) {
    folder.write(std::filesystem::path("model") / name, "changed");
    EXPECT_NE(text(), before) << name;
    before = text();
  }
  std::filesystem::remove(model / "config.json");
  EXPECT_THAT(text, ThrowsMessage<std::invalid_argument>(HasSubstr("config.json")));
  EXPECT_THAT([&] { Fingerprint().add_model("model", folder.path() / "nowhere"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("nowhere")));
}

TEST(ExperimentFolder, GoesOnInAFolderOfItsOwnOnly) {
  const TempFolder folder;
  const auto place = folder.path() / "new" / "opinions";
  EXPECT_EQ(ExperimentFolder(place).run(7, "gr-dpo"), place / "runs" / "seed-7" / "gr-dpo");
  folder.write("new/opinions/runs/seed-7/gr-dpo/metrics.jsonl", "");
  EXPECT_NO_THROW(ExperimentFolder{place});
  folder.write("new/opinions/notes.txt", "");
  EXPECT_THAT([&] { ExperimentFolder{place}; }, ThrowsMessage<std::invalid_argument>(HasSubstr("\"notes.txt\"")));
  EXPECT_THAT([&] { ExperimentFolder{place / "notes.txt"}; },
              ThrowsMessage<std::invalid_argument>(HasSubstr("cannot be made a folder")));
}

TEST(ExperimentFolder, KnowsWhatIsFinishedByItsFingerprint) {
  const TempFolder folder;
  EXPECT_FALSE(is_finished(folder.path(), "abc"));
  mark_finished(folder.path(), "abc");
  EXPECT_TRUE(is_finished(folder.path(), "abc"));
  EXPECT_FALSE(is_finished(folder.path(), "ab"));
  unmark_finished(folder.path());
  EXPECT_FALSE(is_finished(folder.path(), "abc"));
}

}  // namespace experiment_folder_test
}  // namespace equipoise::reproduce

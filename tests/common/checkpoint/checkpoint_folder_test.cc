#include "common/checkpoint/checkpoint_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace checkpoint_folder_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

class CheckpointFolderTest : public ::testing::Test {
 protected:
  // A whole checkpoint of two files.
  void put(std::int64_t step) const {
    CheckpointManifest manifest;
    manifest.step = step;
    manifest.training = manifest.policy = CheckpointJson::object();
    const std::string folder = "checkpoints/step-" + std::to_string(step) + "/";
    for (const auto& [name, content] : {std::pair<std::string, std::string>("model.safetensors", "parameters"),
                                        {"optimizer.safetensors", std::string(100000, 'x') + std::to_string(step)}}) {
      temp_.write(folder + name, content);
      manifest.files.push_back(
          {.name = name, .bytes = std::ssize(content), .sha256 = sha256_of(std::as_bytes(std::span(content)))});
    }
    temp_.write(folder + "manifest.json", manifest_text(manifest));
  }

  fs::path folder(std::int64_t step) const { return checkpoint_folder(temp_.path(), step); }
  std::vector<std::int64_t> steps() const {
    std::vector<std::int64_t> steps;
    for (const CheckpointEntry& entry : list_checkpoints(temp_.path())) steps.push_back(entry.step);
    return steps;
  }

  const TempFolder temp_;
};

TEST_F(CheckpointFolderTest, ListsWhatIsCalledAsACheckpointNewestFirst) {
  EXPECT_THAT(steps(), IsEmpty());
  for (const std::int64_t step : {9, 120, 30}) put(step);
  for (const char* other : {".step-40.1", "step-50.abandoned", "step-", "step-x", "step-07", "step--1", "step-1 ",
                            "step-99999999999999999999", "steps"}) {
    fs::create_directories(temp_.path() / "checkpoints" / other);
  }
  EXPECT_THAT(steps(), ElementsAre(120, 30, 9));
}

TEST_F(CheckpointFolderTest, ACheckpointThatIsTakenAsAModelHasTheFilesThatItWasMadeWith) {
  put(7);
  EXPECT_EQ(fault_of_model(folder(7)), "");
  fs::remove(folder(7) / "optimizer.safetensors");
  EXPECT_EQ(fault_of_model(folder(7)), "") << "a model needs none";
  temp_.write("checkpoints/step-7/model.safetensors", "parameterz");
  EXPECT_THAT(fault_of_model(folder(7)), HasSubstr("model.safetensors"));
  fs::rename(folder(7), temp_ / "copy");
  EXPECT_THAT(fault_of_model(temp_ / "copy"), HasSubstr("model.safetensors")) << "whatever it is called";
  temp_.write("copy/manifest.json", "{\"of\": \"another program\"}");
  EXPECT_EQ(fault_of_model(temp_ / "copy"), "");
  fs::rename(temp_ / "copy", folder(7));
  EXPECT_THAT(fault_of_model(folder(7)), HasSubstr("manifest.json"));
  fs::remove(folder(7) / "manifest.json");
  EXPECT_EQ(fault_of_model(folder(7)), "") << "a model of somebody";
}

TEST_F(CheckpointFolderTest, FindsEveryKindOfDamage) {
  put(7);
  EXPECT_EQ(fault_of_checkpoint(folder(7)), "");
  const fs::path model = folder(7) / "model.safetensors";
  const std::string content = read_file(model);
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    std::string changed = content;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    temp_.write("checkpoints/step-7/model.safetensors", changed);
    EXPECT_THAT(fault_of_checkpoint(folder(7)), HasSubstr("model.safetensors: is not what was written"));
  }
  temp_.write("checkpoints/step-7/model.safetensors", content + "more");
  EXPECT_THAT(fault_of_checkpoint(folder(7)), HasSubstr("has 14 bytes, expected 10"));
  fs::remove(model);
  EXPECT_THAT(fault_of_checkpoint(folder(7)), HasSubstr("model.safetensors: No such file"));
  ASSERT_EQ(::mkfifo(model.c_str(), 0600), 0);
  EXPECT_THAT(fault_of_checkpoint(folder(7)), HasSubstr("is no regular file"));
  fs::remove(model);
  fs::create_directory(model);
  EXPECT_THAT(fault_of_checkpoint(folder(7)), HasSubstr("is no regular file"));
}

TEST_F(CheckpointFolderTest, FindsACheckpointUnderTheNameOfAnother) {
  put(7);
  put(8);
  fs::remove_all(folder(8));
  fs::rename(folder(7), folder(8));
  EXPECT_THAT(fault_of_checkpoint(folder(8)), HasSubstr("holds the checkpoint of step 7"));
}

TEST_F(CheckpointFolderTest, SaysHowManyBytesItHasRead) {
  put(7);
  std::int64_t bytes = 0;
  EXPECT_EQ(fault_of_checkpoint(folder(7), [&](std::int64_t more) { bytes += more; }), "");
  EXPECT_EQ(bytes, read_manifest(folder(7)).bytes());
}

TEST_F(CheckpointFolderTest, KeepsTheNewest) {
  for (const std::int64_t step : {10, 20, 30, 40}) put(step);
  EXPECT_THAT(prune_checkpoints(temp_.path(), 5), IsEmpty());
  EXPECT_THAT(prune_checkpoints(temp_.path(), 2, 40), ElementsAre(20, 10));
  EXPECT_THAT(steps(), ElementsAre(40, 30));
  EXPECT_THAT(prune_checkpoints(temp_.path(), 2, 40), IsEmpty());
}

TEST_F(CheckpointFolderTest, NeverRemovesTheLastWholeOne) {
  for (const std::int64_t step : {10, 20, 30, 40}) put(step);
  for (const std::int64_t step : {30, 40}) fs::remove(folder(step) / "model.safetensors");
  EXPECT_THAT(prune_checkpoints(temp_.path(), 2), ElementsAre(10));
  EXPECT_THAT(steps(), ElementsAre(40, 30, 20));
}

TEST_F(CheckpointFolderTest, RemovesWhatWasLeftBehind) {
  put(30);
  put(20);
  for (const char* left : {".step-10.1", ".step-25.3", "step-29.abandoned", ".step-31.2", "step-31.abandoned"}) {
    fs::create_directories(temp_.path() / "checkpoints" / left);
  }
  temp_.write("checkpoints/notes.txt", "mine");
  prune_checkpoints(temp_.path(), 2, 30);
  EXPECT_FALSE(fs::exists(temp_ / "checkpoints/.step-10.1"));
  EXPECT_FALSE(fs::exists(temp_ / "checkpoints/.step-25.3"));
  EXPECT_FALSE(fs::exists(temp_ / "checkpoints/step-29.abandoned"));
  EXPECT_TRUE(fs::exists(temp_ / "checkpoints/.step-31.2"));
  EXPECT_TRUE(fs::exists(temp_ / "checkpoints/step-31.abandoned"));
  EXPECT_TRUE(fs::exists(temp_ / "checkpoints/notes.txt"));
}

TEST_F(CheckpointFolderTest, AbandonsLaterSteps) {
  for (const std::int64_t step : {10, 20, 30}) put(step);
  fs::create_directories(temp_ / "checkpoints/step-30.abandoned");
  abandon_checkpoints_after(temp_.path(), 10);
  EXPECT_THAT(steps(), ElementsAre(10));
  EXPECT_TRUE(fs::exists(temp_ / "checkpoints/step-30.abandoned/manifest.json"));
  EXPECT_TRUE(fs::exists(temp_ / "checkpoints/step-20.abandoned"));
}

}  // namespace checkpoint_folder_test
}  // namespace equipoise

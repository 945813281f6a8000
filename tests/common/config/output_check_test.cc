#include "common/config/output_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace output_check_test {

using ::testing::HasSubstr;

namespace fs = std::filesystem;

class OutputCheckTest : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) const {
    fs::create_directories((temp_ / name).parent_path());
    temp_.write(name, text);
  }
  OutputCheckTest() {
    put("data/train.jsonl", "");
    put("model/config.json", "");
    config_.model.path = temp_ / "model";
    config_.data.train = temp_ / "data/train.jsonl";
  }
  std::string refusal(const fs::path& output) {
    config_.output = output;
    try {
      check_output_place(config_);
      check_output_free(config_);
    } catch (const std::invalid_argument& refused) {
      return refused.what();
    }
    return "no refusal";
  }

  const TempFolder temp_;
  JobConfig config_;
};

TEST_F(OutputCheckTest, AFolderOfItsOwnIsRightAlsoBesideTheData) {
  EXPECT_EQ(refusal(temp_ / "out"), "no refusal");
  EXPECT_EQ(refusal(temp_ / "data/out"), "no refusal");
  EXPECT_EQ(refusal(temp_ / "model-2"), "no refusal");
  EXPECT_EQ(refusal(temp_ / "a/b/c"), "no refusal");
}

TEST_F(OutputCheckTest, AJobGoesOnWhereItsCheckpointIs) {
  put("out/metrics.jsonl", "{}\n");
  put("out/checkpoints/step-5/manifest.json", "{}");
  const std::string hint = "--output names another folder, --resume goes on from its newest checkpoint";
  EXPECT_THAT(refusal(temp_ / "out"), HasSubstr(hint));
  for (const fs::path& checkpoint : {fs::path("latest"), temp_ / "out/checkpoints/step-5"}) {
    config_.training.resume_from_checkpoint = checkpoint;
    EXPECT_EQ(refusal(temp_ / "out"), "no refusal") << checkpoint;
  }
  config_.training.resume_from_checkpoint = temp_ / "other/checkpoints/step-5";
  EXPECT_THAT(refusal(temp_ / "out"), HasSubstr(hint));
}

// A command that is repeated until the run is done was refused for ever where the first run failed early.
TEST_F(OutputCheckTest, WithoutACheckpointAnUnfinishedRunBeginsAgain) {
  config_.training.resume_from_checkpoint = "latest";
  put("out/metrics.jsonl", "{}\n");
  EXPECT_THAT(refusal(temp_ / "out"), HasSubstr("holds a run already (metrics.jsonl)"));
  put("out/.equipoise-run", "job-1a2b3c4d\n");
  EXPECT_EQ(refusal(temp_ / "out"), "no refusal");
  fs::create_directory(temp_ / "out/checkpoints");
  EXPECT_EQ(refusal(temp_ / "out"), "no refusal");
  put("out/final/config.json", "{}");
  EXPECT_THAT(refusal(temp_ / "out"), HasSubstr("holds a run already (metrics.jsonl)"));
}

TEST_F(OutputCheckTest, TheRootAndTheSystemsFoldersAreNoOutput) {
  for (const char* path : {"/", "//", "/tmp/..", "/./"}) EXPECT_THAT(refusal(path), HasSubstr("is the root")) << path;
  fs::create_directory_symlink("/", temp_ / "root");
  EXPECT_THAT(refusal(temp_ / "root"), HasSubstr("is the root"));
  for (const char* path : {"/proc", "/proc/self/x", "/sys/x", "/dev/shm/../x"}) {
    EXPECT_THAT(refusal(path), HasSubstr("which holds no files of users")) << path;
  }
}

TEST_F(OutputCheckTest, AStateFolderIsNoOutput) {
  put("state/coordinator.sqlite3", "");
  for (const char* path : {"state", "state/logs", "state/logs/../x/y"}) {
    EXPECT_THAT(refusal(temp_ / path), HasSubstr("the state folder of a coordinator")) << path;
  }
}

TEST_F(OutputCheckTest, WhatTheJobReadsIsNoOutput) {
  EXPECT_THAT(refusal(temp_ / "model"), HasSubstr("is in the folder of model.path"));
  EXPECT_THAT(refusal(temp_ / "model/run"), HasSubstr("is in the folder of model.path"));
  fs::create_directory_symlink(temp_ / "model", temp_ / "link");
  EXPECT_THAT(refusal(temp_ / "link/run"), HasSubstr("is in the folder of model.path"));
  EXPECT_THAT(refusal(temp_ / "data"), HasSubstr("is in the folder of data.train"));
  config_.data.validation = temp_ / "data";  // a folder: all that is in it
  EXPECT_THAT(refusal(temp_ / "data/out"), HasSubstr("is in the folder of data.validation"));
  config_.data.validation.reset();
  config_.model.adapter = temp_ / "adapter";
  EXPECT_THAT(refusal(temp_ / "adapter"), HasSubstr("is in the folder of model.adapter"));
  config_.model.path = temp_ / "run/final";
  EXPECT_THAT(refusal(temp_ / "run"), HasSubstr("would replace model.path"));
}

TEST_F(OutputCheckTest, ARunIsReplacedOnlyIfThatIsWanted) {
  put("run/metrics.jsonl", "");
  EXPECT_THAT(refusal(temp_ / "run"), HasSubstr("holds a run already (metrics.jsonl): --overwrite"));
  config_.overwrite = true;
  EXPECT_EQ(refusal(temp_ / "run"), "no refusal");
}

// A coordinator took such a name for the root of the file system.
TEST_F(OutputCheckTest, ANameThatTheSystemRefusesIsToldAsThat) {
  const std::string long_name(300, 'a');
  EXPECT_THAT(refusal(temp_ / long_name), HasSubstr("cannot be made: File name too long"));
  EXPECT_THAT(refusal(temp_ / (long_name + "/out")), HasSubstr("cannot be made: File name too long"));
  fs::create_symlink("circle", temp_ / "circle");
  EXPECT_THAT(refusal(temp_ / "circle/out"), HasSubstr("cannot be made: Too many levels of symbolic links"));
}

TEST_F(OutputCheckTest, WhatIsNoFolderIsNoOutput) {
  put("file", "");
  EXPECT_THAT(refusal(temp_ / "file/out"), HasSubstr("is not a folder"));
}

}  // namespace output_check_test
}  // namespace equipoise

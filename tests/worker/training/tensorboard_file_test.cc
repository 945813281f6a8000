#include "worker/training/tensorboard_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

// That TensorBoard reads what is written: tests/integration/tensorboard_test.py.
namespace equipoise {
namespace tensorboard_file_test {

namespace fs = std::filesystem;

std::vector<fs::path> event_files(const TempFolder& output) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(output / "tensorboard")) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

TEST(TensorboardFile, ComputesTheCheckOfTheStandardsExample) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);  // RFC 3720
  EXPECT_EQ(crc32c(""), 0U);
}

// Made with tensorboard 2.21: Event(wall_time=1.5, step=300, summary=Summary(value=[Summary.Value(tag="train/loss",
// simple_value=0.5)])).SerializeToString().
TEST(TensorboardFile, WritesTheBytesOfTensorBoardsOwnMessage) {
  const std::string event = event_of_line({{"step", 300}, {"loss", 0.5}}, 1.5);
  const std::string expected("\x09\0\0\0\0\0\0\xf8\x3f\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0atrain/loss\x15\0\0\0\x3f",
                             33);
  EXPECT_EQ(event, expected);
}

TEST(TensorboardFile, NamesNumbersAsTheHuggingFaceTrainerDoes) {
  const std::string evaluation = event_of_line({{"split", "validation/b"},
                                                {"step", 1},
                                                {"eval_b_loss", 1.0},
                                                {"worst_group", "India"},
                                                {"worst_group_loss", 1.0},
                                                {"group_loss", {{"India", 1.0}}}},
                                               0);
  EXPECT_NE(evaluation.find("eval/b_loss"), std::string::npos);
  EXPECT_NE(evaluation.find("eval/b_worst_group_loss"), std::string::npos);
  EXPECT_EQ(evaluation.find("India"), std::string::npos) << "a text, and an object that has a flat form beside it";
  const std::string test = event_of_line({{"split", "test"}, {"step", 1}, {"group_reward", {{"India", 1.0}}}}, 0);
  EXPECT_NE(test.find("test/group_reward/India"), std::string::npos);
}

TEST(TensorboardFile, BeginsWithTheKeptLinesWhereNoFileHasThem) {
  const TempFolder output;
  const std::string kept = "{\"step\":1,\"loss\":null}\n{\"step\":2,\"loss\":0.25}\n";
  output.write("metrics.jsonl", kept + "{\"step\":3,\"loss\":0.125}\n");
  const TensorboardFile::Beginning beginning{.steps_done = 2, .kept_bytes = std::ssize(kept)};
  { const TensorboardFile first(output.path(), beginning); }
  { const TensorboardFile second(output.path(), beginning); }
  const std::vector<fs::path> files = event_files(output);
  ASSERT_EQ(files.size(), 2U);
  const auto count = [](const std::string& text) {
    std::size_t tags = 0;
    for (std::size_t at = 0; (at = text.find("train/loss", at)) != std::string::npos; ++at) ++tags;
    return tags;
  };
  EXPECT_EQ(count(read_file(files[0])), 2U);
  EXPECT_EQ(count(read_file(files[1])), 0U) << "the first has them";
}

TEST(TensorboardFile, NamesEachAttemptsFileAfterTheOnesBefore) {
  const TempFolder output;
  fs::create_directories(output / "tensorboard");
  const std::string ahead = "events.out.tfevents.9000000000.host.1";  // of a clock that was wrong
  output.write("tensorboard/" + ahead, "");
  const TensorboardFile file(output.path(), {});
  const std::vector<fs::path> files = event_files(output);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].filename(), ahead);
  EXPECT_TRUE(files[1].filename().string().starts_with("events.out.tfevents.9000000001."));
}

}  // namespace tensorboard_file_test
}  // namespace equipoise

#include "worker/data/data_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/owned_pair.h"

namespace equipoise {
namespace data_report_test {

using testing::ElementsAre;

// Three pairs of "a", of which two are also of "b"; of each group some were left out or cut.
EncodedDataset data() {
  const auto pair = [](std::vector<Membership> memberships) {
    return OwnedPair{
        .prompt_ids = {1, 2}, .chosen_ids = {3}, .rejected_ids = {4, 5}, .memberships = std::move(memberships)};
  };
  EncodedDataset dataset{.pairs = encoded({pair({{0, 1}}), pair({{0, 1}, {1, 0.5}}), pair({{0, 1}, {1, 0.5}})}),
                         .group_names = {"a", "b", "c"},
                         .pair_count_K = {3, 1, 0},
                         .dropped_count_K = {1, 3, 0},
                         .shortened_count_K = {2, 0, 0},
                         .merged_prompt_count_K = {2, 1, 0},
                         .repeated_prompt_count_K = {},
                         .num_shortened = 2,
                         .num_merged_prompts = 2};
  for (const std::uint32_t group : {0, 1, 1, 1}) dataset.pairs.add_dropped(std::vector<Membership>{{group, 1}}, {});
  return dataset;
}

FileReading reading(const std::string& file = "t.jsonl") {
  return {.file = file, .from_cache = true, .seconds = std::chrono::milliseconds(250), .counts = count_file(data())};
}

TEST(DataReport, SaysHowAFileWasRead) {
  EXPECT_EQ(reading_line(reading()), "t.jsonl: 3 pairs, 15 tokens, read from the cache in 0.2 s");
}

TEST(DataReport, NamesTheGroupsThatLostMostFirst) {
  EXPECT_THAT(loss_lines(reading(), 64, 10),
              ElementsAre("t.jsonl: group \"b\": 3 of 5 pairs are left out and 0 are cut to data.max_length = 64",
                          "t.jsonl: group \"a\": 1 of 4 pairs are left out and 2 are cut to data.max_length = 64"));
  EXPECT_EQ(loss_lines(reading(), 64, 1).size(), 1U);
}

TEST(DataReport, SaysOnceWhatPromptsLost) {
  EXPECT_THAT(
      prompt_lines(reading()),
      ElementsAre(testing::StartsWith("t.jsonl: 2 of 3 pairs (2 of group \"a\"): the prompt's end makes other")));
  FileReading more = reading();
  more.counts.merged = 0;
  EXPECT_THAT(prompt_lines(more), testing::IsEmpty());
  more.counts.repeated = 3;
  more.counts.repeated_K = {1, 2, 0};
  EXPECT_THAT(prompt_lines(more),
              ElementsAre(testing::StartsWith("t.jsonl: 3 of 3 pairs (2 of group \"b\"): the answers begin with")));
}

TEST(DataReport, CountsEachGroup) {
  const TempFolder folder;
  write_data_report(folder / "data.json", {reading()}, {});
  const auto json = nlohmann::json::parse(read_file(folder / "data.json"));
  EXPECT_EQ(json["train"]["pairs"], 3);
  EXPECT_EQ(json["train"]["dropped"], 4);
  EXPECT_EQ(json["train"]["tokens"], 15);
  EXPECT_EQ(json["train"]["from_cache"], true);
  EXPECT_EQ(
      json["train"]["groups"]["b"],
      nlohmann::json({{"pairs", 2}, {"dropped", 3}, {"shortened", 0}, {"merged_prompts", 1}, {"repeated_prompts", 0}}));
  EXPECT_EQ(json["train"]["shortened"], 2);
  EXPECT_EQ(json["train"]["merged_prompts"], 2);
  EXPECT_EQ(json["train"]["repeated_prompts"], 0);
  EXPECT_FALSE(json.contains("validation"));
}

TEST(DataReport, ListsSeveralFiles) {
  const TempFolder folder;
  write_data_report(folder / "data.json", {reading("a.jsonl"), reading("b.jsonl")}, {reading("v.jsonl")});
  const auto json = nlohmann::json::parse(read_file(folder / "data.json"));
  ASSERT_EQ(json["train"].size(), 2U);
  EXPECT_EQ(json["train"][1]["file"], "b.jsonl");
  EXPECT_EQ(json["train"][1]["groups"]["a"]["dropped"], 1);
  EXPECT_EQ(json["validation"]["file"], "v.jsonl");
}

}  // namespace data_report_test
}  // namespace equipoise

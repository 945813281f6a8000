#include "worker/evaluate/evaluated_pairs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/owned_pair.h"

namespace equipoise {
namespace evaluated_pairs_test {

using Json = nlohmann::json;

// Four pairs of the file, of which the second and the last were left out; the first is India's, the third is in both
// groups to a part.
EncodedDataset two_of_four() {
  EncodedDataset data;
  data.group_names = {"India", "Asia"};
  const OwnedPair first{.prompt_ids = {2, 3}, .chosen_ids = {4, 1}, .rejected_ids = {5}, .memberships = {{0, 1.0}}};
  const OwnedPair third{
      .prompt_ids = {2}, .chosen_ids = {4}, .rejected_ids = {5, 6, 1}, .memberships = {{0, 1.0}, {1, 0.5}}};
  data.pairs.add(first.view());
  data.pairs.add_dropped(std::vector<Membership>{{1, 1.0}},
                         {.what = DropCause::What::kLongPair, .tokens = 9, .limit = 5});
  data.pairs.add(third.view());
  data.pairs.add_dropped(std::vector<Membership>{{0, 1.0}, {1, 1.0}},
                         {.what = DropCause::What::kNoRoom, .tokens = 6, .limit = 5});
  return data;
}

EvaluatedPairs evaluated(const EncodedDataset& data) {
  return {.data = data,
          .policy = {.chosen_N = {-1.1, -2.5}, .rejected_N = {-1.2, -2.25}},
          .reference = {.chosen_N = {-1, -3}, .rejected_N = {-1, -2}},
          .loss_N = {0.7, 0.5},
          .chosen_reward_N = {-0.01, 0.05},
          .rejected_reward_N = {-0.02, -0.025}};
}

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

TEST(PairsFile, HasALineForEveryPairOfTheFileInItsOrder) {
  const TempFolder temp;
  const EncodedDataset data = two_of_four();
  const auto path = temp.write("pairs.jsonl", "what was there before is longer than the lines that replace it");
  write_pairs(evaluated(data), path);
  const auto lines = lines_of(read_file(path));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], Json({{"index", 0},
                            {"group", "India"},
                            {"policy_chosen_logp", -1.1},
                            {"policy_rejected_logp", -1.2},
                            {"reference_chosen_logp", -1.0},
                            {"reference_rejected_logp", -1.0},
                            {"chosen_tokens", 2},
                            {"rejected_tokens", 1},
                            {"loss", 0.7}}));
  EXPECT_EQ(lines[1],
            Json({{"index", 1}, {"group", "Asia"}, {"dropped", "its 9 tokens are more than max_length = 5"}}));
  EXPECT_EQ(lines[2]["index"], 2);
  EXPECT_EQ(lines[2]["group"], Json({{"India", 1.0}, {"Asia", 0.5}}));
  EXPECT_EQ(lines[2]["policy_chosen_logp"], -2.5);
  EXPECT_EQ(lines[3], Json({{"index", 3},
                            {"group", {"India", "Asia"}},
                            {"dropped", "its prompt of 6 tokens leaves no room for an answer within max_length = 5"}}));
}

TEST(PairsFile, LeavesOutWhatThereIsNot) {
  const TempFolder temp;
  const EncodedDataset data = two_of_four();
  EvaluatedPairs pairs = evaluated(data);
  pairs.reference = {};
  const auto path = temp.write("pairs.jsonl", "");
  write_pairs(pairs, path);
  EXPECT_FALSE(lines_of(read_file(path))[0].contains("reference_chosen_logp"));
  EXPECT_TRUE(lines_of(read_file(path))[0].contains("policy_rejected_logp"));
  pairs.rejected = RejectedAnswers::kNone;
  write_pairs(pairs, path);
  const Json line = lines_of(read_file(path))[0];
  EXPECT_FALSE(line.contains("policy_rejected_logp") || line.contains("rejected_tokens"));
}

TEST(PairsFile, HasWeightsWhereTheDataHas) {
  const TempFolder temp;
  EncodedDataset data = two_of_four();
  const auto path = temp.write("pairs.jsonl", "");
  write_pairs(evaluated(data), path);
  EXPECT_FALSE(lines_of(read_file(path))[0].contains("weight"));
  data.fields.used = {"weight"};
  write_pairs(evaluated(data), path);
  EXPECT_EQ(lines_of(read_file(path))[0]["weight"], 1.0);
}

TEST(PairsFile, ADiskThatRefusesIsNamed) {
  const EncodedDataset data = two_of_four();
  EXPECT_THROW(write_pairs(evaluated(data), "/dev/full"), std::runtime_error);
  EXPECT_THROW(write_pairs(evaluated(data), "/not/there/pairs.jsonl"), std::runtime_error);
}

TEST(SummaryFile, HasMeansOfEveryGroupAndOfAllPairs) {
  const TempFolder temp;
  const EncodedDataset data = two_of_four();
  write_summary(evaluated(data), temp / "summary.json");
  const Json summary = Json::parse(read_file(temp / "summary.json"));
  EXPECT_EQ(summary["pairs"], 2);
  EXPECT_EQ(summary["dropped"], 2);
  EXPECT_EQ(summary["dropped_reason"], "its 9 tokens are more than max_length = 5");
  const Json& all = summary["all"];
  EXPECT_DOUBLE_EQ(all["loss"], 0.6);
  EXPECT_DOUBLE_EQ(all["loss_error"], 0.1);  // sqrt(2 * 0.1^2 / (2 * 1))
  EXPECT_EQ(all["reward_accuracy"], 1.0);
  EXPECT_EQ(all["logp_accuracy"], 0.5);
  const Json &india = summary["groups"][0], &asia = summary["groups"][1];
  EXPECT_EQ(india["pairs"], 2.0);
  EXPECT_EQ(india["dropped"], 1.0);
  EXPECT_DOUBLE_EQ(india["loss"], 0.6);
  EXPECT_EQ(asia["name"], "Asia");
  EXPECT_EQ(asia["pairs"], 0.5);
  EXPECT_EQ(asia["dropped"], 2.0);
  EXPECT_DOUBLE_EQ(asia["loss"], 0.5);
  EXPECT_FALSE(asia.contains("loss_error"));  // one pair
  EXPECT_EQ(asia["logp_accuracy"], 0.0);
}

// (0.7 + 3 * 0.5)/4: means are by weight, pairs are counted.
TEST(SummaryFile, WeighsPairsAsTheDataSays) {
  const TempFolder temp;
  EncodedDataset data = two_of_four();
  std::vector<OwnedPair> pairs = owned(data.pairs);
  pairs[1].weight = 3;
  data.pairs = encoded(pairs);
  write_summary(evaluated(data), temp / "summary.json");
  const Json summary = Json::parse(read_file(temp / "summary.json"));
  EXPECT_DOUBLE_EQ(summary["all"]["loss"], 0.55);
  EXPECT_DOUBLE_EQ(summary["groups"][0]["loss"], 0.55);
  EXPECT_EQ(summary["all"]["logp_accuracy"], 0.25);
  EXPECT_EQ(summary["all"]["pairs"], 2.0);
  EXPECT_EQ(summary["groups"][1]["pairs"], 0.5);
}

TEST(SummaryFile, WithoutAReferenceThereIsNoRewardAccuracy) {
  const TempFolder temp;
  const EncodedDataset data = two_of_four();
  EvaluatedPairs pairs = evaluated(data);
  pairs.reference = {};
  write_summary(pairs, temp / "summary.json");
  const Json summary = Json::parse(read_file(temp / "summary.json"));
  EXPECT_FALSE(summary["all"].contains("reward_accuracy"));
  EXPECT_TRUE(summary["all"].contains("logp_accuracy"));
}

}  // namespace evaluated_pairs_test
}  // namespace equipoise

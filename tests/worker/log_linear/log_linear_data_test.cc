#include "worker/log_linear/log_linear_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace log_linear_data_test {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kTwoGroups =
    "{\"state\": [0.1], \"group\": 0, \"chosen\": 1, \"rejected\": 0}\n"
    "{\"state\": [0.2], \"group\": 1, \"chosen\": 0, \"rejected\": 1}\n"
    "{\"state\": [0.3], \"group\": 1, \"chosen\": 0, \"rejected\": 1}\n";
constexpr const char* kOneGroup = "{\"state\": [0.1], \"group\": 1, \"chosen\": 1, \"rejected\": 0}\n";

class LogLinearDataTest : public testing::Test {
 protected:
  LogLinearDataTest() {
    config_.log_linear =
        LogLinearConfig{.problem = {.actions = 2, .reward_KD = {{1, 2}, {2, 1}}, .initial_theta_D = {0, 0}}};
    config_.data.train = write("train.jsonl", kTwoGroups);
  }

  std::filesystem::path write(const std::string& name, const std::string& text) { return folder_.write(name, text); }
  std::string refusal() {
    return refusal_of([&] { load_log_linear_data(config_); });
  }

  const TempFolder folder_;
  JobConfig config_;
};

TEST_F(LogLinearDataTest, AGroupIsNamedByItsNumberAndCounted) {
  const LogLinearData data = load_log_linear_data(config_);
  EXPECT_THAT(data.group_names, ElementsAre("0", "1"));
  EXPECT_THAT(data.pair_count_K, ElementsAre(1, 2));
  EXPECT_EQ(data.train.pairs(), 3u);
  EXPECT_FALSE(data.validation.has_value());
}

TEST_F(LogLinearDataTest, CountsOfThePopulationReplaceThoseOfTheFile) {
  config_.data.group_counts = {{"0", 10}, {"1", 90}};
  EXPECT_THAT(load_log_linear_data(config_).pair_count_K, ElementsAre(10, 90));
  config_.data.group_counts = {{"0", 10}};
  EXPECT_EQ(refusal(), "data.group_counts has none for group \"1\", expected one for each group of the training data");
  config_.data.group_counts = {{"0", 10}, {"1", 90}, {"2", 5}};
  EXPECT_THAT(refusal(), HasSubstr("data.group_counts names group \"2\""));
}

// A pair of group 0 and three of group 1; of the last, `share` agree, of the others all.
std::string shared_pairs(const std::string& share) {
  const std::string of_group_1 = R"({"state": [0.3], "group": 1, "chosen": 0, "rejected": 1, "chosen_share": )";
  return R"({"state": [0.1], "group": 0, "chosen": 1, "rejected": 0, "chosen_share": 1})" + std::string("\n") +
         of_group_1 + "1}\n" + of_group_1 + "1}\n" + of_group_1 + share + "}\n";
}

TEST_F(LogLinearDataTest, FloorsAreCountedWhereTheBaselineAsksForThem) {
  const LogLinearData unanimous = load_log_linear_data(config_);
  EXPECT_TRUE(unanimous.train_floor_K.empty());
  config_.data.train = write("shared.jsonl", shared_pairs("0.5"));
  config_.data.validation = write("validation.jsonl", kTwoGroups);
  config_.loss = {.type = LossType::kIpo, .beta = 1};
  config_.robust.baseline = Baseline::kLabelEntropy;
  const LogLinearData data = load_log_linear_data(config_);
  EXPECT_THAT(data.train_floor_K, ElementsAre(0, 0.25 / 3));
  EXPECT_THAT(data.validation_floor_K, ElementsAre(0, 0));
}

TEST_F(LogLinearDataTest, TheDigestCoversHowManyAgree) {
  config_.data.train = write("one.jsonl", shared_pairs("0.5"));
  const Digest half = load_log_linear_data(config_).digest;
  config_.data.train = write("other.jsonl", shared_pairs("0.75"));
  EXPECT_NE(load_log_linear_data(config_).digest, half);
}

TEST_F(LogLinearDataTest, EveryGroupNeedsPairsToTrainOnAndToBeValidatedOn) {
  config_.data.validation = write("validation.jsonl", kOneGroup);
  EXPECT_THAT(refusal(), HasSubstr("validation.jsonl has no pairs of group 0, expected some of each of the 2 groups"));
  config_.data.validation.reset();
  config_.data.train = write("one.jsonl", kOneGroup);
  EXPECT_THAT(refusal(), HasSubstr("one.jsonl has no pairs of group 0"));
}

TEST_F(LogLinearDataTest, OtherPairsHaveAnotherDigest) {
  const Digest digest = load_log_linear_data(config_).digest;
  EXPECT_EQ(load_log_linear_data(config_).digest, digest);
  config_.data.train = write("other.jsonl", kTwoGroups + std::string(kOneGroup));
  EXPECT_NE(load_log_linear_data(config_).digest, digest);
}

}  // namespace log_linear_data_test
}  // namespace equipoise

#include "worker/training/metrics_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace metrics_file_test {

const std::vector<std::string> kNames = {"a", "b"}, kFirst = {"a"};

GroupedData data_of(std::span<const std::string> train, std::span<const double> baseline_K = {}) {
  return {.group_names = train,
          .counted = {},
          .population = {},
          .baseline_K = baseline_K,
          .validation_names = kNames,
          .validation_baseline_K = baseline_K};
}

std::vector<GroupMeans> two_groups(double first_loss, double second_loss) {
  return {{.group = 0, .loss = first_loss, .pair_count = 2, .accuracy = {}},
          {.group = 1, .loss = second_loss, .pair_count = 1, .accuracy = {}}};
}

ValidationMeans evaluated(std::vector<GroupMeans> groups) {
  return {.file = {}, .loss = 1, .loss_error = {}, .pairs = 3, .groups = std::move(groups), .further = {}};
}

TEST(MetricsFile, NamesTheWorstGroupAndTheGapOfTheWeights) {
  const MetricsJson line = evaluation_line(data_of(kNames), {.step = 3, .epoch = 0.5}, evaluated(two_groups(0.5, 0.75)),
                                           std::vector<double>{0.25, 0.75});
  EXPECT_EQ(line["split"], "validation");
  EXPECT_EQ(line["step"], 3);
  EXPECT_EQ(line["epoch"], 0.5);
  EXPECT_EQ(line["worst_group"], "b");
  EXPECT_EQ(line["worst_group_loss"], 0.75);
  EXPECT_EQ(line["group_count"], MetricsJson({{"a", 2.0}, {"b", 1.0}}));
  EXPECT_EQ(line["robust_gap"], 0.75 - (0.25 * 0.5 + 0.75 * 0.75));
  EXPECT_FALSE(line.contains("min_group_accuracy"));
}

TEST(MetricsFile, CountsLossesAndTheGapFromTheBaseline) {
  const std::vector<double> baseline_K = {0.25, 0.625}, alpha_K = {0.25, 0.75};
  const MetricsJson line = evaluation_line(data_of(kNames, baseline_K), {}, evaluated(two_groups(0.5, 0.75)), alpha_K);
  EXPECT_EQ(line["group_excess_loss"], MetricsJson({{"a", 0.25}, {"b", 0.125}}));
  EXPECT_EQ(line["eval_group/b/excess_loss"], 0.125);
  EXPECT_EQ(line["worst_group"], "b") << "by its loss";
  EXPECT_EQ(line["worst_group_excess_loss"], 0.25);
  EXPECT_EQ(line["robust_gap"], 0.25 - (0.25 * 0.25 + 0.75 * 0.125));
}

TEST(MetricsFile, LeavesOutTheExcessOfAGroupWithoutABaseline) {
  const std::vector<double> baseline_K = {0.25, std::nan("")};
  const MetricsJson line =
      evaluation_line(data_of(kFirst, baseline_K), {}, evaluated(two_groups(0.5, 0.75)), std::vector<double>{1});
  EXPECT_EQ(line["group_excess_loss"], MetricsJson({{"a", 0.25}}));
  EXPECT_EQ(line["robust_gap"], 0) << "of the training's only group";
}

TEST(MetricsFile, HasNoGapWithoutTheLossOfEveryTrainingGroup) {
  const std::vector<double> alpha_K = {0.5, 0.5};
  const auto has_gap = [&](std::vector<GroupMeans> groups) {
    return evaluation_line(data_of(kNames), {}, evaluated(std::move(groups)), alpha_K).contains("robust_gap");
  };
  EXPECT_TRUE(has_gap(two_groups(1, 2)));
  EXPECT_FALSE(has_gap({two_groups(1, 2).front()}));
  EXPECT_FALSE(has_gap({two_groups(1, 2).back()}));
  EXPECT_FALSE(has_gap(two_groups(1, HUGE_VAL)));
}

TEST(MetricsFile, ShowsTheWeightsOfAllGroupsOfAStepAndSpeedsOfWhatThereIs) {
  const StepNumbers step{.loss = 2, .loss_error = 0.5, .groups = {two_groups(1, 2).front()}, .further = {}};
  const std::vector<double> alpha_K = {0.25, 0.75};
  MetricsJson line = step_line(data_of(kNames), {.step = 1, .epoch = 0.5}, false, step, alpha_K,
                               {.pairs_per_second = 8, .tokens_per_second = 9, .num_tokens = 10});
  EXPECT_EQ(line["loss_error"], 0.5);
  EXPECT_EQ(line["group_weight"], MetricsJson({{"a", 0.25}, {"b", 0.75}}));
  EXPECT_EQ(line["group/b/weight"], 0.75);
  EXPECT_EQ(line["group/a/loss"], 1);
  EXPECT_FALSE(line.contains("group/b/loss"));
  EXPECT_EQ(line["num_tokens"], 10);
  EXPECT_FALSE(line.contains("skipped"));
  line = step_line(data_of(kNames), {}, true, step, alpha_K, {.pairs_per_second = 8});
  EXPECT_EQ(line["skipped"], true);
  EXPECT_FALSE(line.contains("num_tokens") || line.contains("tokens_per_second"));
}

TEST(MetricsFile, TakesTheNumbersAtTheTopOfALineForAnEvaluation) {
  const MetricsJson line =
      evaluation_line(data_of(kNames), {.step = 3}, evaluated(two_groups(0.5, 0.75)), std::vector<double>{0.5, 0.5});
  const EvaluationNumbers numbers = evaluation_numbers(line, "");
  EXPECT_EQ(numbers.at("eval_loss"), 1);
  EXPECT_EQ(numbers.at("worst_group_loss"), 0.75);
  for (const char* no_number : {"step", "epoch", "split", "group_loss", "worst_group"}) {
    EXPECT_FALSE(numbers.contains(no_number)) << no_number;
  }
}

TEST(MetricsFile, WritesNumbersThatReadBackToTheSameBits) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  const double third = 1.0 / 3, tiny = 1e-300 / 7;
  MetricsFile file(path);
  file.write(evaluation_line(data_of(kNames), {.step = 1, .epoch = third}, evaluated(two_groups(third, tiny)),
                             std::vector<double>{third, 1 - third}));
  std::ifstream written(path);
  std::string text, more;
  ASSERT_TRUE(std::getline(written, text));
  EXPECT_FALSE(std::getline(written, more));
  const auto line = nlohmann::json::parse(text);
  EXPECT_EQ(line["epoch"].get<double>(), third);
  EXPECT_EQ(line["group_loss"]["a"].get<double>(), third);
  EXPECT_EQ(line["group_loss"]["b"].get<double>(), tiny);
  EXPECT_EQ(line["group_weight"]["b"].get<double>(), 1 - third);
}

TEST(MetricsFile, WritesANumberThatIsNotFiniteAsNull) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path);
  file.write(evaluation_line(data_of(kNames), {}, evaluated(two_groups(1, std::nan(""))), std::vector<double>{1, 0}));
  std::ifstream written(path);
  const auto line = nlohmann::json::parse(written);
  EXPECT_TRUE(line["group_loss"]["b"].is_null());
  EXPECT_TRUE(line["worst_group_loss"].is_null());
  EXPECT_EQ(line["worst_group"], "b");
}

TEST(MetricsFile, GoesOnAfterTheLinesThatAreKept) {
  const TempFolder temp;
  const std::filesystem::path path = temp / "metrics.jsonl";
  std::int64_t bytes = 0;
  Digest sha256{};
  std::string kept;
  {
    MetricsFile file(path);
    file.write({{"step", 1}});
    bytes = file.bytes();
    sha256 = file.sha256();
    kept = read_file(path);
    file.write({{"step", 2}});
  }
  EXPECT_EQ(bytes, std::ssize(kept));
  EXPECT_EQ(digest_of_beginning(path, bytes), sha256);
  {
    MetricsFile file(path, bytes);
    EXPECT_EQ(read_file(path), kept);
    EXPECT_EQ(file.sha256(), sha256);
    file.write({{"step", 3}});
    EXPECT_EQ(read_file(path), kept + "{\"step\":3}\n");
    EXPECT_EQ(digest_of_beginning(path, file.bytes()), file.sha256());
    EXPECT_EQ(digest_of_beginning(path, file.bytes() + 1), std::nullopt);
  }
  EXPECT_THROW(MetricsFile(path, 1000), std::invalid_argument);
  EXPECT_EQ(digest_of_beginning(temp / "none", 1), std::nullopt);
}

TEST(MetricsFields, GiveAPrefixAndASuffixToTheFieldsThatHaveThem) {
  namespace schema = metrics_schema;
  MetricsFields fields;
  fields.set(schema::kStep, std::int64_t{2});
  fields.set(schema::kLoss, 0.5);
  fields.set_error(schema::kLoss, 0.25);
  fields.set_flat(schema::kFlatLoss, "a", 1);
  const std::vector<GroupNumber> numbers = {{"b", 1}, {"a", 2}};
  fields.set(schema::kGroupLoss, numbers);
  EXPECT_EQ(fields.line(schema::kEvaluationLine, "eval_").dump(),
            R"({"step":2,"eval_loss":0.5,"eval_loss_error":0.25,"eval_group/a/loss":1.0,)"
            R"("group_loss":{"b":1.0,"a":2.0}})");
  EXPECT_EQ(fields.line(schema::kStepLine, "").begin().key(), "step");
}

TEST(MetricsFieldsDeathTest, RefuseWhatTheSchemaHasNot) {
  namespace schema = metrics_schema;
  MetricsFields fields;
  EXPECT_DEATH(fields.set(schema::kStep, 0.5), "type");
  EXPECT_DEATH(fields.set_error(schema::kWorstGroupLoss, 0.5), "kStandard");
  fields.set(schema::kWorstGroupLoss, 0.5);
  EXPECT_DEATH(fields.line(schema::kStepLine, ""), "lines");
}

}  // namespace metrics_file_test
}  // namespace equipoise

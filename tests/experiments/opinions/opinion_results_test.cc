#include "experiments/opinions/opinion_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "tests/experiments/opinions/opinion_fixture.h"
#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace opinion_results_test {

using testing::AllOf;
using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr const char* kStart =
    R"({"split":"validation","step":0,"group_loss":{"A":0.7,"B":0.8},"group_accuracy":{"A":0,"B":0},)"
    R"("group_logp_accuracy":{"A":0.5,"B":0.25},"group_weight":{"A":0.5,"B":0.5}})"
    "\n";
constexpr const char* kStep = R"({"step":1,"loss":0.7,"group_loss":{"A":0.7},"group_weight":{"B":0.625,"A":0.375}})"
                              "\n";
constexpr const char* kEnd =
    R"({"split":"validation","step":1,"group_loss":{"A":0.5,"B":0.6},"group_accuracy":{"A":0.75,"B":1},)"
    R"("group_logp_accuracy":{"A":1,"B":0.5},"group_weight":{"A":0.375,"B":0.625}})"
    "\n";

OpinionRun read(const std::string& text) {
  const TempFolder folder;
  return read_opinion_run(folder.write("metrics.jsonl", text), {"B", "A"}, 9);
}

TEST(OpinionRunFile, ReadsEvaluationsAndWeightsInTheOrderOfTheGroups) {
  const OpinionRun run = read(std::string(kStart) + kStep + kEnd);
  EXPECT_EQ(run.seed, 9U);
  ASSERT_EQ(run.evaluations.size(), 2U);
  EXPECT_EQ(run.evaluations[1].groups_K[0].loss, 0.6);
  EXPECT_EQ(run.evaluations[1].groups_K[1].reward_accuracy, 0.75);
  EXPECT_EQ(run.evaluations[0].groups_K[0].log_prob_accuracy, 0.25);
  ASSERT_EQ(run.weights.size(), 2U);  // the evaluation after step 1 has those of step 1
  EXPECT_EQ(run.weights[1].step, 1);
  EXPECT_THAT(run.weights[1].alpha_K, ElementsAre(0.625, 0.375));
}

TEST(OpinionRunFile, OfSftHasNoAccuracies) {
  const std::string line = R"({"split":"validation","step":0,"group_loss":{"A":2,"B":3},"group_weight":{"A":1,"B":0}})"
                           "\n";
  EXPECT_TRUE(std::isnan(read(line + line).evaluations[0].groups_K[0].reward_accuracy));
}

TEST(OpinionRunFile, NamesTheLineAndTheFieldThatIsWrong) {
  const auto refused = [](const std::string& text, const std::string& where, const std::string& what) {
    EXPECT_THAT([&] { read(text); }, ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr(where), HasSubstr(what))))
        << text;
  };
  refused("", "metrics.jsonl: ", "fewer than two");
  refused(kStart, "metrics.jsonl: ", "fewer than two");
  refused(std::string(kStart) + "{\n", "metrics.jsonl:2: ", "not a JSON object");
  refused("{\"split\":\"validation\"}\n", "metrics.jsonl:1: ", "\"step\"");
  refused(R"({"split":"validation","step":0,"group_loss":{"A":1}})"
          "\n",
          "metrics.jsonl:1: ", "for group \"B\"");
  refused(R"({"split":"validation","step":0,"group_loss":{"A":1,"B":"2"}})"
          "\n",
          "metrics.jsonl:1: ", "for group \"B\"");
}

TEST(OpinionRunFile, SaysWhichGroupOfWhichStepDiverged) {
  EXPECT_THAT(
      [] {
        read(R"({"split":"validation","step":7,"group_loss":{"A":1,"B":null}})"
             "\n");
      },
      ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("after step 7"), HasSubstr("\"B\" is not finite"))));
}

TEST(OpinionMeasure, IsThatOfTheWorstGroup) {
  const OpinionEvaluation evaluation{3, {{0.5, 0.9, 0.8}, {0.25, 0.7, 0.9}, {0.75, 0.8, 0.6}}};
  EXPECT_EQ(max_group_loss(evaluation), 0.75);
  EXPECT_EQ(mean_group_loss(evaluation), 0.5);
  EXPECT_EQ(group_loss_spread(evaluation), 0.5);
  EXPECT_EQ(min_reward_accuracy(evaluation), 0.7);
  EXPECT_EQ(min_log_prob_accuracy(evaluation), 0.6);
}

// Runs that stop early have fewer points; their ends still count.
TEST(OpinionSeries, HasThePointsThatAllSeedsHave) {
  std::vector<OpinionRun> runs{opinion_run(1, 0, 2), opinion_run(1, 1, 2)};
  const double last = runs[1].evaluations[1].groups_K[1].loss;
  runs[1].evaluations.pop_back();
  const Series series = measure_series(runs, max_group_loss);
  EXPECT_THAT(series.iteration, ElementsAre(0, 1));
  EXPECT_THAT(series.over_seeds[0].mean, DoubleEq((1.1 + 1.11) / 2));
  EXPECT_THAT(final_values(runs, max_group_loss), ElementsAre(runs[0].evaluations[2].groups_K[1].loss, last));
}

}  // namespace opinion_results_test
}  // namespace equipoise::reproduce

#include "client/trainjob/trainer_status.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/client/support/example_job.h"

namespace equipoise {
namespace trainer_status_test {

using std::string;
using Metrics = std::map<string, string>;

constexpr std::chrono::system_clock::time_point kNow{std::chrono::seconds(1'796'040'000)};

nlohmann::json status_of(const v1::TrainingJob& job) {
  return nlohmann::json::parse(trainer_status_json(job, kNow)).at("trainerStatus");
}

Metrics metrics_of(const v1::TrainingJob& job) {
  Metrics metrics;
  const nlohmann::json status = status_of(job);
  for (const auto& metric : status.at("metrics")) metrics[metric.at("name")] = metric.at("value");
  return metrics;
}

TEST(TrainerStatus, SaysHowFarAJobIsAndWhoIsWorstOff) {
  const nlohmann::json status = status_of(example_job());
  EXPECT_EQ(status.at("progressPercentage"), 25);  // 50 of 200 steps
  EXPECT_EQ(status.at("estimatedRemainingSeconds"), 42);
  EXPECT_EQ(status.at("lastUpdatedTime"), "2026-11-30T12:00:00Z");
  EXPECT_EQ(metrics_of(example_job()), (Metrics{{"step", "50"},
                                                {"total_steps", "200"},
                                                {"restarts", "0"},
                                                {"loss", "0.625"},
                                                {"pairs_per_second", "118.4"},
                                                {"worst_group", "Republican"},
                                                {"worst_group_loss", "0.75"},
                                                {"worst_group_weight", "0.75"}}));
}

TEST(TrainerStatus, LeavesOutWhatIsNotKnown) {
  v1::TrainingJob job = example_job();
  job.set_state(v1::JOB_STATE_QUEUED);
  for (auto* group : {job.mutable_groups(0), job.mutable_groups(1)}) group->clear_train_loss();
  job.clear_loss();
  job.clear_pairs_per_second();
  job.clear_time_left();
  job.set_step(0);
  job.set_total_steps(0);
  const nlohmann::json status = status_of(job);
  EXPECT_FALSE(status.contains("progressPercentage"));
  EXPECT_FALSE(status.contains("estimatedRemainingSeconds"));
  EXPECT_EQ(metrics_of(job), (Metrics{{"step", "0"}, {"restarts", "0"}}));
}

TEST(TrainerStatus, OfAJobThatHasSucceededIsAHundredPercent) {
  v1::TrainingJob job = example_job();
  job.set_state(v1::JOB_STATE_SUCCEEDED);  // early stopping: before its last step
  EXPECT_EQ(status_of(job).at("progressPercentage"), 100);
  EXPECT_EQ(status_of(job).at("estimatedRemainingSeconds"), 0);
  job.set_state(v1::JOB_STATE_FAILED);
  EXPECT_EQ(status_of(job).at("progressPercentage"), 25);
}

TEST(TrainerStatus, HasTheWorstGroupOfTheNewestEvaluation) {
  v1::TrainingJob job = example_job();
  job.set_validation_step(40);
  job.mutable_groups(0)->set_validation_loss(0.875);
  job.mutable_groups(1)->set_validation_loss(0.5);
  const Metrics metrics = metrics_of(job);
  EXPECT_EQ(metrics.at("validation_step"), "40");
  EXPECT_EQ(metrics.at("validation_worst_group"), "Democrat");
  EXPECT_EQ(metrics.at("validation_worst_group_loss"), "0.875");
  EXPECT_EQ(metrics.at("worst_group"), "Republican");
}

// The API server counts characters, and refuses the whole status where one value has more.
TEST(TrainerStatus, HasNoValueOfMoreThan64Characters) {
  v1::TrainingJob job = example_job();
  const string mark = "\u0301";  // takes no column of a terminal
  string name = "e";
  for (int i = 0; i < 100; ++i) name += mark;
  job.mutable_groups(1)->set_name(name);
  EXPECT_EQ(metrics_of(job).at("worst_group"), name.substr(0, 1 + 63 * mark.size()));
  job.mutable_groups(1)->set_name("a\x1b[31mred");
  EXPECT_EQ(metrics_of(job).at("worst_group"), "a\uFFFD[31mred");
}

TEST(TrainerStatus, HasNumbersThatTrainerCanKeep) {
  v1::TrainingJob job = example_job();
  job.mutable_time_left()->set_seconds(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(status_of(job).at("estimatedRemainingSeconds"), std::numeric_limits<std::int32_t>::max());
  job.set_loss(std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(metrics_of(job).contains("loss"));
}

}  // namespace trainer_status_test
}  // namespace equipoise

#include "coordinator/job/job_cleaner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/metric_family.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/log_folder.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace job_cleaner_test {

using namespace std::chrono_literals;
using ::testing::UnorderedElementsAre;

class JobCleanerTest : public ControllerFixture {
 protected:
  JobCleanerTest() {
    settings_.cleaner = {.logs = folder_.path() / "logs", .piece = {.rows = 4}};
    restart();
  }
  JobCleaner& cleaner() { return core_->cleaner(); }
  // SUCCEEDED after ten steps.
  std::string finished_job() {
    const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
    do_all_steps(id);
    calls().finish_worker(finish_request(id, 1, 0, 'x'));
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
    return id;
  }
  std::string cancelled_job() {
    const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
    jobs().cancel(id);
    return id;
  }
  std::int64_t num_steps(const std::string& id) { return store_->step_range(id, 1).count; }
  void remove_all_logs(const JobCleaner::Logs& logs) {
    while (!remove_some(logs.folder)) {
    }
    cleaner().logs_are_gone(logs);
  }
  // Jobs that Prometheus sees.
  std::set<std::string> jobs_with_series() {
    std::set<std::string> ids;
    for (const auto& family : metrics_->collectable()->Collect()) {
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) {
          if (label.name == "training_job") ids.insert(label.value);
        }
      }
    }
    return ids;
  }
};

TEST_F(JobCleanerTest, RowsGoByAndByWhileEverybodyElseIsServed) {
  const auto old = finished_job(), running = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  jobs().remove(old);
  EXPECT_EQ(error_of([&] { jobs().get(old); }).code, Refusal::Code::kNotFound);
  EXPECT_EQ(num_steps(old), 10);
  std::int64_t before = num_steps(old);
  int ticks = 0;
  for (std::int64_t step = 0; store_->deleted().next_with_rows(0); ++step, ++ticks) {
    cleaner().tick();
    EXPECT_LE(before - num_steps(old), 4);
    before = num_steps(old);
    if (step < 10) calls().report_step(step_request(running, 1, step, {0.2, 1.0}));
    EXPECT_EQ(jobs().list({}).jobs_size(), 1);
  }
  EXPECT_GE(ticks, 3);
  EXPECT_EQ(num_steps(old), 0);
  EXPECT_FALSE(store_->newest_training(old));
  EXPECT_GE(num_steps(running), 3);
}

TEST_F(JobCleanerTest, GoesOnAfterARestart) {
  const auto id = finished_job();
  jobs().remove(id);
  cleaner().tick();
  const auto left = num_steps(id);
  EXPECT_GT(left, 0);
  restart();
  EXPECT_EQ(error_of([&] { jobs().get(id); }).code, Refusal::Code::kNotFound);
  EXPECT_EQ(num_steps(id), left);
  for (int i = 0; i < 10; ++i) cleaner().tick();
  EXPECT_EQ(num_steps(id), 0);
  EXPECT_FALSE(store_->deleted().next_with_rows(0));
}

TEST_F(JobCleanerTest, ProcessesGoFirstThenRowsThenLogs) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  folder_.write("logs/" + id + "/1/stdout.log", "text");
  folder_.write("logs/another-00000000/1/stdout.log", "text");
  v1::FailWorkerRequest failure;
  failure.set_job_id(id);
  failure.set_generation(1);
  failure.set_reason("bad data");
  failure.set_kind(v1::FAILURE_KIND_INVALID_INPUT);
  calls().fail_worker(failure);
  jobs().remove(id);
  for (int i = 0; i < 10; ++i) cleaner().tick();
  EXPECT_TRUE(store_->deleted().next_with_rows(0)) << "mpirun may still write";
  EXPECT_FALSE(cleaner().logs_to_remove());
  core_->attempts().handle_exit({.attempt = launcher_.started[0].attempt, .exit_code = 1, .last_line = ""});
  for (int i = 0; i < 10; ++i) cleaner().tick();
  EXPECT_FALSE(store_->deleted().next_with_rows(0));
  const auto logs = cleaner().logs_to_remove();
  ASSERT_TRUE(logs);
  EXPECT_EQ(logs->folder, folder_.path() / "logs" / id);
  remove_all_logs(*logs);
  EXPECT_FALSE(cleaner().logs_to_remove());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "logs" / id));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "logs/another-00000000/1/stdout.log"));
}

TEST_F(JobCleanerTest, LogsThatCannotBeRemovedKeepNoOthers) {
  const auto first = finished_job(), second = finished_job();
  for (const auto& id : {first, second}) jobs().remove(id);
  for (int i = 0; i < 20; ++i) cleaner().tick();
  auto logs = cleaner().logs_to_remove();
  ASSERT_TRUE(logs);
  EXPECT_EQ(logs->job.id, first);
  cleaner().leave_logs(*logs, "Permission denied");
  logs = cleaner().logs_to_remove();
  ASSERT_TRUE(logs);
  EXPECT_EQ(logs->job.id, second);
  remove_all_logs(*logs);
  EXPECT_FALSE(cleaner().logs_to_remove());
  restart();
  ASSERT_TRUE(cleaner().logs_to_remove());
  EXPECT_EQ(cleaner().logs_to_remove()->job.id, first);
}

// What a damaged database says must not lead out of the folder.
TEST_F(JobCleanerTest, ANameThatIsNoFoldersIsNoFolder) {
  Database(folder_.path() / "test.sqlite3")
      .execute("INSERT INTO deleted_jobs(sequence, id, remains) VALUES (900, '../precious', 1), (901, '', 1)");
  EXPECT_FALSE(cleaner().logs_to_remove());
  EXPECT_FALSE(cleaner().logs_to_remove());
  EXPECT_FALSE(store_->deleted().next_with_logs(0));
}

TEST_F(JobCleanerTest, SeriesOfJobsThatEndedGoAfterAQuarterOfAnHour) {
  const auto ended = finished_job(), running = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  EXPECT_THAT(jobs_with_series(), UnorderedElementsAre(ended, running));
  clock_.advance(14min);
  cleaner().tick();
  EXPECT_THAT(jobs_with_series(), UnorderedElementsAre(ended, running));
  restart();
  core_->attempts().tick();
  EXPECT_TRUE(jobs_with_series().contains(ended)) << "as if the coordinator had not been away";
  clock_.advance(1min);
  cleaner().tick();
  EXPECT_FALSE(jobs_with_series().contains(ended));
  EXPECT_EQ(job(ended).state(), v1::JOB_STATE_SUCCEEDED);
  restart();
  EXPECT_FALSE(jobs_with_series().contains(ended));
}

TEST_F(JobCleanerTest, OnlyTheLastHundredJobsThatEndedHaveSeries) {
  std::vector<std::string> ids;
  for (int i = 0; i < 103; ++i) ids.push_back(cancelled_job());
  cleaner().tick();
  const auto seen = jobs_with_series();
  EXPECT_EQ(seen.size(), 100u);
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(seen.contains(ids[i]), i >= 3) << i;
}

// Gives what it was told, then what the system gives.
class ToldRandomSource final : public RandomSource {
 public:
  explicit ToldRandomSource(std::deque<std::string> told) : told_(std::move(told)) {}
  std::string hex(std::size_t num_bytes) override {
    if (told_.empty()) return system_.hex(num_bytes);
    const std::string next = told_.front();
    told_.pop_front();
    return next;
  }

 private:
  std::deque<std::string> told_;
  SystemRandomSource system_;
};

TEST_F(JobCleanerTest, AnIdIsNeverGivenAgain) {
  ToldRandomSource source({"0000000a", "0000000a", "0000000b"});
  core_.emplace(
      settings_,
      Dependencies{
          .clock = clock_, .random_source = source, .store = *store_, .metrics = *metrics_, .launcher = launcher_});
  const auto first = cancelled_job();
  ASSERT_TRUE(first.ends_with("-0000000a")) << first;
  jobs().remove(first);
  for (int i = 0; i < 5; ++i) cleaner().tick();
  EXPECT_TRUE(cancelled_job().ends_with("-0000000b"));
  core_.reset();
}

}  // namespace job_cleaner_test
}  // namespace equipoise::coordinator

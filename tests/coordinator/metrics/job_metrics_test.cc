// What Prometheus sees of jobs while they run, are restarted, end and are deleted.
#include "coordinator/metrics/job_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace job_metrics_test {

using namespace std::chrono_literals;

using Labels = std::map<std::string, std::string>;

class JobMetricsOfACore : public ControllerFixture {
 protected:
  // The value of the series with exactly these labels.
  std::optional<double> value(const std::string& name, const Labels& labels = {}) {
    for (const auto& family : metrics_->collectable()->Collect()) {
      if (family.name != name) continue;
      for (const auto& metric : family.metric) {
        Labels found;
        for (const auto& label : metric.label) found.emplace(label.name, label.value);
        if (found != labels) continue;
        return family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
      }
    }
    return std::nullopt;
  }
  std::optional<double> step_time(const std::string& id, const std::string& outcome) {
    return value("equipoise_step_time_seconds_total", {{"training_job", id}, {"outcome", outcome}});
  }
  // Their names, with all labels but that of the job.
  std::set<std::string> series_of(const std::string& id) {
    std::set<std::string> series;
    for (const auto& family : metrics_->collectable()->Collect()) {
      for (const auto& metric : family.metric) {
        std::string name = family.name;
        bool is_of_job = false;
        for (const auto& label : metric.label) {
          is_of_job = is_of_job || label.value == id;
          if (label.value != id) name.append(" ").append(label.name).append("=").append(label.value);
        }
        if (is_of_job) series.insert(name);
      }
    }
    return series;
  }
  // Steps from the job's own on, 2 s each.
  void do_steps(const std::string& id, std::int64_t generation, int count, bool is_finite = true) {
    for (int i = 0; i < count; ++i) {
      auto step = step_request(id, generation, job(id).step(), {0.2, 1.0});
      if (!is_finite) step.add_non_finite_group(0);
      calls().report_step(step);
      pass(2s);
    }
  }
  v1::ReportMetricsRequest metrics_request(const std::string& id, v1::Split split) {
    v1::ReportMetricsRequest request;
    request.set_job_id(id);
    request.set_generation(1);
    request.set_step(job(id).step());
    request.set_split(split);
    return request;
  }
  void evaluate(const std::string& id, double north, double south) {
    v1::ReportMetricsRequest request = metrics_request(id, v1::SPLIT_VALIDATION);
    const std::vector<double> losses = {north, south};
    for (std::uint32_t g = 0; g < 2; ++g) {
      v1::GroupMetrics& group = *request.add_groups();
      group.set_group(g);
      group.set_loss(losses[g]);
      group.set_pair_count(1);
    }
    calls().report_metrics(request);
  }
};

TEST_F(JobMetricsOfACore, TimeOfStepsIsThatBetweenTheirReports) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_steps(id, 1, 4);
  EXPECT_EQ(step_time(id, "counted"), 6.0) << "nothing is known of the first one's";
  EXPECT_EQ(step_time(id, "skipped"), 0.0);
  do_steps(id, 1, 1, false);
  EXPECT_EQ(step_time(id, "counted"), 6.0);
  EXPECT_EQ(step_time(id, "skipped"), 2.0);
  EXPECT_EQ(value("equipoise_skipped_updates_total", {{"training_job", id}, {"group", "north"}}), 1.0);
}

// They were known to the log of the rank alone.
TEST_F(JobMetricsOfACore, StepsWhoseGradientIsNotFiniteAreCounted) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_steps(id, 1, 4);
  v1::ReportMetricsRequest request = metrics_request(id, v1::SPLIT_TRAIN);
  for (const int skipped : {3, 0, 1}) {
    request.set_skipped_gradients(skipped);
    calls().report_metrics(request);
  }
  EXPECT_EQ(value("equipoise_skipped_gradients_total", {{"training_job", id}}), 4.0);
  request.set_skipped_gradients(-1);
  EXPECT_THAT(error_of([&] { calls().report_metrics(request); }).text,
              ::testing::HasSubstr("skipped_gradients is -1, expected >= 0"));
}

TEST_F(JobMetricsOfACore, StepsOfAReportOfManyShareItsTime) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_steps(id, 1, 1);
  v1::ReportStepsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  for (const std::int64_t step : {1, 2}) *request.add_steps() = step_request(id, 1, step, {0.2, 1.0});
  request.mutable_steps(1)->add_non_finite_group(1);
  calls().report_steps(request);
  EXPECT_EQ(step_time(id, "counted"), 1.0);
  EXPECT_EQ(step_time(id, "skipped"), 1.0);
}

// A repeated call answers what is on record: it is no step.
TEST_F(JobMetricsOfACore, AStepThatIsReportedAgainIsNotCounted) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_steps(id, 1, 2);
  calls().report_step(step_request(id, 1, 1, {0.2, 1.0}));
  EXPECT_EQ(step_time(id, "counted"), 2.0);
  EXPECT_EQ(step_time(id, "repeated"), 0.0);
}

// The attempt before had done five steps, and no checkpoint had them.
TEST_F(JobMetricsOfACore, StepsThatARestartRepeatsDoNotCount) {
  auto spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.mutable_launch()->set_max_restarts(1);
  const auto id = running_job(spec);
  do_steps(id, 1, 5);
  EXPECT_EQ(step_time(id, "counted"), 8.0);
  mpirun_exits(id, 137);
  pass(60s);
  ASSERT_EQ(job(id).generation(), 2);
  auto registered = register_request(id, 0, 0, 1);
  registered.set_attempt_token(launcher_.started.back().token);
  calls().register_worker(registered);
  calls().start_training(start_request(id, 2));
  do_steps(id, 2, 7);
  EXPECT_EQ(step_time(id, "repeated"), 8.0) << "steps 0 to 4, but for the first one";
  EXPECT_EQ(step_time(id, "counted"), 12.0);
  const double running =
      value("equipoise_job_state_seconds_total", {{"training_job", id}, {"state", "running"}}).value();
  const double waiting =
      value("equipoise_job_state_seconds_total", {{"training_job", id}, {"state", "recovering"}}).value();
  const double starting =
      value("equipoise_job_state_seconds_total", {{"training_job", id}, {"state", "starting"}}).value();
  EXPECT_EQ(running + waiting + starting, 10.0 + 60.0 + 14.0);
  EXPECT_EQ(value("equipoise_goodput_ratio", {{"training_job", id}}), 12.0 / 84.0);
  EXPECT_EQ(value("equipoise_restarts_total", {{"training_job", id}, {"cause", "infrastructure"}}), 1.0);
}

TEST_F(JobMetricsOfACore, TheTimeOfTheNewestStepIsThatOfTheWallClock) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  EXPECT_EQ(value("equipoise_last_step_timestamp_seconds", {{"training_job", id}}), std::nullopt);
  do_steps(id, 1, 1);
  const double then = std::chrono::duration<double>(clock_.wall().time_since_epoch()).count() - 2;
  EXPECT_EQ(value("equipoise_last_step_timestamp_seconds", {{"training_job", id}}), then);
  EXPECT_EQ(value("equipoise_train_planned_steps", {{"training_job", id}}), 10.0);
}

TEST_F(JobMetricsOfACore, RisingEvaluationsOfTheWorstGroupAreCountedUntilOneIsNotAbove) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto rising = [&] {
    return value("equipoise_worst_group_rising_evaluations", {{"training_job", id}, {"split", "validation"}});
  };
  evaluate(id, 0.5, 0.6);
  EXPECT_EQ(rising(), 0.0);
  evaluate(id, 0.7, 0.1);  // another group is the worst one now
  EXPECT_EQ(rising(), 1.0);
  evaluate(id, 0.1, 0.8);
  EXPECT_EQ(rising(), 2.0);
  evaluate(id, 0.8, 0.1);
  EXPECT_EQ(rising(), 0.0) << "as high as before is not above";
  evaluate(id, std::numeric_limits<double>::quiet_NaN(), 0.1);
  EXPECT_EQ(rising(), 1.0);
}

TEST_F(JobMetricsOfACore, ACheckpointTellsItsSizeTimeAndDuration) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_steps(id, 1, 2);
  auto commit = commit_request(id, 1, 2);
  commit.mutable_duration()->set_seconds(3);
  commit.mutable_duration()->set_nanos(500'000'000);
  calls().commit_checkpoint(commit);
  const Labels of_job = {{"training_job", id}};
  EXPECT_EQ(value("equipoise_checkpoints_total", of_job), 1.0);
  EXPECT_EQ(value("equipoise_checkpoint_step", of_job), 2.0);
  EXPECT_EQ(value("equipoise_checkpoint_bytes", of_job), 100.0);
  EXPECT_EQ(value("equipoise_checkpoint_duration_seconds", of_job), 3.5);
  EXPECT_EQ(value("equipoise_checkpoint_timestamp_seconds", of_job),
            std::chrono::duration<double>(clock_.wall().time_since_epoch()).count());
}

TEST_F(JobMetricsOfACore, ANegativeDurationOfACheckpointIsRefused) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_steps(id, 1, 2);
  auto commit = commit_request(id, 1, 2);
  commit.mutable_duration()->set_seconds(-1);
  EXPECT_THAT(error_of([&] { calls().commit_checkpoint(commit); }).text, ::testing::HasSubstr("duration is negative"));
  EXPECT_EQ(value("equipoise_checkpoints_total", {{"training_job", id}}), 0.0);
}

TEST_F(JobMetricsOfACore, RanksAreCountedByPhaseAndNotEachByItself) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 3);
  for (const int rank : {0, 1, 2}) {
    auto beat = heartbeat_request(id, 1, rank);
    beat.set_rank_phase(rank == 0 ? v1::RANK_PHASE_EVALUATING : v1::RANK_PHASE_READING_DATA);
    beat.set_progress(1);
    calls().heartbeat(beat);
    pass(1s);
  }
  EXPECT_EQ(value("equipoise_ranks", {{"training_job", id}, {"phase", "reading_data"}}), 2.0);
  EXPECT_EQ(value("equipoise_ranks", {{"training_job", id}, {"phase", "evaluating"}}), 1.0);
  EXPECT_EQ(value("equipoise_ranks", {{"training_job", id}, {"phase", "unknown"}}), 0.0);
  EXPECT_EQ(value("equipoise_rank_lag_seconds", {{"training_job", id}, {"statistic", "max"}}), 3.0);
  EXPECT_EQ(value("equipoise_rank_lag_seconds", {{"training_job", id}, {"statistic", "median"}}), 2.0);
  jobs().cancel(id);
  pass(60s);
  EXPECT_EQ(value("equipoise_ranks", {{"training_job", id}, {"phase", "reading_data"}}), 0.0);
  EXPECT_EQ(value("equipoise_rank_lag_seconds", {{"training_job", id}, {"statistic", "max"}}), 0.0);
}

// Prometheus' increase() does not see a counter that begins with 1.
TEST_F(JobMetricsOfACore, CountersOfAlertsBeginAtZero) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  for (const std::string cause : {"infrastructure", "preemption", "coordinator"}) {
    EXPECT_EQ(value("equipoise_restarts_total", {{"training_job", id}, {"cause", cause}}), 0.0);
  }
  for (const std::string group : {"north", "south"}) {
    EXPECT_EQ(value("equipoise_skipped_updates_total", {{"training_job", id}, {"group", group}}), 0.0);
  }
  EXPECT_EQ(value("equipoise_skipped_gradients_total", {{"training_job", id}}), 0.0);
  EXPECT_EQ(value("equipoise_checkpoints_total", {{"training_job", id}}), 0.0);
  EXPECT_EQ(value("equipoise_job_info", {{"training_job", id}, {"name", "survey"}}), 1.0);
}

// The number of a job's series follows from its groups alone: 4 ranks have no more than 2 have.
TEST_F(JobMetricsOfACore, MoreRanksMakeNoMoreSeries) {
  const auto of_two = running_job(v1::LAUNCH_MODE_EXTERNAL, 2), of_four = running_job(v1::LAUNCH_MODE_EXTERNAL, 4);
  pass(2s);
  const auto all_but_times = [&](const std::string& id) {  // which are of the states that a job has been in
    auto series = series_of(id);
    std::erase_if(series,
                  [](const std::string& name) { return name.starts_with("equipoise_job_state_seconds_total"); });
    return series;
  };
  EXPECT_EQ(all_but_times(of_two), all_but_times(of_four));
}

TEST_F(JobMetricsOfACore, EverySeriesOfADeletedJobIsGone) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_steps(id, 1, 3);
  evaluate(id, 0.5, 0.6);
  auto commit = commit_request(id, 1, 2);
  commit.mutable_duration()->set_seconds(1);
  calls().commit_checkpoint(commit);
  EXPECT_GT(series_of(id).size(), 40U);
  jobs().cancel(id);
  pass(60s);
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
  jobs().remove(id);
  EXPECT_THAT(series_of(id), testing::IsEmpty());
  pass(5s);
  EXPECT_THAT(series_of(id), testing::IsEmpty());
}

TEST_F(JobMetricsOfACore, JobsAreCountedByState) {
  running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1)));
  pass(2s);
  EXPECT_EQ(value("equipoise_jobs", {{"state", "running"}}), 1.0);
  EXPECT_EQ(value("equipoise_jobs", {{"state", "queued"}}), 1.0);
  EXPECT_EQ(value("equipoise_jobs", {{"state", "failed"}}), 0.0);
}

TEST_F(JobMetricsOfACore, SlotsAreThoseOfTheHostfile) {
  pass(2s);
  EXPECT_EQ(value("equipoise_slots", {{"state", "free"}}), std::nullopt) << "there is no hostfile";
  settings_.supervisor.hosts = {{.name = "node1", .slots = 4}, {.name = "node2", .slots = 2}};
  restart();
  running_job(v1::LAUNCH_MODE_COORDINATOR, 3);
  pass(2s);
  EXPECT_EQ(value("equipoise_slots", {{"state", "free"}}), 3.0);
  EXPECT_EQ(value("equipoise_slots", {{"state", "used"}}), 3.0);
  EXPECT_EQ(value("equipoise_slots", {{"state", "unavailable"}}), 0.0);
}

TEST_F(JobMetricsOfACore, TheProcessIsThisOne) {
  EXPECT_GT(value("process_resident_memory_bytes").value(), 1e6);
  EXPECT_GE(value("process_cpu_seconds_total").value(), 0);
  EXPECT_GE(value("process_threads").value(), 1);
  EXPECT_GE(value("process_max_fds").value(), value("process_open_fds").value());
  std::ifstream uptime_file("/proc/uptime");
  double uptime = 0;
  uptime_file >> uptime;
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double start = value("process_start_time_seconds").value();
  EXPECT_LE(start, now + 2) << "btime is in whole seconds";
  EXPECT_GE(start, now - uptime - 2);
}

TEST_F(JobMetricsOfACore, OneMoreOpenDescriptorIsCounted) {
  const double before = value("process_open_fds").value();
  const std::ifstream file("/proc/self/stat");
  EXPECT_EQ(value("process_open_fds"), before + 1);
}

TEST_F(JobMetricsOfACore, TheBuildIsNamed) {
  metrics_->show_build({.version = "1.2.3", .revision = "0123abcd"});
  EXPECT_EQ(value("equipoise_build_info", {{"version", "1.2.3"}, {"revision", "0123abcd"}}), 1.0);
}

}  // namespace job_metrics_test
}  // namespace equipoise::coordinator

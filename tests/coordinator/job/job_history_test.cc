#include "coordinator/job/job_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace job_history_test {

using Code = Refusal::Code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class JobHistoryTest : public ControllerFixture {
 protected:
  template <typename Request>
  static Request of(const std::string& id, int page_size = 0, const std::string& page_token = "") {
    Request request;
    request.set_id(id);
    request.set_page_size(page_size);
    request.set_page_token(page_token);
    return request;
  }
  JobHistory& history() { return core_->history(); }
};

TEST_F(JobHistoryTest, AnAttemptHasItsStartItsRanksAndItsEnd) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  auto running = history().attempts(of<v1::ListAttemptsRequest>(id));
  ASSERT_EQ(running.attempts_size(), 1);
  EXPECT_EQ(running.attempts(0).generation(), 1);
  EXPECT_EQ(running.attempts(0).world_size(), 2);
  EXPECT_EQ(running.attempts(0).start_step(), 0);
  EXPECT_TRUE(running.attempts(0).has_start_time());
  EXPECT_FALSE(running.attempts(0).has_end_time());
  v1::FailWorkerRequest failure;
  failure.set_job_id(id);
  failure.set_generation(1);
  failure.set_kind(v1::FAILURE_KIND_PROGRAM);
  failure.set_reason("step 3: the loss is not finite");
  calls().fail_worker(failure);
  const auto ended = history().attempts(of<v1::ListAttemptsRequest>(id));
  EXPECT_TRUE(ended.attempts(0).has_end_time());
  EXPECT_THAT(ended.attempts(0).end_reason(), HasSubstr("step 3: the loss is not finite"));
}

TEST_F(JobHistoryTest, EventsAreTheStatesInTheirOrder) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  std::vector<v1::JobState> states;
  std::vector<std::int64_t> generations;
  v1::ListEventsRequest request = of<v1::ListEventsRequest>(id, 1);
  do {
    const auto page = history().events(request);
    ASSERT_EQ(page.events_size(), 1);
    states.push_back(page.events(0).state());
    generations.push_back(page.events(0).generation());
    EXPECT_FALSE(page.events(0).text().empty());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(states, ElementsAre(v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING));
  EXPECT_THAT(generations, ElementsAre(0, 1, 1));
}

// Nobody could say afterwards who had asked for what, and when.
TEST_F(JobHistoryTest, EventsAreWhatPeopleAskForToo) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  v1::UpdateTrainingJobRequest update;
  update.set_id(id);
  update.mutable_settings()->set_step_size(0.25);
  update.mutable_settings()->set_max_steps(8);
  jobs().update(update, "ann");
  v1::CheckpointTrainingJobRequest checkpoint;
  checkpoint.set_id(id);
  jobs().checkpoint(checkpoint);
  v1::ApplySettingsRequest apply;
  apply.set_job_id(id);
  apply.set_generation(1);
  apply.set_step(1);
  apply.set_version(1);
  calls().apply_settings(apply);
  std::vector<std::string> texts;
  for (const v1::JobEvent& event : history().events_after(id, 0, 100)) {
    if (event.state() == v1::JOB_STATE_UNSPECIFIED) texts.push_back(event.text());
  }
  EXPECT_THAT(
      texts, ElementsAre("step_size 0.25, max_steps 8 was asked for by \"ann\"", "a checkpoint was asked for at step 1",
                         "step_size 0.25, max_steps 8 holds from step 1 on"));
}

TEST_F(JobHistoryTest, RequestsPushNoStatesOut) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  v1::CheckpointTrainingJobRequest checkpoint;
  checkpoint.set_id(id);
  for (int i = 0; i < 1100; ++i) jobs().checkpoint(checkpoint);
  const auto events = history().events_after(id, 0, 2000);
  EXPECT_EQ(events.size(), 203U);
  EXPECT_EQ(events.front().state(), v1::JOB_STATE_QUEUED);
}

// As the webhook asks for them.
TEST_F(JobHistoryTest, EventsAfterARevisionAreThoseThatAreNewer) {
  store_->watch_events();
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto all = history().events_after(id, 0, 100);
  ASSERT_EQ(all.size(), 3U) << "queued, starting, running";
  const auto newer = history().events_after(id, all[0].revision(), 1);
  ASSERT_EQ(newer.size(), 1U);
  EXPECT_EQ(newer[0].SerializeAsString(), all[1].SerializeAsString());
  EXPECT_EQ(store_->newest_events(), (std::map<std::string, std::int64_t>{{id, all[2].revision()}}));
  EXPECT_EQ(store_->take_jobs_with_events(), std::set<std::string>{id});
  EXPECT_TRUE(store_->take_jobs_with_events().empty()) << "nothing has happened since";
}

TEST_F(JobHistoryTest, CheckpointsAreThoseThatAreThereByPage) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  for (int step = 0; step < 4; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  for (const int step : {1, 2, 4}) calls().commit_checkpoint(commit_request(id, 1, step));
  store_->mark_checkpoints_deleted(id, {2});
  const auto first = history().checkpoints(of<v1::ListCheckpointsRequest>(id, 1));
  ASSERT_EQ(first.checkpoints_size(), 1);
  EXPECT_EQ(first.checkpoints(0).step(), 1);
  EXPECT_EQ(first.checkpoints(0).manifest_digest().size(), 32u);
  const auto second = history().checkpoints(of<v1::ListCheckpointsRequest>(id, 1, first.next_page_token()));
  ASSERT_EQ(second.checkpoints_size(), 1);
  EXPECT_EQ(second.checkpoints(0).step(), 4);
  EXPECT_EQ(second.next_page_token(), "");
}

TEST_F(JobHistoryTest, AnotherJobsTokenAndAnUnknownJobAreRefused) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1), other = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const std::string token = history().events(of<v1::ListEventsRequest>(id, 1)).next_page_token();
  EXPECT_NO_THROW(history().events(of<v1::ListEventsRequest>(id, 1, token)));
  EXPECT_THAT(error_of([&] { history().events(of<v1::ListEventsRequest>(other, 1, token)); }).text,
              HasSubstr("page_token is not one"));
  EXPECT_THAT(error_of([&] { history().attempts(of<v1::ListAttemptsRequest>(id, 1, token)); }).text,
              HasSubstr("page_token is not one"));
  EXPECT_EQ(error_of([&] { history().checkpoints(of<v1::ListCheckpointsRequest>("none")); }).code, Code::kNotFound);
  EXPECT_THAT(error_of([&] { history().events(of<v1::ListEventsRequest>(id, 1001)); }).text,
              HasSubstr("page_size is 1001, expected 1 to 1000"));
}

}  // namespace job_history_test
}  // namespace equipoise::coordinator

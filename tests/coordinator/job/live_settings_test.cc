// Settings that people change while a job runs: what is taken, from which step on it holds, and that steps which are
// done again, read again or replayed have the same bits.
#include "coordinator/job/live_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "coordinator/job/record_check.h"
#include "coordinator/job/step_history.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace job_settings_test {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Code = Refusal::Code;

std::vector<double> losses_of(std::int64_t step) {
  return {0.2 + 0.01 * static_cast<double>(step % 7), 1.0 - 0.02 * static_cast<double>(step % 5)};
}

class JobSettings : public ControllerFixture {
 protected:
  static v1::JobSpec spec_of(int workers = 1) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers);
    spec.mutable_training()->set_max_steps(100);
    spec.mutable_launch()->set_max_restarts(3);
    return spec;
  }
  static v1::UpdateTrainingJobRequest request_for(const std::string& id, const v1::TrainingJobSettings& settings) {
    v1::UpdateTrainingJobRequest request;
    request.set_id(id);
    *request.mutable_settings() = settings;
    return request;
  }
  v1::TrainingJob set_trade_off(const std::string& id, double trade_off) {
    v1::TrainingJobSettings settings;
    settings.set_trade_off(trade_off);
    return jobs().update(request_for(id, settings));
  }
  v1::TrainingJob set_step_size(const std::string& id, double step_size) {
    v1::TrainingJobSettings settings;
    settings.set_step_size(step_size);
    return jobs().update(request_for(id, settings));
  }
  v1::TrainingJob set_max_steps(const std::string& id, std::int64_t max_steps) {
    v1::TrainingJobSettings settings;
    settings.set_max_steps(max_steps);
    return jobs().update(request_for(id, settings));
  }
  v1::ApplySettingsResponse apply(const std::string& id, std::int64_t step, std::int64_t version) {
    v1::ApplySettingsRequest request;
    request.set_job_id(id);
    request.set_generation(job(id).generation());
    request.set_step(step);
    request.set_version(version);
    return calls().apply_settings(request);
  }
  v1::ReportStepResponse report(const std::string& id, std::int64_t step) {
    return calls().report_step(step_request(id, job(id).generation(), step, losses_of(step)));
  }
  void steps(const std::string& id, std::int64_t first, std::int64_t end) {
    for (std::int64_t step = first; step < end; ++step) report(id, step);
  }
  // The rank of the attempt is killed, and the next attempt goes on from `point`.
  v1::StartTrainingResponse start_again(const std::string& id, const v1::ResumePoint& point) {
    mpirun_exits(id, 137);
    const auto before = job(id).generation();
    pass(std::chrono::seconds(10));
    EXPECT_EQ(job(id).generation(), before + 1) << job(id).state_reason();
    auto registration = register_request(id, 0, 0, 1);
    registration.set_attempt_token(launcher_.started.back().token);
    calls().register_worker(registration);
    auto request = start_request(id, job(id).generation());
    *request.mutable_resume() = point;
    return calls().start_training(request);
  }
  std::vector<v1::GroupWeightRecord> history(const std::string& id) {
    v1::ListGroupWeightsRequest request;
    request.set_id(id);
    const auto page = jobs().group_weights(request);
    return {page.records().begin(), page.records().end()};
  }
  // What Algorithm 1 gives, written down once more: after each step alpha_south / alpha_north, from which alpha
  // follows.
  struct Recursion {
    double log_ratio = 0;
    double step_size = 0.5, trade_off = 1;
    void step(std::int64_t number) {
      const std::vector<double> losses = losses_of(number);
      log_ratio += step_size * trade_off * (losses[1] - losses[0]);
    }
    double north() const { return 1 / (1 + std::exp(log_ratio)); }
  };
};

TEST_F(JobSettings, HoldFromTheBoundaryAtWhichRank0AppliesThem) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 5);
  const auto asked = set_trade_off(id, 0.5);
  ASSERT_THAT(asked.settings_changes(), SizeIs(1));
  EXPECT_FALSE(asked.settings_changes(0).has_effective_step());
  EXPECT_EQ(asked.settings_changes(0).version(), 1);
  EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 0)).settings_version(), 1);
  steps(id, 5, 7);  // that were under way
  const auto answer = apply(id, 7, 1);
  ASSERT_THAT(answer.settings_changes(), SizeIs(1));
  EXPECT_EQ(answer.settings_changes(0).effective_step(), 7);
  EXPECT_EQ(answer.end_step(), 100);
  EXPECT_EQ(job(id).settings_changes(0).effective_step(), 7);
  steps(id, 7, 12);
  Recursion expected;
  const auto records = history(id);
  ASSERT_THAT(records, SizeIs(12));
  for (std::int64_t step = 0; step < 12; ++step) {
    if (step == 7) expected.trade_off = 0.5;
    expected.step(step);
    EXPECT_NEAR(records[static_cast<std::size_t>(step)].alpha(0), expected.north(), 1e-14) << step;
  }
}

// As of a run that is trained again, whose changes are on record with their steps.
TEST_F(JobSettings, OfARequestHoldFromTheStepsThatItSays) {
  const std::string changed = running_job(spec_of());
  steps(changed, 0, 7);
  set_trade_off(changed, 0.5);
  apply(changed, 7, 1);
  steps(changed, 7, 9);
  set_step_size(changed, 0.125);
  apply(changed, 9, 2);
  steps(changed, 9, 20);

  v1::JobSpec spec = spec_of();
  spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL);
  auto request = create_request(spec);
  request.set_request_id("again");
  *request.mutable_settings_changes() = job(changed).settings_changes();
  const std::string id = jobs().create(request, "anna").id();
  ASSERT_THAT(job(id).settings_changes(), SizeIs(2));
  EXPECT_EQ(job(id).settings_changes(1).effective_step(), 9);
  EXPECT_EQ(job(id).settings_changes(1).requester(), "anna");
  EXPECT_EQ(job(id).settings_changes(1).request_id(), "again");
  EXPECT_EQ(jobs().create(request).id(), id) << "the same request";
  request.mutable_settings_changes()->RemoveLast();
  EXPECT_EQ(error_of([&] { jobs().create(request); }).code, Code::kInvalidArgument) << "another one";
  calls().register_worker(register_request(id, 0, 0, 1));
  EXPECT_THAT(calls().start_training(start_request(id, 1)).settings_changes(), SizeIs(2));
  steps(id, 0, 20);
  const auto expected = history(changed), records = history(id);
  ASSERT_THAT(records, SizeIs(20));
  for (std::size_t step = 0; step < records.size(); ++step) {
    EXPECT_EQ(records[step].alpha(0), expected[step].alpha(0)) << step;
  }
}

TEST_F(JobSettings, OfARequestAreRefusedWhereTheyAreNone) {
  const auto refusal_with = [&](const auto& edit) {
    auto request = create_request(spec_of());
    v1::SettingsChange& change = *request.add_settings_changes();
    change.set_version(1);
    change.set_effective_step(3);
    change.mutable_settings()->set_trade_off(0.5);
    edit(request, change);
    return error_of([&] { jobs().create(request); }).text;
  };
  using Request = v1::CreateTrainingJobRequest;
  EXPECT_THAT(refusal_with([](Request&, auto& change) { change.set_version(0); }),
              HasSubstr("settings_changes[0] has version 0, expected more than 0"));
  EXPECT_THAT(refusal_with([](Request& request, auto& change) { *request.add_settings_changes() = change; }),
              HasSubstr("settings_changes[1] has version 1, expected more than 1"));
  EXPECT_THAT(refusal_with([](Request&, auto& change) { change.clear_effective_step(); }),
              HasSubstr("settings_changes[0] has no effective_step"));
  EXPECT_THAT(refusal_with([](Request&, auto& change) { change.set_effective_step(-1); }),
              HasSubstr("settings_changes[0] has no effective_step"));
  EXPECT_THAT(refusal_with([](Request&, auto& change) { change.mutable_settings()->set_priority(1); }),
              HasSubstr("priority, which is no setting of a step"));
  EXPECT_THAT(refusal_with([](Request&, auto& change) { change.clear_settings(); }),
              HasSubstr("none that is to change"));
  EXPECT_THAT(refusal_with([](Request&, auto& change) { change.mutable_settings()->set_trade_off(2); }),
              HasSubstr("robust.trade_off"));
  EXPECT_THAT(refusal_with([](Request& request, auto&) {
                request.mutable_spec()->mutable_robust()->set_mode(v1::ROBUST_MODE_NONE);
              }),
              HasSubstr("trade_off and step_size are of robust.mode group_robust"));
  EXPECT_THAT(refusal_with([](Request& request, auto& change) {
                for (int version = 2; version <= 1001; ++version) {
                  *request.add_settings_changes() = change;
                  request.mutable_settings_changes(version - 1)->set_version(version);
                }
              }),
              HasSubstr("settings_changes has 1001, expected at most 1000"));
}

TEST_F(JobSettings, SayWhoAskedForThem) {
  const std::string id = running_job(spec_of());
  v1::TrainingJobSettings settings;
  settings.set_trade_off(0.5);
  auto request = request_for(id, settings);
  request.set_request_id("half");
  const v1::TrainingJob changed = jobs().update(request, "anna");
  EXPECT_EQ(changed.settings_changes(0).requester(), "anna");
  EXPECT_EQ(changed.settings_changes(0).request_id(), "half");
}

TEST_F(JobSettings, TheWeightsOfTheGradientHaveTheTradeOffOfTheirStep) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 3);
  set_trade_off(id, 0.25);
  apply(id, 3, 1);
  const auto answer = report(id, 3);
  for (int g = 0; g < 2; ++g) EXPECT_NEAR(answer.weight(g), 0.75 / 2 + 0.25 * answer.alpha(g), 1e-15);
}

TEST_F(JobSettings, AReportedStepIsAnsweredAlikeAfterLaterChangesAndRestarts) {
  const std::string id = running_job(spec_of());
  std::vector<v1::ReportStepResponse> answers;
  for (int step = 0; step < 60; ++step) {
    if (step == 20) {
      set_step_size(id, 0.125);
      apply(id, 20, 1);
    } else if (step == 40) {
      set_trade_off(id, 0.5);
      apply(id, 40, 2);
    }
    answers.push_back(report(id, step));
  }
  for (int round = 0; round < 2; ++round) {
    for (const int step : {59, 41, 40, 39, 21, 20, 19, 0}) {
      const auto again = calls().report_step(step_request(id, 1, step, losses_of(step)));
      EXPECT_EQ(again.SerializeAsString(), answers[static_cast<std::size_t>(step)].SerializeAsString()) << step;
    }
    EXPECT_EQ(history_fault(*store_, make_job_config(job(id).spec()), job(id)), "");
    restart();
  }
  const auto records = history(id);
  ASSERT_THAT(records, SizeIs(60));
  for (std::size_t step = 0; step < 60; ++step) {
    EXPECT_THAT(records[step].alpha(), ElementsAreArray(answers[step].alpha())) << step;
  }
}

TEST_F(JobSettings, AnAttemptFromAnEarlierCheckpointTakesThemUpAtTheSameStep) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 10);
  const auto point = checkpoint(id);
  steps(id, 10, 20);
  set_step_size(id, 0.0625);
  set_trade_off(id, 0.75);
  apply(id, 20, 2);
  std::vector<v1::ReportStepResponse> answers;
  for (int step = 20; step < 30; ++step) answers.push_back(report(id, step));
  const auto started = start_again(id, point);
  ASSERT_THAT(started.settings_changes(), SizeIs(2));
  for (const auto& change : started.settings_changes()) EXPECT_EQ(change.effective_step(), 20);
  EXPECT_EQ(started.step_size().step_size(), 0.5) << "before the change";
  steps(id, 10, 20);
  for (int step = 20; step < 30; ++step) {
    const auto again = report(id, step);
    EXPECT_EQ(again.SerializeAsString(), answers[static_cast<std::size_t>(step - 20)].SerializeAsString()) << step;
  }
}

TEST_F(JobSettings, ACheckpointOfTheStepOfAChangeIsFromBeforeIt) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 10);
  const auto before = checkpoint(id);
  set_step_size(id, 0.0625);
  apply(id, 10, 1);
  v1::GetGroupWeightsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  EXPECT_EQ(calls().group_weights(request).state().SerializeAsString(), before.weights().SerializeAsString());
  const auto first = report(id, 10);
  start_again(id, before);
  EXPECT_EQ(report(id, 10).SerializeAsString(), first.SerializeAsString());
}

TEST_F(JobSettings, ANewerChangeIsNotUndoneByAnOlderOneOfALaterStep) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 10);
  const auto point = checkpoint(id);
  steps(id, 10, 20);
  set_trade_off(id, 0.5);
  apply(id, 20, 1);
  steps(id, 20, 25);
  start_again(id, point);
  set_trade_off(id, 0.25);
  apply(id, 10, 2);
  steps(id, 10, 20);
  const auto answer = report(id, 20);
  EXPECT_NEAR(answer.weight(0), 0.75 / 2 + 0.25 * answer.alpha(0), 1e-15);
}

TEST_F(JobSettings, ACallThatComesLateChangesNothingThatItsRepetitionDidNot) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 5);
  set_trade_off(id, 0.5);
  const auto first = apply(id, 5, 1);
  set_trade_off(id, 0.25);  // while ranks have the answer, and the same call arrives again
  const auto late = apply(id, 5, 1);
  EXPECT_EQ(late.SerializeAsString(), first.SerializeAsString());
  EXPECT_FALSE(job(id).settings_changes(1).has_effective_step());
  const auto answer = report(id, 5);
  EXPECT_NEAR(answer.weight(0), 0.5 / 2 + 0.5 * answer.alpha(0), 1e-15);
  EXPECT_EQ(apply(id, 5, 1).SerializeAsString(), first.SerializeAsString()) << "also after the step";
  EXPECT_EQ(error_of([&] { apply(id, 7, 2); }).code, Code::kOutOfRange) << "step 6 is not on record";
  EXPECT_FALSE(job(id).settings_changes(1).has_effective_step());
}

TEST_F(JobSettings, SurviveTheCoordinatorAndHoldFromTheFirstStepOfTheNextAttempt) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 10);
  const auto point = checkpoint(id);
  set_trade_off(id, 0.5);
  restart();
  ASSERT_THAT(job(id).settings_changes(), SizeIs(1));
  pass(std::chrono::seconds(10));
  ASSERT_EQ(job(id).generation(), 2) << job(id).state_reason();
  auto registration = register_request(id, 0, 0, 1);
  registration.set_attempt_token(launcher_.started.back().token);
  calls().register_worker(registration);
  auto request = start_request(id, 2);
  *request.mutable_resume() = point;
  const auto started = calls().start_training(request);
  ASSERT_THAT(started.settings_changes(), SizeIs(1));
  EXPECT_EQ(started.settings_changes(0).effective_step(), 10);
  const auto answer = report(id, 10);
  EXPECT_NEAR(answer.weight(0), 0.5 / 2 + 0.5 * answer.alpha(0), 1e-15);
}

TEST_F(JobSettings, TheEndMovesAndRanksFinishThere) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 5);
  set_max_steps(id, 8);
  EXPECT_EQ(job(id).total_steps(), 100);
  EXPECT_EQ(apply(id, 5, 1).end_step(), 8);
  EXPECT_EQ(job(id).total_steps(), 8);
  steps(id, 5, 8);
  EXPECT_EQ(error_of([&] { report(id, 8); }).code, Code::kOutOfRange);
  EXPECT_THAT(error_of([&] { set_max_steps(id, 8); }).text, HasSubstr("expected more than the 8 steps that are done"));
}

TEST_F(JobSettings, AnEndBeyondTheSpecsIsThereAfterARestartToo) {
  const std::string id = running_job(spec_of());
  steps(id, 0, 5);
  const auto point = checkpoint(id);
  set_max_steps(id, 200);
  apply(id, 5, 1);
  const auto started = start_again(id, point);
  EXPECT_EQ(started.plan().end_step(), 200);
  EXPECT_EQ(started.plan().schedule_steps(), 100);
  EXPECT_EQ(job(id).total_steps(), 200);
}

TEST_F(JobSettings, ALearningRateThatEndsWithThePlanDoesNotReachFurther) {
  v1::JobSpec spec = spec_of();
  spec.mutable_optimizer()->mutable_schedule()->set_type(v1::SCHEDULE_TYPE_LINEAR);
  const std::string id = running_job(spec);
  EXPECT_THAT(error_of([&] { set_max_steps(id, 101); }).text, HasSubstr("expected at most 100"));
  EXPECT_EQ(set_max_steps(id, 50).settings_changes_size(), 1);
}

TEST_F(JobSettings, WhatIsNoneOfTheJobsIsRefused) {
  const std::string id = running_job(spec_of());
  v1::TrainingJobSettings settings;
  EXPECT_THAT(error_of([&] { jobs().update(request_for(id, settings)); }).text, HasSubstr("settings has none"));
  EXPECT_THAT(error_of([&] { set_trade_off(id, 1.5); }).text, HasSubstr("robust.trade_off is 1.5"));
  EXPECT_THAT(error_of([&] { set_step_size(id, -1); }).text, HasSubstr("robust.step_size is -1"));
  settings.set_priority(1001);
  EXPECT_THAT(error_of([&] { jobs().update(request_for(id, settings)); }).text, HasSubstr("priority is 1001"));
  settings.Clear();
  settings.set_trade_off(0.5);
  auto request = request_for(id, settings);
  request.mutable_update_mask()->add_paths("state");
  EXPECT_THAT(error_of([&] { jobs().update(request); }).text, HasSubstr("update_mask has \"state\""));
  request.mutable_update_mask()->set_paths(0, "step_size");
  EXPECT_THAT(error_of([&] { jobs().update(request); }).text, HasSubstr("settings.step_size is absent"));
  EXPECT_EQ(error_of([&] { set_trade_off("none", 0.5); }).code, Code::kNotFound);
  EXPECT_EQ(job(id).settings_changes_size(), 0);
  const std::string closed = jobs().create(create_request(two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.5))).id();
  EXPECT_EQ(error_of([&] { set_step_size(closed, 0.1); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(set_trade_off(closed, 0.5).settings_changes_size(), 1);
  jobs().cancel(closed);
  EXPECT_EQ(error_of([&] { set_trade_off(closed, 0.5); }).code, Code::kFailedPrecondition);
}

TEST_F(JobSettings, AMaskLeavesOutWhatItDoesNotName) {
  const std::string id = running_job(spec_of());
  v1::TrainingJobSettings settings;
  settings.set_trade_off(0.5);
  settings.set_step_size(0.25);
  auto request = request_for(id, settings);
  request.mutable_update_mask()->add_paths("step_size");
  const auto updated = jobs().update(request);
  EXPECT_FALSE(updated.settings_changes(0).settings().has_trade_off());
  EXPECT_EQ(updated.settings_changes(0).settings().step_size(), 0.25);
}

TEST_F(JobSettings, APriorityIsOfTheQueueAndWaitsForNoStep) {
  const std::string id = running_job(spec_of());
  v1::TrainingJobSettings settings;
  settings.set_priority(7);
  const auto updated = jobs().update(request_for(id, settings));
  EXPECT_EQ(updated.priority(), 7);
  EXPECT_EQ(updated.settings_changes_size(), 0);
  restart();
  EXPECT_EQ(job(id).priority(), 7);
}

TEST_F(JobSettings, ARecordWithAChangeThatIsNoneIsSetAside) {
  const std::string id = running_job(spec_of());
  v1::TrainingJob damaged = set_trade_off(id, 0.5);
  EXPECT_EQ(job_fault({.sequence = 1, .job = damaged}), "");
  damaged.mutable_settings_changes(0)->mutable_settings()->set_trade_off(std::nan(""));
  EXPECT_THAT(job_fault({.sequence = 1, .job = damaged}), HasSubstr("a change of settings that is none"));
  damaged.mutable_settings_changes(0)->mutable_settings()->set_trade_off(0.5);
  *damaged.add_settings_changes() = damaged.settings_changes(0);
  EXPECT_THAT(job_fault({.sequence = 1, .job = damaged}), HasSubstr("a change of settings that is none"));
}

}  // namespace job_settings_test
}  // namespace equipoise::coordinator

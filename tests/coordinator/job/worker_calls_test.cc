// Steps, finishing and failing, as ranks see them.
#include "coordinator/job/worker_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "tests/coordinator/support/controller_fixture.h"
#include "tests/coordinator/support/full_disk.h"

namespace equipoise::coordinator {
namespace worker_calls_test {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsNan;
using Code = Refusal::Code;

class WorkerCallsTest : public ControllerFixture {};

std::string bits(const v1::ReportStepResponse& response) { return response.SerializeAsString(); }

TEST_F(WorkerCallsTest, ARepeatedStepGetsTheStoredAnswerAndMovesNothing) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto first = bits(calls().report_step(step_request(id, 1, 0, {0.2, 1.0})));
  calls().report_step(step_request(id, 1, 1, {0.3, 0.9}));
  const auto revision = job(id).revision();
  EXPECT_EQ(bits(calls().report_step(step_request(id, 1, 0, {0.2, 1.0}))), first);
  EXPECT_EQ(job(id).revision(), revision);
  EXPECT_EQ(job(id).step(), 2);
}

// The disk of the output is full. They would give it up in a collective.
TEST_F(WorkerCallsTest, RankZeroThatWaitsForRoomKeepsTheOthersWaiting) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2), other = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  auto first = heartbeat_request(id, 1, 0), second = heartbeat_request(id, 1, 1);
  EXPECT_FALSE(calls().heartbeat(second).is_held());
  second.set_waits_for_room(true);
  EXPECT_FALSE(calls().heartbeat(second).is_held()) << "rank 0 alone writes";
  first.set_waits_for_room(true);
  calls().heartbeat(first);
  EXPECT_TRUE(calls().heartbeat(second).is_held());
  EXPECT_FALSE(calls().heartbeat(heartbeat_request(other, 1, 0)).is_held());
  EXPECT_EQ(calls().report_step(step_request(id, 1, 0, {0.2, 1.0})).step(), 0) << "what is under way is taken";
  first.set_waits_for_room(false);
  calls().heartbeat(first);
  EXPECT_FALSE(calls().heartbeat(second).is_held());
}

TEST_F(WorkerCallsTest, ARepeatedStepGetsTheStoredAnswerAlsoAfterARestart) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto request = step_request(id, 1, 0, {0.2, 1.0});
  const auto answer = calls().report_step(request);
  const auto first = bits(answer);
  EXPECT_EQ(answer.alpha_size(), 2);
  restart();
  EXPECT_EQ(bits(calls().report_step(request)), first);
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 0, {0.2, 1.1})); }).code, Code::kAborted);
  EXPECT_EQ(calls().report_step(step_request(id, 1, 1, {0.2, 1.1})).step(), 1) << "and the job goes on";
}

// Ranks write alpha into metrics.jsonl: the answers have it, so that nobody needs to ask again.
TEST_F(WorkerCallsTest, EveryAnswerCarriesAlphaOfAllGroups) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  EXPECT_THAT(calls().start_training(start_request(id, 1)).alpha(), ElementsAre(0.5, 0.5));
  v1::GetGroupWeightsRequest now;
  now.set_job_id(id);
  now.set_generation(1);
  std::vector<std::string> answers;
  for (std::int64_t step = 0; step < 3; ++step) {
    const auto answer = calls().report_step(step_request(id, 1, step, {0.2, 1.0 + static_cast<double>(step)}));
    EXPECT_THAT(answer.alpha(), ElementsAreArray(calls().group_weights(now).alpha())) << step;
    answers.push_back(bits(answer));
  }
  auto of_one_group = step_request(id, 1, 3, {0.9});
  EXPECT_EQ(calls().report_step(of_one_group).alpha_size(), 2);
  // An old step's answer has the alpha of its time.
  EXPECT_EQ(bits(calls().report_step(step_request(id, 1, 1, {0.2, 2.0}))), answers[1]);
}

TEST_F(WorkerCallsTest, OtherNumbersForAKnownStepAreRefusedAndChangeNothing) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  const double weight = job(id).groups(0).weight();
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 0, {0.2, 1.5})); }).code, Code::kAborted);
  EXPECT_EQ(job(id).groups(0).weight(), weight);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(WorkerCallsTest, OnlyTheNextStepOfThePlanIsApplied) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  EXPECT_EQ(error_of([&] {
              calls().report_step(step_request(id, 1, 1, {0.2, 1.0}));
            }).text,
            "job " + id + ": step is 1, expected 0");
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, -1, {0.2, 1.0})); }).code, Code::kOutOfRange);
  do_all_steps(id);
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 10, {0.2, 1.0})); }).code, Code::kOutOfRange);
}

// Losses that differ from step to step.
std::vector<double> losses_of(int step) { return {0.2 + 0.01 * step, 1.0 / (1 + step)}; }

v1::ReportStepsRequest steps_request(const std::string& job, int first, int end) {
  v1::ReportStepsRequest request;
  request.set_job_id(job);
  request.set_generation(1);
  for (int step = first; step < end; ++step) *request.add_steps() = step_request("", 0, step, losses_of(step));
  return request;
}

TEST_F(WorkerCallsTest, ManyStepsInOneMessageAreTheStepsOneByOne) {
  const auto one_by_one = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto at_once = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  std::vector<double> weight;
  for (int step = 0; step < 7; ++step) {
    const auto answer = calls().report_step(step_request(one_by_one, 1, step, losses_of(step)));
    weight.insert(weight.end(), answer.weight().begin(), answer.weight().end());
  }
  EXPECT_THAT(calls().report_steps(steps_request(at_once, 0, 7)).weight(), ::testing::ElementsAreArray(weight));
  EXPECT_EQ(job(at_once).step(), 7);
  EXPECT_EQ(job(at_once).groups(0).weight(), job(one_by_one).groups(0).weight());
  for (int step = 0; step < 7; ++step) {  // and on record one by one
    EXPECT_EQ(calls().report_step(step_request(at_once, 1, step, losses_of(step))).weight(0),
              weight[2 * static_cast<std::size_t>(step)]);
  }
}

TEST_F(WorkerCallsTest, StepsThatAreKnownAtTheStartOfAMessageAreNotAppliedAgain) {
  const auto once = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto twice = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto whole = calls().report_steps(steps_request(once, 0, 7)).SerializeAsString();
  calls().report_steps(steps_request(twice, 0, 4));
  EXPECT_EQ(calls().report_steps(steps_request(twice, 0, 7)).SerializeAsString(), whole);
  EXPECT_EQ(calls().report_steps(steps_request(twice, 0, 7)).SerializeAsString(), whole);
  EXPECT_EQ(job(twice).step(), 7);
  restart();
  EXPECT_EQ(calls().report_steps(steps_request(twice, 0, 7)).SerializeAsString(), whole);
}

TEST_F(WorkerCallsTest, LateRanksOfAQueuedJobAreToldThatTheirAttemptIsOver) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_launch()->set_max_restarts(1);
  const auto id = running_job(spec);
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  core_->attempts().begin_shutdown();
  restart();
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_QUEUED);
  v1::GetGroupWeightsRequest weights;
  weights.set_job_id(id);
  weights.set_generation(1);
  v1::ApplySettingsRequest settings;
  settings.set_job_id(id);
  settings.set_generation(1);
  const std::vector<std::function<void()>> late = {[&] {
                                                     calls().report_step(step_request(id, 1, 1, {0.2, 1.0}));
                                                   },
                                                   [&] { calls().report_steps(steps_request(id, 1, 3)); },
                                                   [&] { calls().group_weights(weights); },
                                                   [&] { calls().apply_settings(settings); },
                                                   [&] { calls().commit_checkpoint(commit_request(id, 1, 1)); },
                                                   [&] { calls().finish_worker(finish_request(id, 1, 0, 'x')); }};
  for (std::size_t call = 0; call < late.size(); ++call) {
    try {
      late[call]();
      ADD_FAILURE() << "call " << call << " was taken";
    } catch (const Refusal& refusal) {
      EXPECT_EQ(refusal.reason(), ErrorReason::kStaleGeneration) << "call " << call << ": " << refusal.what();
    }
  }
}

TEST_F(WorkerCallsTest, OneRefusedStepOfAMessageLeavesAllOfThemOut) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  auto request = steps_request(id, 0, 5);
  request.mutable_steps(4)->set_loss_sum(0, std::numeric_limits<double>::infinity());
  EXPECT_THAT(error_of([&] { calls().report_steps(request); }).text, HasSubstr("step 4: loss_sum of group"));
  EXPECT_EQ(job(id).step(), 0);
  EXPECT_EQ(error_of([&] { calls().report_steps(steps_request(id, 0, 11)); }).code, Code::kOutOfRange);
  EXPECT_EQ(error_of([&] { calls().report_steps(steps_request(id, 1, 2)); }).code, Code::kOutOfRange);
  request = steps_request(id, 0, 5);
  request.mutable_steps(3)->set_step(2);
  EXPECT_EQ(error_of([&] { calls().report_steps(request); }).text, "steps[3].step is 2, expected 3");
  EXPECT_EQ(error_of([&] { calls().report_steps(steps_request(id, 0, 0)); }).text,
            "steps has 0 steps, expected 1 to 65536 with 2 groups");
  EXPECT_EQ(job(id).step(), 0);
  EXPECT_EQ(job(id).groups(0).weight(), 0.5);
}

// Of each step the weights of all groups are computed, kept and stored.
TEST_F(WorkerCallsTest, AMessageForManyGroupsHasFewSteps) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
  calls().register_worker(registration(id, 0, 1));
  auto start = start_request(id, 1);
  start.clear_group_names();
  start.clear_group_pair_count();
  for (int g = 0; g < 4096; ++g) {
    start.add_group_names("g" + std::to_string(g));
    start.add_group_pair_count(1);
  }
  start.set_num_pairs(4096);
  calls().start_training(start);
  EXPECT_EQ(error_of([&] { calls().report_steps(steps_request(id, 0, 257)); }).text,
            "steps has 257 steps, expected 1 to 256 with 4096 groups");
  EXPECT_EQ(job(id).step(), 0);
  calls().report_steps(steps_request(id, 0, 3));
  EXPECT_EQ(job(id).step(), 3);
}

TEST_F(WorkerCallsTest, OtherNumbersInAMessageOfKnownStepsAreRefused) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  calls().report_steps(steps_request(id, 0, 3));
  auto request = steps_request(id, 0, 5);
  request.mutable_steps(1)->set_loss_sum(0, 9);
  EXPECT_EQ(error_of([&] { calls().report_steps(request); }).code, Code::kAborted);
  EXPECT_EQ(job(id).step(), 3);
}

TEST_F(WorkerCallsTest, AnotherGenerationIsFenced) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  for (const std::int64_t generation : {0, 2}) {
    const auto refused = error_of([&] { calls().report_step(step_request(id, generation, 0, {0.2, 1.0})); });
    EXPECT_EQ(refused.code, Code::kFailedPrecondition);
    EXPECT_THAT(refused.text, HasSubstr("its newest is 1"));
    EXPECT_EQ(error_of([&] { calls().heartbeat(heartbeat_request(id, generation, 0)); }).code,
              Code::kFailedPrecondition);
  }
}

TEST_F(WorkerCallsTest, WhatRanksWarnOfIsAConditionOnce) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  auto request = heartbeat_request(id, 1, 0);
  request.add_warnings("memory may\nnot suffice");
  request.add_warnings("field \"margin\" is not used");
  calls().heartbeat(request);
  calls().heartbeat(request);  // its answer was lost
  request.set_rank(1);
  calls().heartbeat(request);
  EXPECT_THAT(job(id).conditions(), ElementsAre("memory may not suffice", "field \"margin\" is not used"));
  request.clear_warnings();
  for (int i = 0; i < 17; ++i) request.add_warnings(std::string(1, static_cast<char>('a' + i)));
  EXPECT_EQ(error_of([&] { calls().heartbeat(request); }).text, "warnings has 17 sentences, expected at most 16");
  request.mutable_warnings()->RemoveLast();
  request.set_warnings(0, std::string(5000, 'x'));
  calls().heartbeat(request);
  EXPECT_EQ(job(id).conditions_size(), 16);
  EXPECT_EQ(job(id).conditions(0), std::string(1024, 'x'));
}

TEST_F(WorkerCallsTest, ASkippedStepIsNamedInTheConditionsAndKeepsAlpha) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  auto request = step_request(id, 1, 0, {0.2, std::numeric_limits<double>::quiet_NaN()});
  request.add_non_finite_group(1);
  EXPECT_THAT(calls().report_step(request).weight(), ElementsAre(0.5, 0.5));
  EXPECT_EQ(job(id).step(), 1);
  EXPECT_EQ(job(id).groups(1).weight(), 0.5);
  ASSERT_EQ(job(id).conditions_size(), 1);
  EXPECT_EQ(job(id).conditions(0), "step 0 was skipped: the loss of group \"south\" was not finite");
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(WorkerCallsTest, ManySkippedStepsDoNotPushOutOtherConditions) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  auto warned = heartbeat_request(id, 1, 0);
  std::vector<std::string> wanted;
  for (int i = 0; i < 12; ++i) warned.add_warnings(wanted.emplace_back("field " + std::to_string(i) + " is not used"));
  calls().heartbeat(warned);
  for (int step = 0; step < 9; ++step) {
    auto request = step_request(id, 1, step, {0.2, std::numeric_limits<double>::quiet_NaN()});
    request.add_non_finite_group(1);
    calls().report_step(request);
  }
  for (int step = 5; step < 9; ++step) {
    wanted.push_back("step " + std::to_string(step) + " was skipped: the loss of group \"south\" was not finite");
  }
  EXPECT_THAT(job(id).conditions(), ElementsAreArray(wanted));
}

TEST_F(WorkerCallsTest, AWarningOfManyStepsDoesNotPushOutOtherConditions) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  std::vector<std::string> wanted;
  auto warned = heartbeat_request(id, 1, 0);
  for (int i = 0; i < 12; ++i) warned.add_warnings(wanted.emplace_back("field " + std::to_string(i) + " is not used"));
  calls().heartbeat(warned);
  for (int step = 1; step < 40; ++step) {
    warned.clear_warnings();
    warned.add_warnings("step " + std::to_string(step) + ": the gradient is not finite, the update is skipped");
    calls().heartbeat(warned);
    if (step >= 36) wanted.push_back(warned.warnings(0));
  }
  EXPECT_THAT(job(id).conditions(), ElementsAreArray(wanted));
}

TEST_F(WorkerCallsTest, BadNumbersNameTheGroupAndLeaveTheStepOpen) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto refused = error_of([&] { calls().report_step(step_request(id, 1, 0, {0.2, INFINITY})); });
  EXPECT_THAT(refused.text, HasSubstr("group \"south\""));
  EXPECT_NO_THROW(calls().report_step(step_request(id, 1, 0, {0.2, 1.0})));
}

TEST_F(WorkerCallsTest, AStepThatCannotBeStoredIsNotAppliedAndCanBeReportedAgain) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  const auto before = job(id).SerializeAsString();
  bool is_refused = false;
  {
    const RefusingDisk full;
    try {
      calls().report_step(step_request(id, 1, 1, {0.2, 1.0}));
    } catch (const StoreError&) {
      is_refused = true;
    }
  }
  EXPECT_TRUE(is_refused);
  EXPECT_EQ(job(id).SerializeAsString(), before);
  const auto answer = calls().report_step(step_request(id, 1, 1, {0.2, 1.0}));
  // Two steps applied, each once.
  EXPECT_NEAR(std::log(answer.weight(1) / answer.weight(0)), 2 * 0.4, 1e-12);
}

TEST_F(WorkerCallsTest, StartTrainingGivesThePlanAndTheSameAnswerAgain) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  const auto answer = calls().start_training(start_request(id, 1));
  EXPECT_EQ(answer.plan().end_step(), 10);
  EXPECT_EQ(answer.plan().world_size(), 2);
  EXPECT_EQ(answer.plan().global_batch_size(), 4);
  EXPECT_THAT(answer.log_alpha(), ElementsAre(std::log(0.5), std::log(0.5)));
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  EXPECT_EQ(calls().start_training(start_request(id, 1)).SerializeAsString(), answer.SerializeAsString());
  auto other = start_request(id, 1);
  other.set_dataset_digest(std::string(32, 'e'));
  EXPECT_EQ(error_of([&] { calls().start_training(other); }).code, Code::kFailedPrecondition);
}

// Shares 2/3 and 1/3.
TEST_F(WorkerCallsTest, AClosedFormFollowsTheNewestLossesOfAllGroups) {
  const auto id = running_job(two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.8));
  const auto start = calls().start_training(start_request(id, 1));
  EXPECT_THAT(start.log_alpha(), ElementsAre(DoubleNear(std::log(2 / 3.), 1e-15), DoubleNear(std::log(1 / 3.), 1e-15)));
  EXPECT_THAT(start.group_loss(), ElementsAre(IsNan(), IsNan()));
  const double most_of_south = 1 / 3. / 0.8;
  EXPECT_THAT(calls().report_step(step_request(id, 1, 0, {0.2, 1.0})).weight(),
              ElementsAre(DoubleNear(1 - most_of_south, 1e-15), DoubleNear(most_of_south, 1e-15)));
  // North alone, now the better one still: south keeps its loss of 1.0 and its weight.
  EXPECT_THAT(calls().report_step(step_request(id, 1, 1, {0.9})).weight(),
              ElementsAre(DoubleNear(1 - most_of_south, 1e-15)));
  // And now the worse one.
  const double most_of_north = 2 / 3. / 0.8;
  EXPECT_THAT(calls().report_step(step_request(id, 1, 2, {1.1})).weight(),
              ElementsAre(DoubleNear(most_of_north, 1e-15)));
}

TEST_F(WorkerCallsTest, ASkippedStepOfAClosedFormMovesNeitherWeightsNorLosses) {
  const auto id = running_job(two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.8));
  const auto before = calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  auto skipped = step_request(id, 1, 1, {7.0, std::nan("")});
  skipped.add_non_finite_group(1);
  EXPECT_THAT(calls().report_step(skipped).weight(), ElementsAreArray(before.weight()));
  // South's loss is still 1.0 and north's 0.2.
  EXPECT_THAT(calls().report_step(step_request(id, 1, 2, {0.9})).weight(), ElementsAre(before.weight(0)));
}

TEST_F(WorkerCallsTest, StepsOfAClosedFormAreOnRecordWithTheirLosses) {
  const auto id = running_job(two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.8));
  const auto all_groups = step_request(id, 1, 1, {0.3, 1.0});
  calls().report_step(step_request(id, 1, 0, {0.2}));
  const auto answer = bits(calls().report_step(all_groups));
  restart();
  EXPECT_EQ(bits(calls().report_step(all_groups)), answer);
  v1::ListGroupWeightsRequest request;
  request.set_id(id);
  const auto history = jobs().group_weights(request);
  ASSERT_EQ(history.records_size(), 2);
  EXPECT_THAT(history.records(0).group_loss(), ElementsAre(0.2, IsNan()));
  EXPECT_THAT(history.records(1).group_loss(), ElementsAre(0.3, 1.0));
}

TEST_F(WorkerCallsTest, ManyStepsOfAClosedFormInOneMessageAreTheStepsOneByOne) {
  const auto spec = two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.8);
  const auto one_by_one = running_job(spec), at_once = running_job(spec);
  std::vector<double> weight;
  v1::ReportStepsRequest request;
  request.set_job_id(at_once);
  request.set_generation(1);
  for (int step = 0; step < 7; ++step) {
    const std::vector<double> losses = step % 2 == 0 ? std::vector{0.1 * step} : std::vector{0.1 * step, 0.4};
    const auto answer = calls().report_step(step_request(one_by_one, 1, step, losses));
    weight.insert(weight.end(), answer.weight().begin(), answer.weight().end());
    *request.add_steps() = step_request("", 0, step, losses);
  }
  EXPECT_THAT(calls().report_steps(request).weight(), ElementsAreArray(weight));
}

TEST_F(WorkerCallsTest, StartTrainingRefusesGroupsThatMakeNoSense) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
  calls().register_worker(register_request(id, 0, 0, 1));
  auto request = start_request(id, 1);
  request.set_group_names(1, "north");
  EXPECT_EQ(error_of([&] { calls().start_training(request); }).text,
            "group_names[1] is \"north\", which an earlier group has");
  for (const std::string name : {"a\x1b[2J",
                                 "a\xC2\x9B"
                                 "2J",
                                 "a\nb"}) {
    request.set_group_names(1, name);
    EXPECT_THAT(error_of([&] { calls().start_training(request); }).text, HasSubstr("without control characters"));
  }
  request = start_request(id, 1);
  request.set_group_pair_count(1, 0);
  EXPECT_EQ(error_of([&] { calls().start_training(request); }).text,
            "group_pair_count of group \"south\" is 0, expected a finite number > 0");
  request = start_request(id, 1);
  request.set_dataset_digest("short");
  EXPECT_THAT(error_of([&] { calls().start_training(request); }).text, HasSubstr("dataset_digest has 5 bytes"));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
}

TEST_F(WorkerCallsTest, GroupCountsOfTheSpecWinOverThoseOfTheFile) {
  auto spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  (*spec.mutable_data()->mutable_group_counts())["north"] = 100;
  (*spec.mutable_data()->mutable_group_counts())["south"] = 200;
  const auto id = jobs().create(create_request(spec)).id();
  calls().register_worker(register_request(id, 0, 0, 1));
  calls().start_training(start_request(id, 1));
  EXPECT_EQ(job(id).groups(0).pair_count(), 100);
  EXPECT_EQ(job(id).groups(1).pair_count(), 200);
}

// worker.proto promises INVALID_ARGUMENT. A group that the counts lack kept the size of the file beside sizes of a
// population.
TEST_F(WorkerCallsTest, GroupCountsOfTheSpecMustHaveTheGroupsOfTheData) {
  auto lacking = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  (*lacking.mutable_data()->mutable_group_counts())["south"] = 200;
  auto another = lacking;
  (*another.mutable_data()->mutable_group_counts())["north"] = 100;
  (*another.mutable_data()->mutable_group_counts())["east"] = 1;
  const auto text_of = [&](const v1::JobSpec& spec) {
    const auto id = jobs().create(create_request(spec)).id();
    calls().register_worker(register_request(id, 0, 0, 1));
    try {
      calls().start_training(start_request(id, 1));
    } catch (const std::invalid_argument& refused) {
      EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
      return std::string(refused.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(text_of(lacking),
            "data.group_counts has none for group \"north\", expected one for each group of the training data");
  EXPECT_EQ(text_of(another), "data.group_counts names group \"east\", which the training data does not have");
}

TEST_F(WorkerCallsTest, RegisteringIsForOneLiveAttemptOfTheWantedSize) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 2))).id();
  EXPECT_THAT(error_of([&] { calls().register_worker(register_request(id, 0, 0, 3)); }).text,
              HasSubstr("world_size is 3, but the job wants 2"));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(calls().register_worker(register_request(id, 0, 0, 2)).generation(), 1);
  EXPECT_EQ(calls().register_worker(register_request(id, 0, 0, 2)).generation(), 1) << "a retry is the same attempt";
  auto other = register_request(id, 0, 0, 2);
  other.set_pid(4711);
  EXPECT_EQ(error_of([&] { calls().register_worker(other); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { calls().register_worker(register_request(id, 0, 1, 2)); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(calls().register_worker(register_request(id, 1, 1, 2)).spec().name(), "survey");
}

TEST_F(WorkerCallsTest, ALaunchedJobTakesOnlyRanksThatKnowItsToken) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
  EXPECT_EQ(error_of([&] { calls().register_worker(register_request(id, 0, 0, 1)); }).code, Code::kPermissionDenied);
  core_->attempts().tick();
  auto request = register_request(id, 0, 0, 1);
  EXPECT_EQ(error_of([&] { calls().register_worker(request); }).code, Code::kPermissionDenied);
  request.set_attempt_token(std::string(64, '0'));
  EXPECT_EQ(error_of([&] { calls().register_worker(request); }).code, Code::kPermissionDenied);
  request.set_attempt_token(launcher_.started.back().token);
  EXPECT_EQ(calls().register_worker(request).generation(), 1);
}

TEST_F(WorkerCallsTest, AnExternalJobSucceedsWhenAllRanksFinishAlike) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  EXPECT_EQ(error_of([&] { calls().finish_worker(finish_request(id, 1, 0, 'x')); }).code, Code::kFailedPrecondition);
  do_all_steps(id);
  calls().finish_worker(finish_request(id, 1, 1, 'x'));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_NO_THROW(calls().finish_worker(finish_request(id, 1, 0, 'x'))) << "the answer may have been lost";
  EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_CONTINUE);
}

TEST_F(WorkerCallsTest, RanksThatEndWithOtherParametersFailTheJob) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  do_all_steps(id);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
  EXPECT_EQ(error_of([&] { calls().finish_worker(finish_request(id, 1, 1, 'y')); }).code, Code::kAborted);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_PROGRAM);
  EXPECT_EQ(job(id).state_reason(), "the parameters of rank 1 differ from those of rank 0 after step 10");
}

TEST_F(WorkerCallsTest, TheFirstRankThatFailsSaysWhy) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  v1::FailWorkerRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  request.set_rank(1);
  request.set_reason("out of\nmemory");
  request.set_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
  calls().fail_worker(request);
  request.set_rank(0);
  request.set_reason("peer lost");
  EXPECT_NO_THROW(calls().fail_worker(request));
  EXPECT_EQ(job(id).state_reason(), "rank 1: out of memory");
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_EXIT);
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 0, {0.2, 1.0})); }).code, Code::kFailedPrecondition);
}

TEST_F(WorkerCallsTest, MetricsShowGroupsBeforeAndAfterSpeedAndTimeLeft) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  v1::ReportMetricsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  request.set_split(v1::SPLIT_VALIDATION);
  request.add_groups()->set_group(1);
  request.mutable_groups(0)->set_loss(0.7);
  request.mutable_groups(0)->set_reward_accuracy(0.4);
  calls().report_metrics(request);
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  request.set_step(1);
  request.mutable_groups(0)->set_loss(0.5);
  request.mutable_groups(0)->set_reward_accuracy(std::nan(""));
  calls().report_metrics(request);
  EXPECT_EQ(job(id).groups(1).initial_validation_loss(), 0.7);
  EXPECT_EQ(job(id).groups(1).validation_loss(), 0.5);
  EXPECT_EQ(job(id).groups(1).validation_reward_accuracy(), 0.4) << "what is not finite leaves the value before";
  request.mutable_groups(0)->set_loss(std::nan(""));
  calls().report_metrics(request);
  EXPECT_TRUE(std::isnan(job(id).groups(1).validation_loss())) << "but for the loss: the group is the worst off";
  request.set_split(v1::SPLIT_TRAIN);
  request.set_pairs_per_second(2);
  calls().report_metrics(request);
  // 10 steps of 4 and 2 pairs in turn are 30; 4 are done.
  EXPECT_EQ(job(id).time_left().seconds(), (30 - 4) / 2);
  restart();
  EXPECT_EQ(job(id).groups(1).initial_validation_loss(), 0.7) << "evaluations are kept";
}

TEST_F(WorkerCallsTest, MetricsOfOneValidationFileAreForCurvesOnly) {
  auto spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  for (const char* path : {"/data/east.jsonl", "/data/west.jsonl"}) {
    spec.mutable_data()->add_validation_files()->set_path(path);
  }
  const auto id = jobs().create(create_request(spec)).id();
  calls().register_worker(register_request(id, 0, 0, 1));
  calls().start_training(start_request(id, 1));
  v1::ReportMetricsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  request.set_split(v1::SPLIT_VALIDATION);
  request.set_file("west");
  request.add_groups()->set_group(1);
  request.mutable_groups(0)->set_loss(0.7);
  calls().report_metrics(request);
  EXPECT_FALSE(job(id).groups(1).has_validation_loss());
  request.set_file("north");
  EXPECT_EQ(error_of([&] { calls().report_metrics(request); }).text,
            "file is \"north\", expected the name of one of data.validation_files");
  request.set_file("west");
  request.set_split(v1::SPLIT_TRAIN);
  EXPECT_EQ(error_of([&] { calls().report_metrics(request); }).text,
            "file is given for another split than SPLIT_VALIDATION");
}

// One message made 608 time series of invented phases, the next one 608 more.
TEST_F(WorkerCallsTest, InventedPhasesAreOneTimeSeries) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto series = [&] {
    for (const auto& family : metrics_->collectable()->Collect()) {
      if (family.name == "equipoise_step_seconds") return family.metric.size();
    }
    return std::size_t{0};
  };
  v1::ReportMetricsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  request.set_split(v1::SPLIT_TRAIN);
  for (int message = 0; message < 3; ++message) {
    request.clear_phase_seconds();
    for (int i = 0; i < 30; ++i) {
      const std::string name = "phase " + std::to_string(message * 30 + i);
      (*request.mutable_phase_seconds())[name].add_seconds(0.1);
    }
    calls().report_metrics(request);
  }
  EXPECT_EQ(series(), 1u);
  request.clear_phase_seconds();
  (*request.mutable_phase_seconds())["forward"].add_seconds(0.1);
  calls().report_metrics(request);
  EXPECT_EQ(series(), 2u);
}

TEST_F(WorkerCallsTest, MetricsNameAtMostTheGroupsOfTheJob) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  v1::ReportMetricsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  request.set_split(v1::SPLIT_TRAIN);
  for (int i = 0; i < 3; ++i) request.add_groups()->set_group(1);
  EXPECT_EQ(error_of([&] { calls().report_metrics(request); }).text,
            "groups has 3 entries, expected at most 2, one for each group of the job");
}

// Conditions that named thousands of groups made a job of 18 MB.
TEST_F(WorkerCallsTest, ConditionsAreBoundedInBytes) {
  constexpr int kGroups = 1000;
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
  calls().register_worker(register_request(id, 0, 0, 1));
  auto start = start_request(id, 1);
  for (int g = 2; g < kGroups; ++g) {
    start.add_group_names(std::string(240, 'x') + std::to_string(g));
    start.add_group_pair_count(1);
  }
  calls().start_training(start);
  for (int step = 0; step < 9; ++step) {
    auto skipped = step_request(id, 1, step, {0.2, 1.0});
    for (std::uint32_t g = 1; g < kGroups; ++g) skipped.add_non_finite_group(g);
    calls().report_step(skipped);
  }
  ASSERT_EQ(job(id).conditions_size(), 4);
  for (const std::string& condition : job(id).conditions()) EXPECT_LE(condition.size(), 1024u);
  EXPECT_THAT(job(id).conditions(0), HasSubstr("\"south\""));
  EXPECT_THAT(job(id).conditions(0), HasSubstr("and of 991 others was not finite"));
}

TEST_F(WorkerCallsTest, TrainingStartsOnceAllRanksHaveRegistered) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 2))).id();
  calls().register_worker(register_request(id, 0, 0, 2));
  const auto refused = error_of([&] { calls().start_training(start_request(id, 1)); });
  EXPECT_EQ(refused.code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.text, HasSubstr("has 1 of 2 ranks that have registered; the first that has not is 1"));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  calls().register_worker(register_request(id, 1, 1, 2));
  calls().start_training(start_request(id, 1));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
}

// They reached the log and the screens of people: ESC ] 0 ; sets the title of a terminal.
TEST_F(WorkerCallsTest, HostAndPhaseHaveNoControlCharacters) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
  auto introduction = register_request(id, 0, 0, 1);
  introduction.set_host("node\x1B]0;x\a\n1");
  calls().register_worker(introduction);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("node ]0;x  1"));
  EXPECT_EQ(calls().register_worker(introduction).generation(), 1) << "the same process again";
  auto heartbeat = heartbeat_request(id, 1, 0);
  heartbeat.set_phase("reading\x1B[31m\ndata");
  calls().heartbeat(heartbeat);
  EXPECT_EQ(job(id).phase(), "reading [31m data");
}

}  // namespace worker_calls_test
}  // namespace equipoise::coordinator

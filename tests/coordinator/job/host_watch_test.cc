#include "coordinator/job/host_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job/slot_pool.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace host_watch_test {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr HostRules kRules{.between_questions = 30s, .most_failures = 3, .window = 3600s};
const SteadyTime kStart = SteadyTime{} + 1000s;
const WallTime kWall{};

TEST(HostWatch, ASuspectIsNotUsedUntilItAnswers) {
  HostWatch watch(kRules);
  EXPECT_THAT(watch.unused(), IsEmpty());
  watch.suspect("node2");
  EXPECT_THAT(watch.unused(), ElementsAre("node2"));
  EXPECT_THAT(watch.questions(kStart), ElementsAre("node2"));
  EXPECT_THAT(watch.questions(kStart + 100s), IsEmpty()) << "it has been asked";
  EXPECT_TRUE(watch.awaits_first_answers());
  watch.note_answer("node2", {.has_answered = false}, kStart + 100s, kWall);
  EXPECT_THAT(watch.questions(kStart + 129s), IsEmpty());
  EXPECT_EQ(watch.unused_text(), "node2, which does not answer");
  EXPECT_EQ(watch.unanswering(), 1U);
  EXPECT_FALSE(watch.awaits_first_answers());
  EXPECT_THAT(watch.questions(kStart + 130s), ElementsAre("node2"));
  watch.note_answer("node2", {.has_answered = true}, kStart + 131s, kWall);
  EXPECT_THAT(watch.unused(), IsEmpty());
  EXPECT_EQ(watch.unused_text(), "");
}

TEST(HostWatch, AHostThatFailsAgainAndAgainIsNotUsedAnyMore) {
  HostWatch watch(kRules);
  watch.note_failure("node1", kStart, kWall);
  watch.note_failure("node1", kStart + 10s, kWall);
  EXPECT_EQ(watch.cordoned(), 0U);
  watch.note_failure("node1", kStart + 20s, kWall);
  EXPECT_EQ(watch.cordoned(), 1U);
  watch.suspect("node1");
  watch.note_success("node1");
  EXPECT_THAT(watch.questions(kStart + 100s), IsEmpty());
  EXPECT_THAT(watch.unused(), ElementsAre("node1"));
  EXPECT_EQ(watch.unanswering(), 0U);
  EXPECT_EQ(watch.unused_text(), "node1, which has failed 3 times in a row within 60 min");
}

TEST(HostWatch, FailuresLongAgoOrBeforeASuccessDoNotCount) {
  HostWatch watch(kRules);
  for (int i = 0; i < 5; ++i) watch.note_failure("rare", kStart + i * 2000s, kWall);
  for (int i = 0; i < 5; ++i) {
    watch.note_failure("mended", kStart + i * 10s, kWall);
    watch.note_failure("mended", kStart + i * 10s + 1s, kWall);
    watch.note_success("mended");
  }
  EXPECT_EQ(watch.cordoned(), 0U);
}

TEST(HostWatch, ACordonedHostIsUsedAgainOnceItIsUncordonedAndAnswers) {
  HostWatch watch(kRules);
  watch.cordon("node1", {.cause = HostCordon::Cause::kOperator, .reason = "its fan is loud", .since = kWall});
  EXPECT_THAT(watch.unused(), ElementsAre("node1"));
  EXPECT_EQ(watch.unused_text(), "node1, cordoned: its fan is loud");
  watch.suspect("node1");
  EXPECT_THAT(watch.questions(kStart), IsEmpty());
  watch.uncordon("node1");
  EXPECT_FALSE(watch.cordon_of("node1"));
  EXPECT_EQ(watch.unused_text(), "node1, which does not answer");
  EXPECT_THAT(watch.questions(kStart), ElementsAre("node1"));
  watch.note_answer("node1", {.has_answered = true}, kStart, kWall);
  EXPECT_THAT(watch.unused(), IsEmpty());
}

TEST(HostWatch, FailuresBeforeAnUncordonDoNotCount) {
  HostWatch watch(kRules);
  EXPECT_FALSE(watch.note_failure("node1", kStart, kWall));
  EXPECT_FALSE(watch.note_failure("node1", kStart, kWall));
  EXPECT_TRUE(watch.note_failure("node1", kStart, kWall));
  watch.uncordon("node1");
  EXPECT_FALSE(watch.note_failure("node1", kStart + 1s, kWall));
  EXPECT_FALSE(watch.note_failure("node1", kStart + 2s, kWall));
  EXPECT_EQ(watch.recent_failures("node1", kStart + 2s), 5);
  EXPECT_EQ(watch.recent_failures("node1", kStart + 3601s), 2) << "of the last hour";
  EXPECT_EQ(watch.recent_failures("node2", kStart), 0);
  EXPECT_TRUE(watch.note_failure("node1", kStart + 3s, kWall));
}

TEST(HostWatch, AnOperatorsCordonStaysHisWhateverFails) {
  HostWatch watch(kRules);
  watch.cordon("node1", {.cause = HostCordon::Cause::kOperator, .reason = "a new disk", .since = kWall});
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(watch.note_failure("node1", kStart, kWall));
  EXPECT_EQ(watch.cordon_of("node1")->reason, "a new disk");
}

HostProcess rank_process(std::int64_t pid) {
  return {.pid = pid, .began_before = kWall, .job_id = "a", .generation = 2, .rank = 3, .state = 'D'};
}

// A rank that waits for a disk in the kernel is ended by nothing.
TEST(HostWatch, AHostWhereARankHasSurvivedIsNotUsedBeforeThatIsGone) {
  HostWatch watch(kRules);
  watch.suspect("node1", {rank_process(4711), rank_process(4712)});
  EXPECT_THAT(watch.questions(kStart), ElementsAre("node1"));
  EXPECT_THAT(watch.asked_about("node1"), SizeIs(2));
  EXPECT_FALSE(watch.note_answer("node1", {.has_answered = true, .survivors = {rank_process(4711)}}, kStart, kWall));
  EXPECT_EQ(watch.unused_text(), "node1, where ranks of an attempt that is over are there yet");
  EXPECT_THAT(watch.questions(kStart + 1s), IsEmpty());
  EXPECT_THAT(watch.questions(kStart + 2s), ElementsAre("node1")) << "it may be about to end";
  EXPECT_THAT(watch.asked_about("node1"), ElementsAre(rank_process(4711)));
  EXPECT_TRUE(
      watch.note_answer("node1", {.has_answered = true, .survivors = {rank_process(4711)}}, kStart + 10s, kWall));
  ASSERT_TRUE(watch.cordon_of("node1"));
  EXPECT_EQ(watch.cordon_of("node1")->cause, HostCordon::Cause::kSurvivor);
  EXPECT_EQ(watch.unused_text(), "node1, where process 4711 (rank 3 of job a) has survived SIGKILL, in state D");
  EXPECT_THAT(watch.questions(kStart + 39s), IsEmpty());
  EXPECT_THAT(watch.questions(kStart + 40s), ElementsAre("node1"));
  EXPECT_FALSE(
      watch.note_answer("node1", {.has_answered = true, .survivors = {rank_process(4711)}}, kStart + 41s, kWall));
  EXPECT_THAT(watch.questions(kStart + 80s), ElementsAre("node1"));
  EXPECT_FALSE(watch.note_answer("node1", {.has_answered = false}, kStart + 81s, kWall)) << "nobody knows";
  EXPECT_THAT(watch.unused(), ElementsAre("node1"));
  EXPECT_THAT(watch.questions(kStart + 120s), ElementsAre("node1"));
  EXPECT_TRUE(watch.note_answer("node1", {.has_answered = true}, kStart + 121s, kWall));
  EXPECT_FALSE(watch.cordon_of("node1"));
  EXPECT_THAT(watch.unused(), IsEmpty());
}

TEST(HostWatch, WhatCameAfterAQuestionIsNotAnsweredByIt) {
  HostWatch watch(kRules);
  watch.suspect("node1", {rank_process(1)});
  watch.questions(kStart);
  watch.suspect("node1", {rank_process(2)});
  watch.note_answer("node1", {.has_answered = true}, kStart + 1s, kWall);
  EXPECT_THAT(watch.unused(), ElementsAre("node1"));
  EXPECT_THAT(watch.questions(kStart + 1s), ElementsAre("node1"));
  EXPECT_THAT(watch.asked_about("node1"), ElementsAre(rank_process(2)));
  watch.note_answer("node1", {.has_answered = true}, kStart + 2s, kWall);
  EXPECT_THAT(watch.unused(), IsEmpty());
}

TEST(HostWatch, APersonMayUseAHostBesideASurvivor) {
  HostWatch watch(kRules);
  watch.cordon("node1", {.cause = HostCordon::Cause::kSurvivor,
                         .reason = "r",
                         .since = kWall,
                         .survivors = {rank_process(1)}});  // as it was stored
  EXPECT_THAT(watch.questions(kStart), ElementsAre("node1"));
  EXPECT_THAT(watch.asked_about("node1"), ElementsAre(rank_process(1)));
  watch.uncordon("node1");
  watch.note_answer("node1", {.has_answered = true, .survivors = {rank_process(1)}}, kStart + 1s, kWall);
  EXPECT_THAT(watch.unused(), IsEmpty());
}

TEST(HostWatch, AFewHostsAreAskedAtATime) {
  HostWatch watch(kRules);
  for (int i = 0; i < 40; ++i) watch.suspect("node" + std::to_string(i));
  const auto first = watch.questions(kStart);
  EXPECT_THAT(first, SizeIs(16));
  EXPECT_THAT(watch.questions(kStart), IsEmpty());
  for (const std::string& host : first) watch.note_answer(host, {.has_answered = true}, kStart, kWall);
  EXPECT_THAT(watch.questions(kStart), SizeIs(16));
}

TEST(HostWatch, ALongListIsCut) {
  HostWatch watch(kRules);
  for (int i = 0; i < 1000; ++i) watch.suspect("node" + std::to_string(i));
  EXPECT_LT(watch.unused_text().size(), 200U);
  EXPECT_THAT(watch.unused_text(), HasSubstr("and 996 more"));
}

TEST(SlotPoolHosts, UnusedOnesGetNoRanks) {
  SlotPool pool({{.name = "node1", .slots = 2}, {.name = "node2", .slots = 2}}, 64);
  const auto before = pool.allocate(1);
  ASSERT_TRUE(before);
  pool.set_unused({"node1"});
  EXPECT_EQ(pool.free(), 2);
  EXPECT_EQ(pool.total(), 4);
  EXPECT_EQ(pool.allocate(3), std::nullopt);
  const auto taken = pool.allocate(2);
  ASSERT_TRUE(taken);
  EXPECT_THAT(*taken, ElementsAre(HostSlots{.name = "node2", .slots = 2}));
  pool.release(*before);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.used_slots(*before), 0);
  pool.set_unused({});
  EXPECT_EQ(pool.free(), 2);
}

class HostsThatFail : public ControllerFixture {
 protected:
  HostsThatFail() {
    settings_.supervisor.hosts = {{.name = "node1", .slots = 1}, {.name = "node2", .slots = 1}};
    settings_.supervisor.max_running_jobs = 10;
    settings_.supervisor.host_rules = kRules;
    restart();
  }
  std::string running(int workers, int min_workers = 0) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers);
    spec.mutable_launch()->set_max_restarts(10);
    if (min_workers > 0) spec.mutable_launch()->set_min_workers(min_workers);
    const std::string id = jobs().create(create_request(spec)).id();
    core_->attempts().tick();
    train(id);
    return id;
  }
  void train(const std::string& id, const std::optional<v1::ResumePoint>& resume = std::nullopt) {
    const std::int64_t generation = job(id).generation();
    for (int rank = 0; rank < job(id).world_size(); ++rank) {
      auto request = register_request(id, rank == 0 ? 0 : generation, rank, job(id).world_size());
      request.set_attempt_token(launcher_.started.back().token);
      calls().register_worker(request);
    }
    auto start = start_request(id, generation);
    if (resume) *start.mutable_resume() = *resume;
    calls().start_training(start);
  }
  void lose_contact(const std::string& id, const std::string& host) {
    core_->attempts().handle_exit({.attempt = {.job_id = id, .generation = job(id).generation()},
                                   .exit_code = 205,
                                   .last_line = "lost contact with " + host,
                                   .lost_contact = true});
  }
  // Questions to hosts that have not been answered.
  std::vector<LaunchRequest> questions() {
    std::vector<LaunchRequest> asked;
    for (const LaunchRequest& request : launcher_.started) {
      if (request.is_question) asked.push_back(request);
    }
    return asked;
  }
  void answer(const std::string& host, int exit_code, const std::string& log = "") {
    for (const LaunchRequest& request : questions()) {
      if (request.hosts[0].name != host) continue;
      std::erase_if(launcher_.started, [&](const LaunchRequest& one) { return one.attempt == request.attempt; });
      return core_->attempts().handle_exit(
          {.attempt = request.attempt, .exit_code = exit_code, .last_line = "no way", .log = processes_text({}) + log});
    }
    ADD_FAILURE() << host << " was not asked";
  }
  double gauge(const std::string& name) {
    for (const auto& family : metrics_->collectable()->Collect()) {
      if (family.name == name) return family.metric.at(0).gauge.value;
    }
    return -1;
  }
};

TEST_F(HostsThatFail, ALostHostIsUsedAgainOnceItAnswers) {
  const auto id = running(2);
  lose_contact(id, "node2");
  pass(39s);
  EXPECT_THAT(questions(), IsEmpty()) << "its ranks may still have a lease";
  pass(3s);
  ASSERT_THAT(questions(), SizeIs(2)) << "nobody has heard of the end of the other one either";
  EXPECT_THAT(job(id).conditions(0), HasSubstr("hosts are used again once they answer"));
  answer("node1", 0);
  answer("node2", 1);
  pass(2s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("1 of 2 is free; not used: node2, which does not answer"));
  EXPECT_EQ(gauge("equipoise_unanswering_hosts"), 1);
  pass(30s);
  answer("node2", 0);
  pass(1s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gauge("equipoise_unanswering_hosts"), 0);
}

TEST_F(HostsThatFail, OneThatFailsThreeTimesInARowIsLeftOut) {
  const auto id = running(2);
  for (int round = 0; round < 3; ++round) {
    lose_contact(id, "node2");
    pass(42s);
    answer("node1", 0);
    if (round < 2) answer("node2", 0);
    pass(60s);
    if (round < 2) train(id);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("not used: node2, which has failed 3 times in a row within 60 min"));
  EXPECT_EQ(gauge("equipoise_cordoned_hosts"), 1);
  EXPECT_THAT(questions(), IsEmpty());
  restart();
  core_->attempts().tick();
  EXPECT_EQ(gauge("equipoise_cordoned_hosts"), 1) << "it is on record";
  v1::UncordonHostRequest again;
  again.set_name("node2");
  core_->host_calls().uncordon(again);
  core_->attempts().tick();
  EXPECT_EQ(gauge("equipoise_cordoned_hosts"), 0);
  restart();
  core_->attempts().tick();
  EXPECT_EQ(gauge("equipoise_cordoned_hosts"), 0);
}

// A rank that waits for a disk in the kernel outlives mpirun, which has ended in order.
TEST_F(HostsThatFail, WhereARankHasSurvivedNoneIsPlacedBeforeItIsGone) {
  const auto id = running(2);
  v1::FailWorkerRequest failure;  // rank 0 has said that it ends
  failure.set_job_id(id);
  failure.set_generation(1);
  failure.set_reason("lost rank 1");
  failure.set_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
  calls().fail_worker(failure);
  mpirun_exits(id, 1);
  pass(1s);
  ASSERT_THAT(questions(), SizeIs(1));
  EXPECT_EQ(questions()[0].hosts[0].name, "node2");
  ASSERT_THAT(questions()[0].processes, SizeIs(1));
  EXPECT_EQ(questions()[0].processes[0].pid, 1001);
  const std::string left = "equipoise: process 1001 is there, in state D\n";
  for (int second = 0; second < 12; second += 2) {
    answer("node2", 0, left);
    pass(2s);
  }
  EXPECT_THAT(job(id).state_reason(), HasSubstr("1 of 2 is free; not used: node2, where process 1001 (rank 1 of job " +
                                                id + ") has survived SIGKILL, in state D"));
  EXPECT_THAT(job(id).conditions(job(id).conditions_size() - 1),
              HasSubstr("has survived SIGKILL, in state D: node2 is not used before it is gone"));
  EXPECT_THAT(job(id).failure().reason(), HasSubstr("process 1001 (rank 1 of job"));
  EXPECT_EQ(gauge("equipoise_cordoned_hosts"), 1);
  v1::ListHostsResponse hosts = core_->host_calls().list({});
  EXPECT_EQ(hosts.hosts(1).state(), v1::HOST_STATE_CORDONED);
  EXPECT_EQ(hosts.hosts(1).cordon().cause(), v1::CORDON_CAUSE_SURVIVOR);
  EXPECT_THAT(hosts.hosts(1).cordon().reason(), HasSubstr("process 1001"));
  restart();  // it is on record
  pass(60s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  ASSERT_THAT(questions(), SizeIs(1));
  ASSERT_THAT(questions()[0].processes, SizeIs(1));
  EXPECT_EQ(questions()[0].processes[0].pid, 1001);
  EXPECT_GE(questions()[0].processes[0].began_before, 14s);
  answer("node2", 0);
  pass(2s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gauge("equipoise_cordoned_hosts"), 0);
  restart();
  pass(1s);
  EXPECT_EQ(gauge("equipoise_cordoned_hosts"), 0) << "nor is it on record any more";
}

// Without a hostfile nobody looked, and the next attempt was started beside the rank.
class MachineThatIsWatched : public HostsThatFail {
 protected:
  MachineThatIsWatched() {
    settings_.supervisor.hosts.clear();
    settings_.supervisor.this_machine = "here";
    restart();
  }
  void answer_here(const std::string& log = "") {
    const std::vector<LaunchRequest> asked = questions();
    ASSERT_THAT(asked, SizeIs(1));
    EXPECT_THAT(asked[0].hosts, IsEmpty()) << "it needs no mpirun";
    std::erase_if(launcher_.started, [](const LaunchRequest& one) { return one.is_question; });
    core_->attempts().handle_exit({.attempt = asked[0].attempt, .log = processes_text({}) + log});
  }
  // Of an attempt that has just ended, rank 0, for as long as it takes to give its machine up.
  void survive() {
    pass(1s);
    for (int second = 0; second < 12; second += 2) {
      answer_here("equipoise: process 1000 is there, in state D\n");
      pass(2s);
    }
  }
};

TEST_F(MachineThatIsWatched, NothingIsStartedBesideARankThatHasSurvived) {
  const auto id = running(2);
  mpirun_exits(id, 1);
  pass(1s);
  ASSERT_THAT(questions(), SizeIs(1));
  EXPECT_THAT(questions()[0].processes, SizeIs(2));
  for (int second = 0; second < 12; second += 2) {
    answer_here("equipoise: process 1001 is there, in state D\n");
    pass(2s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  const std::string left = "process 1001 (rank 1 of job " + id + ") has survived SIGKILL, in state D";
  EXPECT_THAT(job(id).state_reason(), HasSubstr("waits for this machine; not used: here, where " + left));
  EXPECT_THAT(job(id).failure().reason(), HasSubstr(left));
  const auto other = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
  pass(1s);
  EXPECT_EQ(job(other).state_reason(), "waiting for a free place") << "the first of the queue says what is missing";
  const v1::ListHostsResponse hosts = core_->host_calls().list({});
  ASSERT_EQ(hosts.hosts_size(), 1);
  EXPECT_EQ(hosts.hosts(0).cordon().cause(), v1::CORDON_CAUSE_SURVIVOR);
  restart();  // it is on record
  pass(60s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  answer_here();
  pass(2s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(other).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(core_->host_calls().list({}).hosts_size(), 0);
}

TEST_F(MachineThatIsWatched, NoJobMakesRoomForOneThatCouldNotStart) {
  const auto stays = running(1);
  const auto lost = running(1);
  mpirun_exits(lost, 1);
  survive();
  settings_.supervisor.max_running_jobs = 1;
  restart({{.job_id = stays, .generation = 1}});
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.mutable_launch()->set_priority(100);
  const auto urgent = jobs().create(create_request(spec)).id();
  pass(1s);
  EXPECT_EQ(job(stays).state(), v1::JOB_STATE_RUNNING);
  EXPECT_THAT(job(stays).state_reason(), Not(HasSubstr("higher priority")));
  EXPECT_EQ(job(urgent).state_reason(), "waiting for a free place");
}

TEST_F(MachineThatIsWatched, NobodyAsksTheHostsOfAnEarlierHostfile) {
  store_->set_cordon("node2", StoredCordon{.cause = "SURVIVOR",
                                           .reason = "process 4711 has survived SIGKILL",
                                           .since = 0,
                                           .processes = "4711 0 1 0 survey-1a2b3c4d\n"});
  restart();
  for (int second = 0; second < 6; second += 2) pass(2s);
  EXPECT_THAT(questions(), IsEmpty());
  ASSERT_EQ(core_->host_calls().list({}).hosts_size(), 1);
  EXPECT_EQ(core_->host_calls().list({}).hosts(0).cordon().cause(), v1::CORDON_CAUSE_SURVIVOR);
  v1::UncordonHostRequest again;
  again.set_name("node2");
  core_->host_calls().uncordon(again);
  pass(30s);
  EXPECT_THAT(questions(), IsEmpty());
  EXPECT_EQ(core_->host_calls().list({}).hosts_size(), 0);
  EXPECT_EQ(gauge("equipoise_unanswering_hosts"), 0);
}

TEST_F(MachineThatIsWatched, APersonMayStartJobsBesideIt) {
  const auto id = running(1);
  mpirun_exits(id, 1);
  survive();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  v1::UncordonHostRequest again;
  again.set_name("here");
  core_->host_calls().uncordon(again);
  pass(2s);
  if (!questions().empty()) answer_here();
  pass(2s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
}

TEST_F(MachineThatIsWatched, RanksThatHaveEndedAreLookedForOnce) {
  const auto id = running(2);
  mpirun_exits(id, 1);
  pass(1s);
  answer_here();
  pass(5s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_THAT(questions(), IsEmpty());
}

TEST_F(HostsThatFail, NoneIsBlamedWhereAllFailAtOnce) {
  const auto id = running(2);
  for (int round = 0; round < 4; ++round) {
    lose_contact(id, "node1 and node2");
    pass(42s);
    answer("node1", 0);
    answer("node2", 0);
    pass(60s);
    ASSERT_EQ(job(id).state(), v1::JOB_STATE_STARTING) << round;
    train(id);
  }
}

TEST_F(HostsThatFail, AJobThatMayHaveFewerRanksGoesOnWithThemAndHasMoreAtItsNextStart) {
  const auto id = running(2, 1);
  for (int step = 0; step < 3; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  v1::GetGroupWeightsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  const v1::WeightState weights = calls().group_weights(request).state();
  calls().commit_checkpoint(commit_request(id, 1, weights.steps()));
  const auto point = resume_point(id, 1, weights);
  lose_contact(id, "node2");
  pass(42s);
  answer("node1", 0);
  pass(1s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING) << "the other one may answer in a moment";
  answer("node2", 1);
  pass(1s);
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(id).world_size(), 1);
  EXPECT_EQ(launcher_.started.back().workers, 1);
  EXPECT_THAT(launcher_.started.back().hosts, ElementsAre(HostSlots{.name = "node1", .slots = 1}));
  EXPECT_THAT(job(id).conditions(job(id).conditions_size() - 1),
              HasSubstr("attempt 2 has 1 of 2 ranks, as no more slots are free; not used: node2"));
  train(id, point);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id).step(), 3);
  pass(20s);
  calls().heartbeat(heartbeat_request(id, 2, 0));
  pass(15s);
  answer("node2", 0);
  EXPECT_EQ(job(id).world_size(), 1) << "until it starts again";
  mpirun_exits(id, 1);
  pass(1s);
  answer("node1", 0);  // its rank has said nothing of its end
  pass(3s);
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(id).world_size(), 2);
  train(id, point);
  for (int step = 3; step < 10; ++step) calls().report_step(step_request(id, 3, step, {0.2, 1.0}));
  for (int rank = 0; rank < 2; ++rank) calls().finish_worker(finish_request(id, 3, rank, 'x'));
  mpirun_exits(id, 0);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(HostsThatFail, AFirstAttemptWaitsForAllItsRanks) {
  running(1);
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 2);
  spec.mutable_launch()->set_min_workers(1);
  const auto id = jobs().create(create_request(spec)).id();
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job(id).state_reason(), "waiting for 2 free slots; 1 of 2 is free");
}

}  // namespace host_watch_test
}  // namespace equipoise::coordinator

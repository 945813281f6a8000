#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/client/support/coordinator_fixture.h"

namespace equipoise {
namespace jobs_test {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class JobsVerbs : public CoordinatorFixture {};

TEST_F(JobsVerbs, SubmitPrintsTheIdAloneAndListShowsTheJob) {
  EXPECT_EQ(run_here({"jobs", "list"}).out, "no jobs\n");
  const CommandRun result = run_here({"submit", job_file(), "--external"});
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  EXPECT_THAT(result.out, MatchesRegex("by-hand-[0-9a-f]+\n"));
  const std::string id = result.out.substr(0, result.out.size() - 1);
  EXPECT_THAT(run_here({"jobs", "list"}).out, HasSubstr(id + "  QUEUED"));
  EXPECT_EQ(run_here({"jobs", "list", "--state", "running"}).out, "no jobs\n");
}

TEST_F(JobsVerbs, EveryFormatOfAListIsOfTheSameJobs) {
  EXPECT_EQ(run_here({"jobs", "list", "-o", "name"}).out, "");
  const std::string id = submitted();
  RankByHand rank(address(), id);
  rank.start();
  rank.step();
  EXPECT_EQ(run_here({"jobs", "list", "-o", "name"}).out, id + "\n");
  const std::string wide = run_here({"jobs", "list", "-o", "wide"}).out;
  for (const char* title : {"name", "time left", "pairs/s", "ranks", "priority", "checkpoint", "restarts", "output"}) {
    EXPECT_THAT(wide.substr(0, wide.find('\n')), HasSubstr(title));
  }
  EXPECT_EQ(run_here({"jobs", "list"}).out.find("time left"), std::string::npos);
  EXPECT_THAT(run_here({"jobs", "list", "-o", "yaml"}).out, StartsWith("jobs:\n- id: " + id + "\n"));
  const auto tree = nlohmann::json::parse(run_here({"jobs", "tree", "--json"}).out);
  EXPECT_EQ(tree["jobs"][0]["id"], id);
  EXPECT_EQ(tree["jobs"][0]["state"], "JOB_STATE_RUNNING");
  EXPECT_TRUE(tree["jobs"][0]["forks"].empty());
  EXPECT_THAT(run_here({"jobs", "attempts", id, "-o", "wide"}).out, HasSubstr("failure"));
  EXPECT_THAT(run_here({"jobs", "events", id, "-o", "wide"}).out, HasSubstr("revision"));
  EXPECT_THAT(run_here({"jobs", "checkpoints", id, "-o", "wide"}).out, HasSubstr("SHA-256 of its manifest"));
  EXPECT_THAT(run_here({"jobs", "events", id, "-o", "name"}).err,
              StartsWith("equipoise jobs events: -o is \"name\", expected one of: text, wide, json, yaml; see"));
}

TEST_F(JobsVerbs, AVerbThatChangesAJobShowsItToPrograms) {
  const std::string id = submitted();
  const auto cancelled = nlohmann::json::parse(run_here({"jobs", "cancel", id, "--json"}).out);
  EXPECT_EQ(cancelled["id"], id);
  const CommandRun made = run_here({"submit", job_file(), "--external", "--json"});
  EXPECT_EQ(made.code, ExitCode::kSuccess) << made.err;
  EXPECT_EQ(nlohmann::json::parse(made.out)["state"], "JOB_STATE_QUEUED");
}

// For people nothing is shown of it but why; programs get the job all the same.
TEST_F(JobsVerbs, WatchShowsProgramsTheJobHoweverItHasEnded) {
  const std::string id = submitted();
  run_here({"jobs", "cancel", id});
  const CommandRun watched = run_here({"jobs", "watch", id, "--json"});
  EXPECT_EQ(watched.code, ExitCode::kFailure);
  EXPECT_EQ(nlohmann::json::parse(watched.out)["state"], "JOB_STATE_CANCELLED");
  EXPECT_THAT(watched.err, HasSubstr("equipoise jobs watch: the job was cancelled"));
}

TEST_F(JobsVerbs, SubmittingAgainWithTheSameRequestIdGivesTheSameJob) {
  const CommandRun first = run_here({"submit", job_file(), "--external", "--request-id", "r1"});
  const CommandRun again = run_here({"submit", job_file(), "--external", "--request-id", "r1"});
  EXPECT_EQ(first.out, again.out);
  const CommandRun other =
      run_here({"submit", job_file(), "--external", "--request-id", "r1", "--set", "loss.beta=0.3"});
  EXPECT_EQ(other.code, ExitCode::kBadInput);
  EXPECT_EQ(std::count(other.err.begin(), other.err.end(), '\n'), 1) << other.err;
}

TEST_F(JobsVerbs, GetShowsGroupsForPeopleAndEverythingForPrograms) {
  const std::string id = submitted();
  RankByHand rank(address(), id);
  rank.start();
  rank.report_evaluation(0, 0.75, 0.75);
  rank.step();
  rank.report_evaluation(1, 0.5, 0.625);
  const std::string text = run_here({"jobs", "get", id}).out;
  EXPECT_THAT(text, HasSubstr("RUNNING"));
  EXPECT_THAT(text, HasSubstr("1/2 (50 %)"));
  EXPECT_THAT(text, HasSubstr("0.7500   0.6250"));
  const auto json = nlohmann::json::parse(run_here({"jobs", "get", id, "--json"}).out);
  EXPECT_EQ(json["id"], id);
  EXPECT_EQ(json["state"], "JOB_STATE_RUNNING");
  EXPECT_EQ(json["groups"][1]["name"], "south");
  EXPECT_EQ(json["groups"][1]["validation_loss"], 0.625);
  const auto list = nlohmann::json::parse(run_here({"jobs", "list", "--json"}).out);
  EXPECT_EQ(list["jobs"][0]["id"], id);
}

// A pipeline that has read a job changes it only as it was read.
TEST_F(JobsVerbs, AnEtagThatIsNotTheJobsKeepsEveryVerbFromChangingIt) {
  const std::string id = submitted();
  RankByHand rank(address(), id);
  rank.start();
  const auto etag = [&] {
    return nlohmann::json::parse(run_here({"jobs", "get", id, "--json"}).out)["etag"].get<std::string>();
  };
  const std::string before = etag();
  ASSERT_EQ(run_here({"jobs", "set", id, "learning_rate=0.001", "--etag", before}).code, ExitCode::kSuccess);
  const std::string now = etag();
  ASSERT_NE(now, before);
  const std::vector<std::vector<std::string>> verbs = {{"set", id, "learning_rate=0.002"},
                                                       {"checkpoint", id},
                                                       {"evaluate", id},
                                                       {"pause", id},
                                                       {"resume", id},
                                                       {"cancel", id},
                                                       {"delete", id}};
  for (std::vector<std::string> words : verbs) {
    words.insert(words.begin(), "jobs");
    words.insert(words.end(), {"--etag", before});
    const CommandRun refused = run_here(words);
    EXPECT_EQ(refused.code, ExitCode::kChanged) << words[1] << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("has etag \"" + now + "\", not \"" + before + "\"")) << words[1];
    EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
  }
  EXPECT_EQ(etag(), now) << "something has changed";
  EXPECT_EQ(run_here({"jobs", "checkpoint", id, "--etag", now}).code, ExitCode::kSuccess);
  EXPECT_EQ(run_here({"jobs", "cancel", id, "--etag", etag()}).code, ExitCode::kSuccess);
}

TEST_F(JobsVerbs, HostsOfACoordinatorWithoutAHostfile) {
  EXPECT_THAT(run_here({"hosts", "list"}).out, HasSubstr("no hosts"));
  EXPECT_EQ(nlohmann::json::parse(run_here({"hosts", "list", "--json"}).out)["hosts"].size(), 0U);
  const CommandRun refused = run_here({"hosts", "cordon", "node1", "--reason", "a new disk"});
  EXPECT_EQ(refused.code, ExitCode::kBadInput);
  EXPECT_THAT(refused.err, HasSubstr("there is no host \"node1\": this coordinator has no hostfile"));
  EXPECT_THAT(run_here({"hosts", "cordon", "node1"}).err, HasSubstr("--reason"));
}

TEST_F(JobsVerbs, RanksShowsWhatEachDoes) {
  const std::string id = submitted();
  EXPECT_EQ(run_here({"jobs", "ranks", id}).out, "no ranks\n");
  RankByHand rank(address(), id);
  rank.start();
  const std::string text = run_here({"jobs", "ranks", id}).out;
  EXPECT_THAT(text, HasSubstr("stalled for"));
  EXPECT_THAT(text, HasSubstr("0:00"));
  const auto json = nlohmann::json::parse(run_here({"jobs", "ranks", id, "--json"}).out);
  ASSERT_EQ(json["ranks"].size(), 1u);
  EXPECT_EQ(json["ranks"][0]["rank"], 0);
  EXPECT_EQ(run_here({"jobs", "ranks", "no-such-job"}).code, ExitCode::kBadInput);
}

TEST_F(JobsVerbs, AttemptsCheckpointsAndEventsAreOnRecord) {
  const std::string id = submitted();
  RankByHand rank(address(), id);
  rank.start();
  rank.step();
  rank.commit_checkpoint();
  EXPECT_THAT(run_here({"jobs", "attempts", id}).out, HasSubstr("first step"));
  const auto attempts = nlohmann::json::parse(run_here({"jobs", "attempts", id, "--json"}).out);
  ASSERT_EQ(attempts["attempts"].size(), 1u);
  EXPECT_EQ(attempts["attempts"][0]["generation"], "1");
  EXPECT_EQ(attempts["attempts"][0]["world_size"], 1);
  const auto checkpoints = nlohmann::json::parse(run_here({"jobs", "checkpoints", id, "--json"}).out);
  ASSERT_EQ(checkpoints["checkpoints"].size(), 1u);
  EXPECT_EQ(checkpoints["checkpoints"][0]["step"], "1");
  EXPECT_THAT(run_here({"jobs", "checkpoints", id}).out, HasSubstr("created"));
  const auto events = nlohmann::json::parse(run_here({"jobs", "events", id, "--json"}).out);
  ASSERT_EQ(events["events"].size(), 3u);
  EXPECT_EQ(events["events"][0]["state"], "JOB_STATE_QUEUED");
  EXPECT_EQ(events["events"][2]["state"], "JOB_STATE_RUNNING");
  EXPECT_THAT(run_here({"jobs", "events", id}).out, HasSubstr("RUNNING"));
  EXPECT_EQ(run_here({"jobs", "events", "nothing-00000000"}).code, ExitCode::kBadInput);
}

TEST_F(JobsVerbs, AFilterChoosesJobs) {
  const std::string id = submitted();
  EXPECT_THAT(run_here({"jobs", "list", "--filter", "state = QUEUED AND name : hand"}).out, HasSubstr(id));
  EXPECT_EQ(run_here({"jobs", "list", "--filter", "state = RUNNING"}).out, "no jobs\n");
  const CommandRun refused = run_here({"jobs", "list", "--filter", "stat = RUNNING"});
  EXPECT_EQ(refused.code, ExitCode::kBadInput);
  EXPECT_THAT(refused.err, HasSubstr("filter, column 1: \"stat\""));
}

TEST_F(JobsVerbs, WeightsAreTheWholeHistoryOfAlpha) {
  const std::string id = submitted();
  RankByHand rank(address(), id);
  rank.start();
  rank.step();
  rank.step();
  const auto history = nlohmann::json::parse(run_here({"jobs", "weights", id, "--json"}).out);
  ASSERT_EQ(history["records"].size(), 2u);
  EXPECT_EQ(history["group_names"], (std::vector<std::string>{"north", "south"}));
  // Losses 0.5 and 1, step size 0.5: log(alpha_south / alpha_north) grows by 0.25 a step.
  for (const int step : {0, 1}) {
    const auto& record = history["records"][step];
    EXPECT_EQ(record["step"], std::to_string(step));
    const double ratio = record["alpha"][1].get<double>() / record["alpha"][0].get<double>();
    EXPECT_NEAR(std::log(ratio), 0.25 * (step + 1), 1e-12);
  }
  std::istringstream csv(run_here({"jobs", "weights", id}).out);
  std::string line;
  std::getline(csv, line);
  EXPECT_EQ(line, "step,generation,north,south");
  int lines = 0;
  while (std::getline(csv, line)) ++lines;
  EXPECT_EQ(lines, 2);
}

TEST_F(JobsVerbs, WatchFollowsUntilTheJobHasSucceeded) {
  const std::string id = submitted();
  std::thread training([&] {
    RankByHand rank(address(), id);
    rank.start();
    rank.report_evaluation(0, 0.75, 0.75);
    rank.step();
    rank.step();
    rank.report_evaluation(2, 0.5, 0.625);
    rank.finish();
  });
  const CommandRun result = run_here({"jobs", "watch", id});
  training.join();
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  EXPECT_THAT(result.out, HasSubstr("step 2/2  100 %"));
  EXPECT_THAT(result.out, HasSubstr("worst"));
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
}

TEST_F(JobsVerbs, WatchTellsTheUsersFaultFromTheMachines) {
  const struct {
    v1::FailureKind kind;
    ExitCode code;
  } cases[] = {{v1::FAILURE_KIND_INVALID_INPUT, ExitCode::kBadInput},
               {v1::FAILURE_KIND_INFRASTRUCTURE, ExitCode::kFailure},
               {v1::FAILURE_KIND_PROGRAM, ExitCode::kFailure}};
  for (const auto& [kind, code] : cases) {
    const std::string id = submitted();
    RankByHand rank(address(), id);
    rank.start();
    rank.fail("train.jsonl:3: field \"group\" is empty", kind);
    const CommandRun result = run_here({"jobs", "watch", id});
    EXPECT_EQ(result.code, code);
    EXPECT_THAT(result.err, HasSubstr("train.jsonl:3: field \"group\" is empty"));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST_F(JobsVerbs, CancelThenDeleteLeavesNoJob) {
  const std::string id = submitted();
  const CommandRun early = run_here({"jobs", "delete", id});
  EXPECT_EQ(early.code, ExitCode::kBadInput);
  EXPECT_EQ(run_here({"jobs", "cancel", id}).out, id + " is CANCELLED\n");
  const CommandRun watched = run_here({"jobs", "watch", id});
  EXPECT_EQ(watched.code, ExitCode::kFailure);
  EXPECT_THAT(watched.err, HasSubstr("cancelled"));
  EXPECT_EQ(run_here({"jobs", "delete", id}).out, id + " is deleted\n");
  EXPECT_EQ(run_here({"jobs", "list"}).out, "no jobs\n");
}

TEST_F(JobsVerbs, CheckpointWaitsUntilOneIsWhole) {
  const std::string id = submitted();
  EXPECT_THAT(run_here({"jobs", "checkpoint", id}).err, HasSubstr("is QUEUED; only a RUNNING job"));
  RankByHand rank(address(), id);
  rank.start();
  rank.step();
  EXPECT_THAT(run_here({"jobs", "checkpoint", id}).out,
              HasSubstr(id + " will make a checkpoint at the end of a step; it has done 1 step\n"));
  ASSERT_EQ(rank.wanted_checkpoints(), 1);
  std::thread training([&] {
    while (rank.wanted_checkpoints() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    rank.commit_checkpoint();
  });
  const CommandRun result = run_here({"jobs", "checkpoint", id, "--wait"});
  training.join();
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  EXPECT_EQ(result.out, id + " has a checkpoint of step 1\n");
  EXPECT_NE(result.err, "") << "where its progress is";
}

TEST_F(JobsVerbs, CheckpointDoesNotWaitForAJobThatHasEnded) {
  const std::string id = submitted();
  RankByHand rank(address(), id);
  rank.start();
  std::thread training([&] {
    while (rank.wanted_checkpoints() < 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    rank.fail("no", v1::FAILURE_KIND_PROGRAM);
  });
  const CommandRun result = run_here({"jobs", "checkpoint", id, "--wait"});
  training.join();
  EXPECT_EQ(result.code, ExitCode::kFailure);
  EXPECT_THAT(result.err, HasSubstr("no checkpoint was made: the job is FAILED"));
}

TEST_F(JobsVerbs, EvaluateIsRefusedWithoutValidationPairs) {
  const std::string id = submitted();
  EXPECT_THAT(run_here({"jobs", "evaluate", id}).err, HasSubstr("is QUEUED; only a RUNNING job can evaluate"));
  RankByHand rank(address(), id);
  rank.start();
  const CommandRun result = run_here({"jobs", "evaluate", id, "--wait"});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("it has no validation pairs"));
}

TEST_F(JobsVerbs, SetChangesSettingsOfAJobAndSaysFromWhichStepOn) {
  const std::string id = submitted();
  const CommandRun result = run_here({"jobs", "set", id, "trade_off=0.5", "robust.step_size=0.25"});
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  EXPECT_THAT(result.out, HasSubstr("trade_off 0.5, step_size 0.25: in force from the end of a step on"));
  RankByHand rank(address(), id);
  rank.start();
  EXPECT_THAT(run_here({"jobs", "get", id}).out, HasSubstr("trade_off 0.5, step_size 0.25 from step 0 on"));
  run_here({"jobs", "set", id, "max_steps=1"});
  EXPECT_THAT(run_here({"jobs", "get", id}).out, HasSubstr("max_steps 1, not in force yet"));
}

TEST_F(JobsVerbs, SetNamesWhatCannotBeSet) {
  const std::string id = submitted();
  const auto refusal_of_set = [&](const std::string& setting) {
    const CommandRun result = run_here({"jobs", "set", id, setting});
    EXPECT_EQ(result.code, ExitCode::kBadInput) << setting;
    return result.err;
  };
  EXPECT_THAT(refusal_of_set("beta=0.5"), HasSubstr("beta is no setting of a running job"));
  EXPECT_THAT(refusal_of_set("trade_off"), HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(refusal_of_set("trade_off=high"), HasSubstr("trade_off is \"high\", expected a number"));
  EXPECT_THAT(refusal_of_set("max_steps=1.5"), HasSubstr("max_steps is \"1.5\", expected a whole number"));
  EXPECT_THAT(refusal_of_set("trade_off=2"), HasSubstr("robust.trade_off is 2"));
}

TEST_F(JobsVerbs, ForkTakesACheckpointAndTreeShowsWhose) {
  const std::string id = submitted();
  EXPECT_THAT(run_here({"jobs", "fork", id}).err, HasSubstr("has no checkpoint yet"));
  RankByHand rank(address(), id);
  rank.start();
  rank.step();
  const auto parent = nlohmann::json::parse(run_here({"jobs", "get", id, "--json"}).out);
  const auto checkpoint = std::filesystem::path(parent["spec"]["output"].get<std::string>()) / "checkpoints/step-1";
  std::filesystem::create_directories(checkpoint);
  std::ofstream(checkpoint / "manifest.json") << "{}";
  rank.commit_checkpoint();
  const std::string other = (folder().path() / "other").string();
  const CommandRun result =
      run_here({"jobs", "fork", id, "--at", "1", "--output", other, "--set", "robust.trade_off=0.5"});
  ASSERT_EQ(result.code, ExitCode::kSuccess) << result.err;
  const std::string fork = result.out.substr(0, result.out.find('\n'));
  const auto job = nlohmann::json::parse(run_here({"jobs", "get", fork, "--json"}).out);
  EXPECT_EQ(job["parent_id"], id);
  EXPECT_EQ(job["spec"]["robust"]["trade_off"], 0.5);
  EXPECT_EQ(job["spec"]["output"], other);
  const std::string tree = run_here({"jobs", "tree", fork}).out;
  EXPECT_THAT(tree, StartsWith(id + "  RUNNING  step 1 of 2\n"));
  EXPECT_THAT(tree, HasSubstr(fork + "  QUEUED  step 0, from step 1\n"));
  EXPECT_EQ(run_here({"jobs", "tree"}).out, tree);
  EXPECT_THAT(run_here({"jobs", "fork", id, "--at", "7"}).err, HasSubstr("no checkpoint of step 7"));
}

TEST_F(JobsVerbs, JobsOfTheUsersWorkersMayBePausedToo) {
  const std::string id = submitted();
  EXPECT_EQ(run_here({"jobs", "pause", id, "--wait"}).code, ExitCode::kSuccess);
  EXPECT_EQ(nlohmann::json::parse(run_here({"jobs", "get", id, "--json"}).out)["state"], "JOB_STATE_PAUSED");
}

TEST_F(JobsVerbs, AnUnknownJobIsOneLineAndExitCodeTwo) {
  for (const std::string verb :
       {"get", "watch", "pause", "resume", "checkpoint", "evaluate", "cancel", "delete", "weights"}) {
    const CommandRun result = run_here({"jobs", verb, "no-such-job"});
    EXPECT_EQ(result.code, ExitCode::kBadInput) << verb;
    EXPECT_THAT(result.err, HasSubstr("no-such-job")) << verb;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST_F(JobsVerbs, ListShowsMoreJobsThanOnePageHolds) {
  constexpr int kJobs = 60;  // a page holds 50 unless asked otherwise
  for (int i = 0; i < kJobs; ++i) submitted();
  const auto list = nlohmann::json::parse(run_here({"jobs", "list", "--json"}).out);
  EXPECT_EQ(list["jobs"].size(), static_cast<std::size_t>(kJobs));
}

}  // namespace jobs_test
}  // namespace equipoise

#include "coordinator/job/output_folders.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace output_folders_test {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Code = Refusal::Code;

class OutputFoldersTest : public ControllerFixture {
 protected:
  void run_ranks_here() {
    settings_.outputs = {.ranks_run = RanksRun::kOnThisMachine, .state = folder_.path() / "state"};
    restart();
  }
  // An id makes create_request() leave the output as it is.
  v1::TrainingJob submit(const std::filesystem::path& output, v1::LaunchMode mode = v1::LAUNCH_MODE_COORDINATOR) {
    v1::JobSpec spec = two_group_spec(mode, 1);
    spec.set_output(output.string());
    spec.set_overwrite(true);
    return jobs().create(create_request(spec, "request-" + std::to_string(++requests_)));
  }
  CallError refusal_of(const std::filesystem::path& output) {
    return error_of([&] { submit(output); });
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  bool is_locked(const std::string& name) const { return std::filesystem::exists(path(name) / kOutputLockName); }

  int requests_ = 0;
};

// Two jobs with one output and overwrite both succeeded, and one result was left.
TEST_F(OutputFoldersTest, ASecondJobIsRefusedAtOnceWhetherTheFirstIsQueuedOrRuns) {
  const std::string id = submit("/data/out").id();
  for (int round = 0; round < 2; ++round) {
    const CallError refused = refusal_of("/data/out");
    EXPECT_EQ(refused.code, Code::kFailedPrecondition);
    EXPECT_THAT(refused.text, StartsWith("output: /data/out is in use by job " + id + " of this coordinator (pid "));
    EXPECT_THAT(refused.text, EndsWith("Z); wait until that has ended, cancel it, or choose another output"));
    core_->attempts().tick();
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(refusal_of("/data/./x/../out/").code, Code::kFailedPrecondition);
  EXPECT_THAT(refusal_of("/data/out/final/more").text, HasSubstr("inside of /data/out, in use by job " + id));
  EXPECT_THAT(refusal_of("/data").text, HasSubstr("around /data/out, in use by job " + id));
  EXPECT_EQ(refusal_of("/data/outer").text, "no error");
}

TEST_F(OutputFoldersTest, AFolderIsFreeOnceItsJobHasEndedAndItsProcessesToo) {
  const std::string id = submit("/data/out").id();
  core_->attempts().tick();
  jobs().cancel(id);
  core_->attempts().tick();
  EXPECT_THAT(refusal_of("/data/out").text, HasSubstr("in use by job " + id));
  mpirun_exits(id, 1);
  core_->attempts().tick();
  EXPECT_EQ(refusal_of("/data/out").text, "no error");
}

TEST_F(OutputFoldersTest, AQueuedJobKeepsItsFolderOverARestart) {
  const std::string id = submit("/data/out").id();
  restart();
  EXPECT_THAT(refusal_of("/data/out").text, HasSubstr("in use by job " + id));
}

TEST_F(OutputFoldersTest, AnotherCoordinatorOfThisMachineIsRefusedAndToldWho) {
  run_ranks_here();
  const std::string id = submit(path("out")).id();
  const OutputFolders other({.ranks_run = RanksRun::kOnThisMachine, .state = path("other")});
  JobConfig theirs;
  theirs.output = path("out");
  const CallError refused = error_of([&] { other.files().reserve("theirs-1", theirs); });
  EXPECT_EQ(refused.code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.text,
              AllOf(HasSubstr("in use by job " + id + " of equipoise-coordinator (pid "), HasSubstr("since 20")));
  jobs().cancel(id);
  core_->attempts().tick();
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  const auto lock = other.files().reserve("theirs-1", theirs);
  EXPECT_THAT(refusal_of(path("out")).text, HasSubstr("in use by job theirs-1"));
}

// While no coordinator had it: the job's ranks and theirs would have written there together.
TEST_F(OutputFoldersTest, AJobWaitsForItsFolderWhereAnotherProcessHasItByNow) {
  run_ranks_here();
  const std::string id = submit(path("out")).id();
  core_.reset();
  const OutputFolders other({.ranks_run = RanksRun::kOnThisMachine, .state = path("other")});
  JobConfig theirs;
  theirs.output = path("out");
  auto lock = other.files().reserve("theirs-1", theirs);
  restart();
  pass(std::chrono::seconds(3));
  EXPECT_THAT(launcher_.started, ::testing::IsEmpty());
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(job(id).conditions(),
              ::testing::ElementsAre(AllOf(HasSubstr("waits to start until its output folder is free: "),
                                           HasSubstr("in use by job theirs-1"))));
  lock.reset();
  pass(std::chrono::seconds(2));
  EXPECT_THAT(launcher_.started, ::testing::SizeIs(1));
}

// While its files are asked for.
TEST_F(OutputFoldersTest, AJobThatIsBeingMadeHasItsFolder) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.set_output("/data/out");
  const auto request = create_request(spec, "first");
  JobMaking making = jobs().begin(request, "");
  jobs().note(request, making);
  jobs().outputs().take(making.id, making.config, "/data/out");
  core_->attempts().tick();
  EXPECT_THAT(refusal_of("/data/out").text, HasSubstr("in use by job " + making.id));
  const CallError again = error_of([&] { jobs().create(request); });
  EXPECT_EQ(again.code, Code::kUnavailable);
  EXPECT_THAT(again.text, HasSubstr("request_id \"first\" still waits for files of its job"));
  jobs().abandon(making);
  EXPECT_EQ(refusal_of("/data/out").text, "no error");
}

// Each end of a job kept all others for a second.
TEST_F(OutputFoldersTest, NobodyWaitsForALockToLeaveTheDisk) {
  run_ranks_here();
  errands_ = &silent_;
  restart();
  const std::string id = submit(path("out")).id();
  jobs().cancel(id);
  core_->attempts().tick();
  EXPECT_TRUE(is_locked("out"));
  const std::string next = submit(path("out")).id();  // which takes it off itself
  EXPECT_TRUE(is_locked("out"));
  silent_.answer();
  EXPECT_TRUE(is_locked("out")) << "by the next one";
  EXPECT_THAT(refusal_of(path("out")).text, HasSubstr("in use by job " + next));
  jobs().cancel(next);
  core_->attempts().tick();
  silent_.answer();
  EXPECT_FALSE(is_locked("out"));
}

// Each start of such a job kept all others for a second.
TEST_F(OutputFoldersTest, AJobWhoseFileSystemDoesNotAnswerWaitsAlone) {
  settings_.supervisor.max_running_jobs = 2;
  run_ranks_here();
  const std::string id = submit(path("out")).id(), ended = submit(path("ended")).id();
  errands_ = &silent_;
  restart();
  EXPECT_THAT(refusal_of(path("out")).text, HasSubstr("in use by job " + id));
  const std::string other = submit(path("other")).id();
  core_->attempts().tick();
  EXPECT_THAT(job(id).conditions(), ::testing::IsEmpty()) << "it has just been asked";
  jobs().cancel(ended);
  pass(std::chrono::seconds(2));
  EXPECT_EQ(job(other).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(job(id).conditions(),
              ::testing::ElementsAre(HasSubstr("the file system of " + path("out").string() + " does not answer")));
  silent_.answer();
  pass(std::chrono::seconds(2));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_TRUE(is_locked("out"));
  EXPECT_FALSE(is_locked("ended")) << "it came too late";
}

TEST_F(OutputFoldersTest, ASymbolicLinkIsTheFolderItNames) {
  run_ranks_here();
  const std::string id = submit(path("out")).id();
  std::filesystem::create_directory_symlink(path("out"), path("link"));
  EXPECT_THAT(refusal_of(path("link")).text, HasSubstr("in use by job " + id));
}

TEST_F(OutputFoldersTest, AJobMayNotWriteIntoTheRootOrTheStateFolder) {
  run_ranks_here();
  EXPECT_THAT(refusal_of("/").text, HasSubstr("output: / is the root of the file system"));
  std::filesystem::create_directory_symlink("/", path("root"));
  EXPECT_THAT(refusal_of(path("root")).text, HasSubstr("is the root of the file system"));
  // Once taken for the root, as the system could not follow them.
  EXPECT_THAT(refusal_of(path(std::string(300, 'a'))).text, HasSubstr("cannot be made: File name too long"));
  std::filesystem::create_symlink("circle", path("circle"));
  EXPECT_THAT(refusal_of(path("circle/out")).text, HasSubstr("Too many levels of symbolic links"));
  EXPECT_THAT(refusal_of(path("state")).text, HasSubstr("is in the coordinator's state folder"));
  EXPECT_THAT(refusal_of(path("state/logs/x")).text, HasSubstr("is in the coordinator's state folder"));
  settings_.outputs.state = path("runs/final/state");
  restart();
  EXPECT_THAT(refusal_of(path("runs")).text, HasSubstr("would replace the coordinator's state folder"));
}

TEST_F(OutputFoldersTest, WhatIsOnlyCheckedTakesNothing) {
  run_ranks_here();
  v1::CreateTrainingJobRequest request = create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1), "check");
  request.mutable_spec()->set_output(path("out").string());
  request.set_validate_only(true);
  jobs().create(request);
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_EQ(refusal_of(path("out")).text, "no error");
}

}  // namespace output_folders_test
}  // namespace equipoise::coordinator

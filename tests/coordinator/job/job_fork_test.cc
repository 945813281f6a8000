// Jobs that begin with a checkpoint of another one: what of it is kept for them, and with which settings they begin.
#include "coordinator/job/job_fork.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "common/protocol/job_state.h"
#include "tests/coordinator/support/controller_fixture.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace job_fork_test {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Code = Refusal::Code;

class JobForks : public ControllerFixture {
 protected:
  void SetUp() override {
    id_ = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
    for (int step = 0; step < 5; ++step) calls().report_step(step_request(id_, 1, step, {0.2, 1.0}));
  }
  fs::path output(const std::string& id) { return job(id).spec().output(); }
  // Of the steps so far.
  v1::ResumePoint checkpoint() {
    v1::GetGroupWeightsRequest request;
    request.set_job_id(id_);
    request.set_generation(1);
    const v1::WeightState weights = calls().group_weights(request).state();
    const fs::path folder = output(id_) / "checkpoints" / ("step-" + std::to_string(weights.steps()));
    fs::create_directories(folder / "templates");
    std::ofstream(folder / "manifest.json") << "{}";
    std::ofstream(folder / "model.safetensors") << "parameters";
    std::ofstream(folder / "templates" / "chat.jinja") << "template";
    calls().commit_checkpoint(commit_request(id_, 1, weights.steps()));
    return resume_point(id_, 1, weights);
  }
  v1::ForkTrainingJobRequest request() {
    v1::ForkTrainingJobRequest request;
    request.set_id(id_);
    *request.mutable_spec() = job(id_).spec();
    request.mutable_spec()->mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL);
    request.mutable_spec()->set_output(output(id_).string() + "-fork-" + std::to_string(++forks_));
    return request;
  }
  // Its first step.
  v1::StartTrainingResponse start(const std::string& fork, const v1::ResumePoint& point) {
    EXPECT_TRUE(calls().register_worker(register_request(fork, 0, 0, 1)).is_fork());
    auto start = start_request(fork, 1);
    *start.mutable_resume() = point;
    return calls().start_training(start);
  }
  int links() {
    int found = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(output(id_))) {
      found += entry.path().filename().string().starts_with("fork-") ? 1 : 0;
    }
    return found;
  }
  static std::string content(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string id_;
  int forks_ = 0;
};

TEST_F(JobForks, HaveTheCheckpointWhateverTheirParentRemoves) {
  checkpoint();
  const v1::TrainingJob fork = jobs().fork(request());
  EXPECT_EQ(fork.parent_id(), id_);
  EXPECT_EQ(fork.parent_step(), 5);
  EXPECT_EQ(fork.state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(fork.settings_changes_size(), 0);
  fs::remove_all(output(id_) / "checkpoints");
  const fs::path folder = fork.spec().training().resume_from_checkpoint();
  EXPECT_EQ(folder.filename(), "step-5");
  EXPECT_EQ(folder.parent_path().parent_path(), output(id_)) << "beside the metrics, which a run takes from there";
  EXPECT_EQ(content(folder / "model.safetensors"), "parameters");
  EXPECT_EQ(content(folder / "templates/chat.jinja"), "template");
  restart();
  EXPECT_EQ(job(fork.id()).parent_id(), id_);
}

// checkpoints/ may be a link to another disk, and some file systems have no hard links at all.
TEST_F(JobForks, CopyACheckpointThatCannotHaveASecondName) {
  checkpoint();
  const TempFolder elsewhere("/dev/shm");
  const fs::path checkpoints = output(id_) / "checkpoints", moved = elsewhere.path() / "checkpoints";
  fs::copy(checkpoints, moved, fs::copy_options::recursive);
  fs::remove_all(checkpoints);
  fs::create_directory_symlink(moved, checkpoints);
  std::error_code refused;
  fs::create_hard_link(moved / "step-5/manifest.json", output(id_) / "second", refused);
  ASSERT_EQ(refused, std::errc::cross_device_link);
  const fs::path folder = jobs().fork(request()).spec().training().resume_from_checkpoint();
  fs::remove_all(moved);
  EXPECT_EQ(content(folder / "model.safetensors"), "parameters");
  EXPECT_EQ(content(folder / "templates/chat.jinja"), "template");
  EXPECT_EQ(links(), 1);
}

// Others are served between the parts of a call.
TEST_F(JobForks, SecondNamesThatAreBeingMadeStayWhateverOthersRemove) {
  checkpoint();
  auto asked = request();
  asked.set_request_id("once");
  JobMaking making = jobs().begin(asked, "");
  jobs().note(asked, making);
  link_checkpoint(*making.links);
  jobs().fork(request());
  EXPECT_EQ(links(), 2);
  const CallError again = error_of([&] { jobs().fork(asked); });
  EXPECT_EQ(again.code, Code::kUnavailable);
  EXPECT_THAT(again.text, HasSubstr("request_id \"once\" still waits for files of its job"));
  jobs().outputs().take(making.id, making.config, making.config.output);
  const v1::TrainingJob fork = jobs().finish(asked, making);
  EXPECT_TRUE(fs::exists(fs::path(fork.spec().training().resume_from_checkpoint()) / "manifest.json"));
  EXPECT_EQ(jobs().fork(asked).id(), fork.id()) << "its answer is kept";
  EXPECT_EQ(links(), 2);
}

TEST_F(JobForks, ACallThatIsGivenUpLeavesNothing) {
  checkpoint();
  auto asked = request();
  asked.set_request_id("once");
  asked.mutable_spec()->set_output("/");
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text, HasSubstr("is the root of the file system"));
    EXPECT_EQ(links(), 0);
  }
}

TEST_F(JobForks, AParentThatIsDeletedMeanwhileHasNone) {
  checkpoint();
  const auto asked = request();
  JobMaking making = jobs().begin(asked, "");
  jobs().note(asked, making);
  jobs().cancel(id_);
  core_->attempts().tick();
  mpirun_exits(id_, 143);
  core_->attempts().tick();
  jobs().remove(id_);
  jobs().outputs().take(making.id, making.config, making.config.output);
  EXPECT_EQ(error_of([&] { jobs().finish(asked, making); }).code, Code::kNotFound);
  jobs().abandon(making);
}

// The first checkpoint of a fork, and each delete, kept all other jobs for a second.
TEST_F(JobForks, NobodyWaitsForWhatIsRemovedOnASilentFileSystem) {
  errands_ = &silent_;
  restart();
  id_ = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  for (int step = 0; step < 5; ++step) calls().report_step(step_request(id_, 1, step, {0.2, 1.0}));
  const auto point = checkpoint();
  const std::string fork = jobs().fork(request()).id(), unused = jobs().fork(request()).id();
  start(fork, point);
  calls().report_step(step_request(fork, 1, 5, {0.2, 1.0}));
  calls().commit_checkpoint(commit_request(fork, 1, 6));
  jobs().cancel(unused);
  jobs().remove(unused);
  EXPECT_EQ(links(), 2);
  silent_.answer();
  EXPECT_EQ(links(), 0);
}

// The coordinator was killed before the fork was stored, or before the links of one that had a checkpoint were removed.
TEST_F(JobForks, SecondNamesThatNobodyNeedsGo) {
  const auto point = checkpoint();
  const auto leave_links = [&] { fs::create_directories(output(id_) / "fork-00000000" / "step-5"); };
  leave_links();
  for (const auto& kept : {output(id_) / "fork-lr2" / "metrics.jsonl", output(id_) / "fork-00000001" / "notes"}) {
    fs::create_directories(kept);
  }
  const std::string waits = jobs().fork(request()).id(), trains = jobs().fork(request()).id();
  EXPECT_EQ(links(), 4) << "those of the forks, and what is somebody's";
  start(trains, point);
  calls().report_step(step_request(trains, 1, 5, {0.2, 1.0}));
  const fs::path of_fork = fs::path(job(trains).spec().training().resume_from_checkpoint()).parent_path();
  calls().commit_checkpoint(commit_request(trains, 1, 6));
  EXPECT_FALSE(fs::exists(of_fork));
  fs::create_directories(of_fork / "step-5");
  restart();
  EXPECT_FALSE(fs::exists(of_fork));
  leave_links();
  EXPECT_EQ(links(), 4);
  const fs::path outputs = output(id_);
  if (!is_final(job(id_).state())) jobs().cancel(id_);
  jobs().remove(id_);
  EXPECT_FALSE(fs::exists(outputs / "fork-00000000"));
  EXPECT_TRUE(fs::exists(outputs / "fork-lr2" / "metrics.jsonl")) << "of a run of somebody";
  EXPECT_TRUE(fs::exists(outputs / "fork-00000001" / "notes"));
  EXPECT_TRUE(fs::exists(fs::path(job(waits).spec().training().resume_from_checkpoint()) / "manifest.json"));
}

TEST_F(JobForks, BeginWithTheWeightsOfTheCheckpointAndTheirOwnStepSize) {
  const auto point = checkpoint();
  auto asked = request();
  asked.set_etag(job(id_).etag());
  asked.mutable_spec()->mutable_robust()->set_step_size(0.0625);
  asked.mutable_spec()->mutable_robust()->set_trade_off(0.5);
  const v1::TrainingJob fork = jobs().fork(asked);
  ASSERT_THAT(fork.settings_changes(), SizeIs(1));
  EXPECT_EQ(fork.settings_changes(0).settings().step_size(), 0.0625);
  EXPECT_FALSE(fork.settings_changes(0).settings().has_trade_off()) << "which no checkpoint has";
  const auto started = start(fork.id(), point);
  ASSERT_THAT(started.settings_changes(), SizeIs(1));
  EXPECT_EQ(started.settings_changes(0).effective_step(), 5);
  const double before = std::log(started.alpha(1) / started.alpha(0));
  const auto answer = calls().report_step(step_request(fork.id(), 1, 5, {0.2, 1.0}));
  EXPECT_NEAR(std::log(answer.alpha(1) / answer.alpha(0)), before + 0.0625 * 0.5 * (1.0 - 0.2), 1e-13);
}

TEST_F(JobForks, AStepSizeThatTheirParentHadByThenIsNoChange) {
  v1::UpdateTrainingJobRequest update;
  update.set_id(id_);
  update.mutable_settings()->set_step_size(0.125);
  jobs().update(update);
  v1::ApplySettingsRequest apply;
  apply.set_job_id(id_);
  apply.set_generation(1);
  apply.set_step(5);
  apply.set_version(1);
  calls().apply_settings(apply);
  checkpoint();  // of step 5: from before the change
  auto asked = request();
  asked.mutable_spec()->mutable_robust()->set_step_size(0.125);
  EXPECT_THAT(jobs().fork(asked).settings_changes(), SizeIs(1));
  calls().report_step(step_request(id_, 1, 5, {0.2, 1.0}));
  checkpoint();
  auto later = request();
  later.mutable_spec()->mutable_robust()->set_step_size(0.125);
  const v1::TrainingJob fork = jobs().fork(later);
  EXPECT_EQ(fork.parent_step(), 6);
  EXPECT_EQ(fork.settings_changes_size(), 0);
}

TEST_F(JobForks, TheStepIsTheNewestUnlessItIsNamed) {
  checkpoint();
  calls().report_step(step_request(id_, 1, 5, {0.2, 1.0}));
  checkpoint();
  EXPECT_EQ(jobs().fork(request()).parent_step(), 6);
  auto older = request();
  older.set_step(5);
  EXPECT_EQ(jobs().fork(older).parent_step(), 5);
  older = request();
  older.set_step(4);
  const auto refusal = error_of([&] { jobs().fork(older); });
  EXPECT_EQ(refusal.code, Code::kNotFound);
  EXPECT_THAT(refusal.text, HasSubstr("no checkpoint of step 4; there are those of steps 6, 5"));
}

TEST_F(JobForks, WhatCannotBeForkedLeavesNothing) {
  auto asked = request();
  EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text, HasSubstr("has no checkpoint yet"));
  checkpoint();
  asked.mutable_spec()->mutable_model()->set_path("/models/other");
  EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text, HasSubstr("model is not that of the job"));
  asked = request();
  asked.mutable_spec()->mutable_data()->set_train("/data/other.jsonl");
  EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text, HasSubstr("data is not that of the job"));
  asked = request();
  asked.mutable_spec()->mutable_robust()->set_trade_off(2);
  EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text, HasSubstr("robust.trade_off is 2"));
  asked = request();
  asked.mutable_spec()->mutable_training()->set_seed(9);
  EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text, HasSubstr("training.seed is 9, but "))
      << "which the ranks would say";
  asked = request();
  asked.mutable_spec()->mutable_robust()->set_mode(v1::ROBUST_MODE_NONE);
  EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text, HasSubstr("robust.mode is "));
  asked = request();
  asked.mutable_spec()->mutable_training()->set_max_steps(4);
  EXPECT_THAT(error_of([&] { jobs().fork(asked); }).text,
              HasSubstr("training.max_steps is 4, expected at least the checkpoint's step 5"));
  asked = request();
  asked.set_etag("other");
  EXPECT_EQ(error_of([&] { jobs().fork(asked); }).code, Code::kAborted) << "has changed since it was read";
  asked = request();
  asked.mutable_spec()->set_output(output(id_).string());
  EXPECT_EQ(error_of([&] { jobs().fork(asked); }).code, Code::kFailedPrecondition) << "its parent writes there";
  fs::remove_all(output(id_) / "checkpoints/step-5");
  const auto refusal = error_of([&] { jobs().fork(request()); });
  EXPECT_EQ(refusal.code, Code::kFailedPrecondition);
  EXPECT_THAT(refusal.text, HasSubstr("could not be kept for the new job"));
  EXPECT_EQ(links(), 0);
}

TEST_F(JobForks, NeedTheCheckpointUntilTheyHaveOneOfTheirOwn) {
  const auto point = checkpoint();
  const std::string fork = jobs().fork(request()).id(), unused = jobs().fork(request()).id();
  EXPECT_EQ(links(), 2);
  start(fork, point);
  calls().report_step(step_request(fork, 1, 5, {0.2, 1.0}));
  EXPECT_EQ(links(), 2);
  calls().commit_checkpoint(commit_request(fork, 1, 6));
  EXPECT_EQ(links(), 1);
  jobs().cancel(unused);
  jobs().remove(unused);
  EXPECT_EQ(links(), 0);
}

}  // namespace job_fork_test
}  // namespace equipoise::coordinator

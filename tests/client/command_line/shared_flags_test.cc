#include "client/command_line/shared_flags.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace shared_flags_test {

class JobFlagsTest : public testing::Test {
 protected:
  JobFlagsTest() { folder_.write("job.yaml", kText); }

  RequestedJob job_of(std::vector<std::string> arguments) const {
    CLI::App app("", "train");
    JobFlags flags;
    flags.add_to(app);
    std::ranges::reverse(arguments);  // as the parser wants them
    app.parse(arguments);
    return flags.job();
  }
  std::string resumed_from(const std::vector<std::string>& arguments) const {
    return job_of(arguments).spec.training().resume_from_checkpoint();
  }
  std::string refusal_of(const std::vector<std::string>& arguments) const {
    try {
      job_of(arguments);
    } catch (const std::invalid_argument& refusal) {
      return refusal.what();
    }
    return "";
  }

  static constexpr const char* kText =
      "name: job\nmodel: {path: model}\ndata: {train: train.jsonl}\noutput: out\noverwrite: true\n";
  const TempFolder folder_;
  const std::string at_ = folder_.path().string();
  const std::string file_ = at_ + "/job.yaml";
};

TEST_F(JobFlagsTest, ResumeTakesAValueOrNone) {
  EXPECT_FALSE(job_of({file_}).spec.has_training());
  EXPECT_EQ(resumed_from({file_, "--resume"}), "latest");
  EXPECT_EQ(resumed_from({"--resume", file_}), "latest");
  EXPECT_EQ(resumed_from({"--resume", file_, "--np", "2"}), "latest");
  EXPECT_EQ(resumed_from({"--resume", "latest", file_}), "latest");
  EXPECT_EQ(resumed_from({file_, "--resume", "7"}), at_ + "/out/checkpoints/step-7");
  EXPECT_EQ(resumed_from({file_, "--resume=7", "--output", at_ + "/other"}), at_ + "/other/checkpoints/step-7");
  EXPECT_EQ(resumed_from({file_, "--resume", at_ + "/a/b/"}), at_ + "/a/b");
  EXPECT_THROW(job_of({"--resume"}), CLI::RequiredError);
  EXPECT_THROW(job_of({"--resume", "7", "--np", "2"}), CLI::RequiredError);
}

TEST_F(JobFlagsTest, ResumeIsCalledAsInTrlToo) {
  EXPECT_EQ(resumed_from({file_, "--resume_from_checkpoint", "True"}), "latest");
  EXPECT_EQ(resumed_from({file_, "--resume-from-checkpoint=true"}), "latest");
  EXPECT_EQ(resumed_from({file_, "--resume_from_checkpoint", at_ + "/checkpoint"}), at_ + "/checkpoint");
  const std::vector<std::string> given = {file_, "--set", "training.resume_from_checkpoint=latest"};
  EXPECT_EQ(resumed_from({given[0], given[1], given[2], "--set", "overwrite=false"}), "latest");
  EXPECT_EQ(resumed_from({given[0], given[1], given[2], "--resume-from-checkpoint=False"}), "");
}

TEST_F(JobFlagsTest, AJobMaySayItAsInTrlToo) {
  const auto resumed = [&](const std::string& value) {
    const std::string setting = "training.resume_from_checkpoint=" + value;
    return job_of({file_, "--set", setting, "--set", "overwrite=false"}).config.training.resume_from_checkpoint;
  };
  for (const std::string latest : {"latest", "true", "True", "TRUE"}) EXPECT_EQ(resumed(latest), "latest") << latest;
  for (const std::string none : {"false", "False", "FALSE"}) EXPECT_EQ(resumed(none), std::nullopt) << none;
  EXPECT_EQ(resumed("a/b"), at_ + "/a/b");
}

// A file that says `overwrite: true` of a run from the start is no reason to lose the run that is to go on.
TEST_F(JobFlagsTest, ARunThatGoesOnReplacesNothing) {
  EXPECT_TRUE(job_of({file_}).config.overwrite);
  EXPECT_FALSE(job_of({file_, "--resume"}).config.overwrite);
  EXPECT_FALSE(job_of({file_, "--resume", "7"}).config.overwrite);
  EXPECT_FALSE(job_of({file_, "--resume", at_ + "/out/checkpoints/step-7"}).config.overwrite);
  EXPECT_TRUE(job_of({file_, "--resume", at_ + "/other/checkpoints/step-7"}).config.overwrite);
  for (const std::string value : {"latest", "7"}) {
    EXPECT_EQ(refusal_of({file_, "--overwrite", "--resume", value}),
              "--resume goes on with the run in " + at_ + "/out, and --overwrite replaces it: give one of them");
  }
  EXPECT_EQ(refusal_of({file_, "--overwrite", "--resume", at_ + "/other/checkpoints/step-7"}), "");
}

TEST_F(JobFlagsTest, ARunsFolderStandsForItsJob) {
  const std::string run = at_ + "/moved";
  EXPECT_EQ(job_of({at_ + "/.", "--resume"}).config.output, at_);
  folder_.write("moved/job.yaml", kText);
  const RequestedJob job = job_of({run + "/", "--resume"});
  EXPECT_EQ(job.config.output, run);
  EXPECT_EQ(job.spec.training().resume_from_checkpoint(), "latest");
  EXPECT_EQ(resumed_from({"--resume", run, "--np", "2"}), "latest");
  EXPECT_EQ(resumed_from({run, "--resume", "7"}), run + "/checkpoints/step-7");
  EXPECT_EQ(refusal_of({run}), run + " is the output of a run, expected a job file; --resume goes on with the run");
  EXPECT_EQ(refusal_of({run, "--resume=false"}), refusal_of({run}));
  EXPECT_EQ(refusal_of({run, "--resume", "--output", at_ + "/new"}),
            "--output: a run goes on in its own folder " + run + "; " + run +
                "/job.yaml with --resume FOLDER goes on from a checkpoint of it in another one");
  std::filesystem::create_directory(at_ + "/empty");
  EXPECT_EQ(refusal_of({at_ + "/empty", "--resume"}),
            at_ + "/empty is a folder without a job.yaml, expected a job file");
}

TEST_F(JobFlagsTest, TheJobFileOfARunMayGoOnInPlace) {
  folder_.write("out/job.yaml", std::string(kText) + "# of the run\n");
  const std::string file = at_ + "/out/job.yaml";
  EXPECT_EQ(refusal_of({file, "--resume", "--output", at_ + "/out"}), "");
  EXPECT_NE(refusal_of({file, "--output", at_ + "/out"}).find("would replace the job file"), std::string::npos);
}

}  // namespace shared_flags_test
}  // namespace equipoise

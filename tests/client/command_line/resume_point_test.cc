#include "client/command_line/resume_point.h"

#include <gtest/gtest.h>

#include "tests/client/support/example_checkpoint.h"

namespace equipoise {
namespace resume_point_test {

class ResumePointTest : public testing::Test {
 protected:
  JobConfig job_from(const std::filesystem::path& checkpoint) const {
    JobConfig job;
    job.output = run_;
    job.training.resume_from_checkpoint = checkpoint;
    return job;
  }
  std::string fault_of(const std::filesystem::path& checkpoint) const {
    try {
      static_cast<void>(resume_point(job_from(checkpoint)));
    } catch (const std::invalid_argument& fault) {
      return fault.what();
    }
    return "";
  }

  const TempFolder folder_;
  const std::filesystem::path run_ = folder_ / "run";
};

TEST_F(ResumePointTest, TakesWordsNumbersAndFolders) {
  for (const std::string latest : {"latest", "true", "True", "TRUE"}) EXPECT_EQ(resume_setting(latest, run_), "latest");
  EXPECT_EQ(resume_setting("False", run_), "false");
  EXPECT_EQ(resume_setting("120", run_), (run_ / "checkpoints/step-120").string());
  const std::filesystem::path here = std::filesystem::current_path();
  EXPECT_EQ(resume_setting("runs/../a/step-5/", run_), (here / "a/step-5").string());
  EXPECT_EQ(resume_setting("-5", run_), (here / "-5").string());
  EXPECT_EQ(resume_setting("12a", run_), (here / "12a").string());
}

TEST_F(ResumePointTest, TheLatestIsTheNewestWithAManifest) {
  write_checkpoint(folder_, "run", 60);
  write_checkpoint(folder_, "run", 120);
  EXPECT_EQ(resume_point(job_from("latest"))->step, 120);
  EXPECT_EQ(resume_text(job_from("latest")), "goes on from step 120 of " + (run_ / "checkpoints/step-120").string());
  folder_.write("run/checkpoints/step-120/manifest.json", "{");
  EXPECT_EQ(resume_point(job_from("latest"))->step, 60);
  EXPECT_EQ(newest_checkpoint(run_)->folder, run_ / "checkpoints/step-60");
}

TEST_F(ResumePointTest, AJobWithoutACheckpointStartsAtTheBeginning) {
  EXPECT_FALSE(resume_point(job_from("latest")));
  EXPECT_EQ(resume_text(job_from("latest")),
            "there is no checkpoint in " + run_.string() + ": training starts at the beginning");
  JobConfig from_the_start;
  from_the_start.output = run_;
  EXPECT_EQ(resume_text(from_the_start), "");
}

// It would start at the beginning, over what is left of the run.
TEST_F(ResumePointTest, ARunWhoseCheckpointsAreAllDamagedIsRefused) {
  write_checkpoint(folder_, "run", 60);
  folder_.write("run/checkpoints/step-60/manifest.json", "");
  const std::string fault = fault_of("latest");
  EXPECT_TRUE(fault.starts_with("training.resume_from_checkpoint: no checkpoint in " + (run_ / "checkpoints").string() +
                                " is whole: " + (run_ / "checkpoints/step-60/manifest.json").string() + ": "))
      << fault;
  EXPECT_TRUE(fault.ends_with("; --overwrite in place of --resume starts at the beginning")) << fault;
  EXPECT_FALSE(newest_checkpoint(run_));
}

TEST_F(ResumePointTest, AFolderThatIsNoCheckpointIsNamedForWhatItIs) {
  write_checkpoint(folder_, "run", 60);
  write_checkpoint(folder_, "run", 120);
  const std::string field = "training.resume_from_checkpoint: ";
  const std::string missing = (run_ / "checkpoints/step-7").string();
  EXPECT_EQ(fault_of(missing), field + missing + " does not exist, expected a checkpoint; there are steps 120, 60");
  EXPECT_EQ(fault_of(run_), field + run_.string() + " is a run's output: name one of its checkpoints, the newest is " +
                                (run_ / "checkpoints/step-120").string());
  const std::string file = folder_.write("file", "").string();
  EXPECT_EQ(fault_of(file), field + file + " is not a folder, expected a checkpoint");
  folder_.write("checkpoint-500/trainer_state.json", "{}");
  EXPECT_EQ(fault_of(folder_ / "checkpoint-500"),
            field + (folder_ / "checkpoint-500").string() +
                " is a checkpoint of another trainer (trainer_state.json): its model can be the start of a job, as "
                "model.path");
  folder_.write("run/checkpoints/step-60/manifest.json", "{}");
  EXPECT_TRUE(fault_of(run_ / "checkpoints/step-60/")
                  .starts_with(field + (run_ / "checkpoints/step-60/manifest.json").string() + ": "));
  EXPECT_EQ(fault_of(run_ / "checkpoints/step-120/"), "");
}

TEST_F(ResumePointTest, TwoCheckpointsOfOneStepAreToldApart) {
  write_checkpoint(folder_, "run", 60);
  const std::string before = newest_checkpoint(run_)->identity;
  write_checkpoint(folder_, "run", 60);
  EXPECT_EQ(newest_checkpoint(run_)->identity, before);
  CheckpointManifest other = example_manifest(60);
  other.job_id = "gr-dpo-89abcdef";
  folder_.write("run/checkpoints/step-60/manifest.json", manifest_text(other));
  EXPECT_NE(newest_checkpoint(run_)->identity, before);
}

TEST_F(ResumePointTest, KnowsTheOutputsOwnCheckpoints) {
  EXPECT_TRUE(goes_on_in_own_output(job_from("latest")));
  EXPECT_TRUE(goes_on_in_own_output(job_from(run_ / "checkpoints/../checkpoints/step-7")));
  EXPECT_FALSE(goes_on_in_own_output(job_from(folder_ / "other/checkpoints/step-7")));
  EXPECT_FALSE(goes_on_in_own_output(JobConfig()));
}

}  // namespace resume_point_test
}  // namespace equipoise

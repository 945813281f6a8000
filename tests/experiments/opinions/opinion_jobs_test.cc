#include "experiments/opinions/opinion_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "common/config/job_file.h"
#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace opinion_jobs_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

const std::filesystem::path kExamples = "../deploy/examples/opinions";  // tests run in tests/

JobConfig example(Method method) {
  return make_job_config(read_job_file(kExamples / (opinion_job_name(method) + ".yaml"), {}));
}

TEST(OpinionJobs, BuiltInOnesPassTheChecksOfJobs) {
  for (const OpinionScale scale : {OpinionScale::kReduced, OpinionScale::kQuick}) {
    const OpinionJobs jobs = built_in_opinion_jobs(scale);
    EXPECT_EQ(opinion_job_config(jobs.sft).loss.type, LossType::kSft);
    for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
      const JobConfig job = opinion_job_config(jobs.methods[m]);
      EXPECT_EQ(job.loss.type, family_of(kOpinionMethods[m]) == Family::kDpo ? LossType::kDpo : LossType::kIpo);
      EXPECT_GT(job.evaluation_every_steps, 0);
    }
  }
}

TEST(OpinionJobs, MethodsOfAFamilyDifferInTheirGroupWeightsAlone) {
  const OpinionJobs jobs = built_in_opinion_jobs(OpinionScale::kReduced);
  for (const std::size_t plain : {0U, 3U}) {
    v1::JobSpec spec = jobs.methods[plain];
    for (const std::size_t other : {plain + 1, plain + 2}) {
      v1::JobSpec without_weights = jobs.methods[other];
      without_weights.clear_robust();
      EXPECT_EQ(job_spec_to_yaml(without_weights), job_spec_to_yaml(spec));
    }
  }
}

// docs/reproduce.md, the reduced setting, and what --quick makes of it.
TEST(OpinionJobs, BuiltInOnesAreTheFilesAndQuickOnesChangeTheirLengthAlone) {
  const OpinionJobs reduced = built_in_opinion_jobs(OpinionScale::kReduced);
  const OpinionJobs from_files = read_opinion_jobs("../experiments/opinions/jobs");
  OpinionJobs quick = built_in_opinion_jobs(OpinionScale::kQuick);
  EXPECT_EQ(reduced.sft.training().max_steps(), 600);
  EXPECT_EQ(quick.sft.training().max_steps(), 12);
  EXPECT_EQ(reduced.methods[5].robust().step_size(), 0.3 / 36);
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
    EXPECT_EQ(opinion_job_config(reduced.methods[m]).robust.settings.step_size,
              opinion_job_config(from_files.methods[m]).robust.settings.step_size);
    v1::JobSpec& spec = quick.methods[m];
    EXPECT_EQ(spec.training().max_steps(), 8);
    EXPECT_EQ(spec.evaluation().every_steps(), 4);
    spec.mutable_training()->set_max_steps(150);
    spec.mutable_training()->set_global_batch_size(32);
    spec.mutable_evaluation()->set_every_steps(30);
    EXPECT_EQ(job_spec_to_yaml(spec), job_spec_to_yaml(reduced.methods[m]));
  }
}

TEST(OpinionJobs, ExamplesAreJobsOfTheirMethods) {
  const OpinionJobs jobs = read_opinion_jobs(kExamples);
  EXPECT_NO_THROW(make_job_config(jobs.sft));
  for (const v1::JobSpec& spec : jobs.methods) EXPECT_NO_THROW(make_job_config(spec));
}

TEST(OpinionJobs, RefusesAJobOfAnotherMethodByItsFile) {
  const TempFolder folder;
  for (const auto& entry : std::filesystem::directory_iterator(kExamples)) {
    std::filesystem::copy(entry.path(), folder.path() / entry.path().filename());
  }
  std::filesystem::copy(kExamples / "ipo.yaml", folder.path() / "gr-ipo.yaml",
                        std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT([&] { read_opinion_jobs(folder.path()); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("gr-ipo.yaml"), HasSubstr("GR-IPO"))));
}

// The paper's table 2 and the authors' run_multi_robust.sh: step size 5e-7, batches of 16 in micro-batches of 8.
// Their group loss is N S_g / N_g on a micro-batch, ours (N/N_g) S_g / |B| on the batch: alpha rises alike where
// eta |B| is ours. Their gradient is |B| / 2 times ours, so they clip at 10 where we clip at 10 / 8.
TEST(OpinionJobs, ExampleOfGrIpoTakesTheAuthorsStepInOurUnits) {
  constexpr double kTheirStep = 5e-7, kBatch = 16, kMicroBatches = 2, kTheirClip = 10;
  const JobConfig job = example(Method::kGrIpo);
  EXPECT_EQ(job.training.global_batch_size, kBatch);
  EXPECT_EQ(job.robust.settings.estimator, Estimator::kDatasetScaled);
  EXPECT_NEAR(job.robust.settings.step_size, kTheirStep * kBatch, 1e-18);
  EXPECT_DOUBLE_EQ(job.optimizer.max_grad_norm, kTheirClip / (kBatch / kMicroBatches));
  EXPECT_EQ(job.loss.beta, 0.01);
  EXPECT_EQ(job.optimizer.learning_rate, 6e-5);
  EXPECT_EQ(example(Method::kIpo).optimizer.learning_rate, 3e-5);
}

}  // namespace opinion_jobs_test
}  // namespace equipoise::reproduce

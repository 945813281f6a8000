#include "client/progress/progress_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "client/table/display_width.h"
#include "tests/client/support/example_job.h"

namespace equipoise {
namespace progress_line_test {

using std::string;

bool contains(const string& text, const string& part) { return text.find(part) != string::npos; }

std::size_t occurrences(const string& text, const string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST(ProgressLine, SaysStepSpeedTimeLeftLossAndTheWorstGroup) {
  EXPECT_EQ(plain_line(progress_view(example_job())),
            "gr-dpo  step 50/200  25 %  118 pairs/s  0:42 left  batch loss 0.6250  worst in batch Republican "
            "0.7500 (weight 0.750)");
}

TEST(ProgressLine, IsNeverWiderThanTheTerminal) {
  v1::TrainingJob job = example_job();
  job.mutable_groups(1)->set_name("非常に長いグループの名前、端末の幅よりもずっと長い");
  for (const Glyphs glyphs : {Glyphs::kAscii, Glyphs::kUnicode}) {
    for (std::size_t columns = 1; columns < 200; ++columns) {
      EXPECT_LE(display_width(bar_line(progress_view(job), columns, glyphs)), columns);
    }
  }
}

TEST(ProgressLine, LeavesOutTheLeastImportantFirst) {
  const ProgressView view = progress_view(example_job());
  const string wide = bar_line(view, 160, Glyphs::kAscii);
  for (const char* part : {"gr-dpo", "50/200", "118 pairs/s", "0:42 left", "batch loss 0.6250", "(weight 0.750)"}) {
    EXPECT_TRUE(contains(wide, part)) << part;
  }
  const string narrow = bar_line(view, 60, Glyphs::kAscii);
  EXPECT_TRUE(contains(narrow, "50/200  25 %"));
  EXPECT_TRUE(contains(narrow, "worst in batch Republican 0.7500"));
  EXPECT_FALSE(contains(narrow, "pairs/s"));
  EXPECT_FALSE(contains(narrow, "gr-dpo"));
}

TEST(ProgressLine, FillsTheBarByTheShareOfStepsDone) {
  v1::TrainingJob job = example_job();
  const std::size_t cells = 30;  // the longest bar
  for (const int step : {0, 50, 100, 200}) {
    job.set_step(step);
    const string line = bar_line(progress_view(job), 200, Glyphs::kAscii);
    EXPECT_EQ(occurrences(line, "#"), cells * static_cast<std::size_t>(step) / 200) << line;
  }
  job.set_step(50);  // 7.5 cells of 30
  EXPECT_TRUE(contains(bar_line(progress_view(job), 200, Glyphs::kUnicode), "███████▌─"));
}

TEST(ProgressLine, NeverShowsMoreThanHundredPercent) {
  v1::TrainingJob job = example_job();
  job.set_step(201);
  EXPECT_EQ(percent_done(progress_view(job)), 100);
}

TEST(ProgressLine, SaysWhatIsDoneBeforeTheFirstStep) {
  v1::TrainingJob job = example_job();
  job.set_step(0);
  job.set_total_steps(0);
  job.clear_groups();
  job.clear_loss();
  job.clear_pairs_per_second();
  job.set_phase("reading data");
  EXPECT_EQ(bar_line(progress_view(job), 80, Glyphs::kUnicode), "gr-dpo  reading data");
  job.set_total_steps(200);
  EXPECT_EQ(plain_line(progress_view(job)), "gr-dpo  reading data");
  job.set_state(v1::JOB_STATE_QUEUED);
  job.clear_phase();
  job.clear_state_reason();
  EXPECT_EQ(plain_line(progress_view(job)), "gr-dpo  waiting");
  job.set_state_reason("waiting for a free place");
  EXPECT_EQ(plain_line(progress_view(job)), "gr-dpo  waiting for a free place");
}

TEST(ProgressLine, ForgetsAPhaseThatIsOverOnceStepsAreDone) {
  v1::TrainingJob job = example_job();
  job.set_phase("reading data");
  EXPECT_EQ(progress_view(job).activity, "");
  job.set_phase("evaluating");
  EXPECT_EQ(progress_view(job).activity, "evaluating");
}

TEST(ProgressLine, SaysThatAJobRecoversAndHowOftenItWasRestarted) {
  v1::TrainingJob job = example_job();
  job.set_state(v1::JOB_STATE_RECOVERING);
  job.set_restarts(1);
  EXPECT_THAT(plain_line(progress_view(job)), ::testing::HasSubstr("  recovering  restarted once  "));
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_restarts(2);
  const string wide = bar_line(progress_view(job), 160, Glyphs::kAscii);
  EXPECT_TRUE(contains(wide, "25 %  restarted 2 times  118 pairs/s")) << wide;
  EXPECT_FALSE(contains(bar_line(progress_view(job), 60, Glyphs::kAscii), "restarted"));
}

TEST(ProgressLine, CallsTheGroupWithTheHighestLossWorstAndOnlyIfThereAreTwo) {
  v1::TrainingJob job = example_job();
  job.mutable_groups(0)->set_train_loss(0.9);
  EXPECT_EQ(worst_group(job)->name, "Democrat");
  job.mutable_groups(0)->clear_train_loss();
  EXPECT_EQ(worst_group(job)->name, "Republican");
  EXPECT_FALSE(worst_group(job)->is_of_validation);
  job.mutable_groups(1)->clear_train_loss();
  job.mutable_groups(1)->set_validation_loss(0.875);
  EXPECT_TRUE(contains(plain_line(progress_view(job)), "  worst in validation Republican 0.8750"));
  job.mutable_groups()->RemoveLast();
  EXPECT_FALSE(worst_group(job));
}

TEST(ProgressLine, AnEvaluationBeforeTheFirstStepSaysNothingOfTheTraining) {
  v1::TrainingJob job = example_job();
  job.mutable_groups(0)->set_validation_loss(0.7);
  job.mutable_groups(1)->set_validation_loss(0.6931);
  job.set_validation_step(0);
  EXPECT_EQ(worst_group(job, LossOf::kNewest)->name, "Republican");
  EXPECT_TRUE(contains(worst_group_lines(job, 2, 80).front(), "Republican  batch loss 0.7500"));
  job.set_validation_step(40);
  EXPECT_EQ(worst_group(job, LossOf::kNewest)->name, "Democrat");
  EXPECT_TRUE(contains(worst_group_lines(job, 2, 80).front(), "Democrat    validation loss 0.7000"));
  job.set_validation_step(0);
  job.set_step(0);
  EXPECT_EQ(worst_group(job, LossOf::kNewest)->name, "Democrat");
}

TEST(ProgressLine, ReportsAnEvaluationByItsWorstGroup) {
  v1::TrainingJob job = example_job();
  EXPECT_EQ(evaluation_line(job), "");
  job.mutable_groups(0)->set_validation_loss(0.5);
  job.mutable_groups(0)->set_validation_reward_accuracy(0.75);
  job.mutable_groups(1)->set_validation_loss(0.625);
  job.mutable_groups(1)->set_validation_reward_accuracy(0.25);
  job.set_validation_step(40);
  job.set_step(50);
  EXPECT_EQ(evaluation_line(job),
            "gr-dpo  evaluation after step 40: worst Republican loss 0.6250, accuracy 0.250; mean accuracy over groups "
            "0.500");
  job.set_validation_step(0);
  EXPECT_THAT(evaluation_line(job), ::testing::StartsWith("gr-dpo  evaluation before the first step: worst"));
}

}  // namespace progress_line_test
}  // namespace equipoise

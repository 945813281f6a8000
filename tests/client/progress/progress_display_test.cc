#include "client/progress/progress_display.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/client/support/example_job.h"

namespace equipoise {
namespace progress_display_test {

using std::chrono::seconds;

struct Output {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};

  long lines() const {
    const std::string text = out.str();
    return std::count(text.begin(), text.end(), '\n');
  }
};

v1::TrainingJob job_at(std::int64_t step) {
  v1::TrainingJob job = example_job();
  job.set_step(step);
  job.set_total_steps(1000);
  return job;
}

// `reproduce opinions` shows 21 runs, one after the other, and writes a line of its own about each.
TEST(DisplayAmongMany, LeavesNothingOnATerminal) {
  Output output;
  output.console.kind = OutputKind::kTerminal;
  const auto display = make_display_among_many(output.console, "5/21  ");
  display->show(job_at(7), SteadyTime());
  EXPECT_NE(output.out.str().find("5/21  "), std::string::npos);
  display->finish();
  EXPECT_EQ(output.lines(), 0);
  EXPECT_TRUE(output.out.str().ends_with("\r\x1b[2K\x1b[?25h")) << "the line is erased, and the cursor is back";
}

TEST(DisplayAmongMany, WritesNothingElsewhere) {
  Output output;
  make_display_among_many(output.console, "5/21  ")->show(job_at(7), SteadyTime());
  EXPECT_EQ(output.out.str(), "");
}

TEST(PlainDisplay, WritesALineForEachFivePercent) {
  Output output;
  const auto display = make_plain_display(output.console);
  for (std::int64_t step = 1; step <= 1000; ++step) display->show(job_at(step), SteadyTime());
  EXPECT_EQ(output.lines(), 1 + 20);  // the first step, then 5 %, 10 %, ..., 100 %
}

TEST(PlainDisplay, WritesALineAfterTenSecondsWhereStepsAreSlow) {
  Output output;
  const auto display = make_plain_display(output.console);
  display->show(job_at(1), SteadyTime());
  display->show(job_at(2), SteadyTime() + seconds(9));
  EXPECT_EQ(output.lines(), 1);
  display->show(job_at(3), SteadyTime() + seconds(10));
  EXPECT_EQ(output.lines(), 2);
}

TEST(PlainDisplay, DoesNotRepeatALineThatSaysNothingNew) {
  Output output;
  const auto display = make_plain_display(output.console);
  for (int i = 0; i < 100; ++i) display->show(job_at(7), SteadyTime() + seconds(i));
  EXPECT_EQ(output.lines(), 1);
}

TEST(PlainDisplay, SaysWhatIsDoneBeforeTheFirstStepAndWhenStepsBegin) {
  Output output;
  const auto display = make_plain_display(output.console);
  for (const char* phase : {"reading data", "reading data", "reference log-probs", "evaluating"}) {
    v1::TrainingJob job = job_at(0);
    job.set_phase(phase);
    display->show(job, SteadyTime());
  }
  EXPECT_EQ(output.lines(), 2);
  display->show(job_at(1), SteadyTime());
  EXPECT_EQ(output.lines(), 3);
}

TEST(PlainDisplay, WritesEachEvaluationOnceAndNoEscapes) {
  Output output;
  const auto display = make_plain_display(output.console);
  v1::TrainingJob job = job_at(10);
  display->show(job, SteadyTime());
  job.mutable_groups(0)->set_validation_loss(0.5);
  for (int i = 0; i < 3; ++i) display->show(job, SteadyTime());
  job.mutable_groups(0)->set_validation_loss(0.4);
  for (int i = 0; i < 3; ++i) display->show(job, SteadyTime());
  EXPECT_EQ(output.lines(), 3);
  EXPECT_EQ(output.out.str().find('\x1b'), std::string::npos);
}

TEST(LiveDisplay, DrawsInPlaceAndGivesTheCursorBack) {
  Output output;
  output.console.kind = OutputKind::kTerminal;
  {
    const auto display = make_live_display(output.console);
    display->show(job_at(1), SteadyTime());
    display->show(job_at(2), SteadyTime() + seconds(1));
  }
  const std::string text = output.out.str();
  EXPECT_TRUE(text.starts_with("\x1b[?25l"));
  EXPECT_TRUE(text.ends_with("\n\x1b[?25h"));
  EXPECT_EQ(output.lines(), 1);
  EXPECT_NE(text.find("\r\x1b[2K"), std::string::npos);
}

TEST(WatchingDisplay, ShowsTheWorstGroupsFirstAndDrawsThemInPlace) {
  Output output;
  output.console.kind = OutputKind::kTerminal;
  v1::TrainingJob job = job_at(1);
  job.clear_groups();
  for (int i = 0; i < 12; ++i) {
    v1::GroupStatus& group = *job.add_groups();
    group.set_name("group-" + std::to_string(i));
    group.set_train_loss(0.5 + (i == 7 ? 1.0 : 0.01 * i));
    group.set_weight(1.0 / 12);
  }
  const auto display = make_watching_display(output.console);
  display->show(job, SteadyTime());
  const std::string first = output.out.str();
  ASSERT_NE(first.find("group-7   batch loss 1.5000  weight 0.083"), std::string::npos) << first;
  EXPECT_LT(first.find("group-7   batch loss 1.5000  weight 0.083"), first.find("group-11  batch loss 0.6100"));
  EXPECT_NE(first.find("\n  3 groups more, better off"), std::string::npos) << first;
  EXPECT_EQ(first.find("group-2 "), std::string::npos);
  job.set_step(2);
  display->show(job, SteadyTime() + seconds(1));
  const std::string again = output.out.str().substr(first.size());
  EXPECT_TRUE(again.starts_with("\r\x1b[10A\x1b[J\r\x1b[2K")) << "the bar and ten lines are drawn again in place";
  const std::size_t drawn = output.out.str().size();
  display->finish();
  const std::string end = output.out.str().substr(drawn);
  EXPECT_EQ(end.find("group-11"), std::string::npos) << "the table of the groups follows";
  EXPECT_TRUE(end.ends_with("\n\x1b[?25h"));
}

TEST(WatchingDisplay, IsPlainLinesElsewhere) {
  Output output;
  make_watching_display(output.console)->show(job_at(1), SteadyTime());
  EXPECT_EQ(output.out.str().find('\x1b'), std::string::npos);
  EXPECT_EQ(output.lines(), 1);
}

TEST(LiveDisplay, DrawsAtMostTenTimesASecondAndTheLastStateAtTheEnd) {
  Output output;
  output.console.kind = OutputKind::kTerminal;
  const auto display = make_live_display(output.console);
  display->show(job_at(1), SteadyTime());
  display->show(job_at(2), SteadyTime() + std::chrono::milliseconds(50));
  EXPECT_EQ(output.out.str().find("2/1000"), std::string::npos);
  display->finish();
  EXPECT_NE(output.out.str().find("2/1000"), std::string::npos);
}

}  // namespace progress_display_test
}  // namespace equipoise

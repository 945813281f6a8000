#include "client/report/job_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/table/display_width.h"
#include "tests/client/support/example_job.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace job_summary_test {

std::string notes_of(const std::string& json) {
  const TempFolder folder;
  folder.write("data.json", json);
  return data_notes(folder.path());
}

TEST(DataNotes, SayWhatEachSplitLost) {
  EXPECT_EQ(notes_of(R"({"train": [{"pairs": 90, "dropped": 3, "shortened": 2},
                                   {"pairs": 90, "dropped": 0, "shortened": 10, "merged_prompts": 7}],
                         "validation": {"pairs": 20, "dropped": 1, "shortened": 0, "repeated_prompts": 20}})"),
            "3 of 183 training pairs are left out and 12 are shortened; data.json says of which groups\n"
            "7 of 180 training pairs have a prompt whose end merges into the answers' tokens\n"
            "1 of 21 validation pairs are left out and 0 are shortened; data.json says of which groups\n"
            "20 of 20 validation pairs repeat their prompt in the answers\n");
}

TEST(DataNotes, SayNothingWhereNothingWasLostOrKnown) {
  EXPECT_EQ(notes_of(R"({"train": {"pairs": 90, "dropped": 0, "shortened": 0}})"), "");
  for (const char* text : {"", "[]", "{", R"({"train": 3})", R"({"train": [1, {"dropped": "x"}]})"}) {
    EXPECT_EQ(notes_of(text), "") << text;
  }
  EXPECT_EQ(data_notes("no/such/folder"), "");
}

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(JobDescription, SaysHowOftenAJobWasRestartedAndItsNewestCheckpoint) {
  v1::TrainingJob job = example_job();
  job.set_generation(1);
  EXPECT_THAT(job_description(job, Colors::kOff, Glyphs::kAscii), Not(HasSubstr("restarted")));
  EXPECT_THAT(job_description(job, Colors::kOff, Glyphs::kAscii), Not(HasSubstr("checkpoint")));
  job.set_generation(3);
  job.set_restarts(2);
  job.set_checkpoint_step(40);
  job.set_state(v1::JOB_STATE_RECOVERING);
  job.set_state_reason("rank 1 on node2 was killed by signal 9");
  const std::string text = job_description(job, Colors::kOff, Glyphs::kAscii);
  EXPECT_THAT(text, HasSubstr("state        RECOVERING\n"));
  EXPECT_THAT(text, HasSubstr("because      rank 1 on node2 was killed by signal 9\n"));
  EXPECT_THAT(text, HasSubstr("attempt      3, restarted 2 times\n"));
  EXPECT_THAT(text, HasSubstr("checkpoint   step 40\n"));
}

TEST(JobDescription, SaysHowTheNewestAttemptFailed) {
  v1::TrainingJob job = example_job();
  EXPECT_THAT(job_description(job, Colors::kOff, Glyphs::kAscii), Not(HasSubstr("failure")));
  v1::AttemptFailure& failure = *job.mutable_failure();
  failure.set_generation(2);
  failure.set_reason("mpirun exited with code 137");
  failure.set_rank(1);
  failure.set_host("node2");
  failure.set_signal(9);
  failure.set_phase(v1::RANK_PHASE_TRAINING);
  failure.set_step(41);
  failure.set_last_collective("broadcast");
  failure.add_log_lines("first");
  failure.add_log_lines("sec\x1B[31mond");
  const std::string text = job_description(job, Colors::kOff, Glyphs::kAscii);
  EXPECT_THAT(text, HasSubstr("rank 1 on node2, signal 9, training after step 41, last collective broadcast; mpirun "
                              "exited with code 137\n"));
  EXPECT_THAT(text, HasSubstr("its log      first\n"));
  EXPECT_THAT(text, Not(HasSubstr("\x1B")));
}

TEST(JobListTable, HasColumnsForWhatJobsHave) {
  const v1::TrainingJob plain = example_job();
  const auto text_of = [](const std::vector<v1::TrainingJob>& jobs) {
    return job_list_table(jobs, Colors::kOff, Glyphs::kAscii);
  };
  EXPECT_THAT(text_of({plain}), HasSubstr("state            steps  batch loss  worst group"));
  EXPECT_THAT(text_of({plain}), Not(HasSubstr("restarts")));
  EXPECT_THAT(text_of({plain}), Not(HasSubstr("priority")));
  v1::TrainingJob urgent = plain;
  urgent.set_priority(-5);
  const std::string prioritised = text_of({plain, urgent});
  EXPECT_THAT(prioritised, HasSubstr("steps  priority  batch loss  worst group"));
  EXPECT_THAT(prioritised, HasSubstr("50/200 (25 %)        -5      0.6250"));
  EXPECT_THAT(prioritised, HasSubstr("50/200 (25 %)         0      0.6250"));
  v1::TrainingJob recovering = plain;
  recovering.set_id("gr-dpo-89abcdef");
  recovering.set_state(v1::JOB_STATE_RECOVERING);
  recovering.set_state_reason("lost contact with node2");
  recovering.set_restarts(2);
  recovering.set_checkpoint_step(40);
  const std::string both = text_of({plain, recovering});
  EXPECT_THAT(both, HasSubstr("state               steps  checkpoint  restarts  batch loss  worst group"));
  EXPECT_THAT(
      both,
      HasSubstr("RECOVERING  50/200 (25 %)          40         2      0.6250  Republican 0.7500 in the batch, weight"));
  EXPECT_THAT(both, HasSubstr("\ngr-dpo-89abcdef is recovering: lost contact with node2\n"));
  v1::TrainingJob paused = recovering;
  paused.set_state(v1::JOB_STATE_PAUSED);
  paused.set_state_reason("paused at step 40 with a checkpoint");
  EXPECT_THAT(text_of({paused}), HasSubstr("\ngr-dpo-89abcdef is paused: paused at step 40 with a checkpoint\n"));
}

// On a terminal of 80 columns each of its rows was two.
TEST(JobListTable, LeavesOutWhatMattersLessWhereTheTerminalIsNarrow) {
  v1::TrainingJob job = example_job();
  job.set_restarts(2);
  job.set_checkpoint_step(40);
  const std::vector<v1::TrainingJob> jobs = {job};
  const auto first_line = [&](std::size_t columns, TableDetail detail = TableDetail::kUsual) {
    const std::string text = job_list_table(jobs, Colors::kOff, Glyphs::kAscii, detail, columns);
    EXPECT_TRUE(text_width(text) <= columns || columns < 70 || detail == TableDetail::kWide) << text;
    return text.substr(0, text.find('\n'));
  };
  EXPECT_THAT(first_line(200), HasSubstr("checkpoint  restarts  batch loss  worst group"));
  EXPECT_THAT(first_line(200), HasSubstr("created"));
  EXPECT_THAT(first_line(110), AllOf(HasSubstr("restarts"), Not(HasSubstr("created"))));
  EXPECT_THAT(first_line(80), AllOf(HasSubstr("id"), HasSubstr("steps"), HasSubstr("worst group")));
  EXPECT_THAT(first_line(1), HasSubstr("worst group"));
  EXPECT_THAT(job_list_table(jobs, Colors::kOff, Glyphs::kAscii, TableDetail::kUsual, 1),
              HasSubstr("Republican 0.7500 batch\n"));
  EXPECT_THAT(first_line(80, TableDetail::kWide).size(), testing::Gt(80));
}

// After `train --resume` nobody saw how far the groups had come.
TEST(JobSummary, HasTheEvaluationBeforeTheFirstStepOfTheRun) {
  const TempFolder folder;
  v1::TrainingJob job = example_job();
  job.mutable_spec()->set_output(folder.path());
  EXPECT_FALSE(with_first_evaluation(job).groups(0).has_initial_validation_loss()) << "there is no such file";
  const std::string line =
      R"("eval_loss":0.7,"group_loss":{"Democrat":0.6875,"Other":1},"group_accuracy":{"Democrat":0.25}})";
  const auto first = [&](const std::string& text) {
    folder.write("metrics.jsonl", text);
    return with_first_evaluation(job);
  };
  const v1::TrainingJob whole = first(R"({"split":"validation","step":0,)" + line + "\n{\"step\":1}\n");
  EXPECT_EQ(whole.groups(0).initial_validation_loss(), 0.6875);
  EXPECT_EQ(whole.groups(0).initial_validation_reward_accuracy(), 0.25);
  EXPECT_FALSE(whole.groups(1).has_initial_validation_loss());
  for (const std::string other : {"{\"step\":1}\n", "", "no JSON\n", "{\"split\":\"validation\",\"step\":0}"}) {
    EXPECT_FALSE(first(other).groups(0).has_initial_validation_loss()) << other;
  }
  EXPECT_FALSE(first(R"({"split":"validation","step":7,)" + line + "\n").groups(0).has_initial_validation_loss());
  job.mutable_groups(0)->set_initial_validation_loss(0.5);
  EXPECT_EQ(first(R"({"split":"validation","step":0,)" + line + "\n").groups(0).initial_validation_loss(), 0.5);
}

// A field that is not set had a value that is none: "reason_UNSPECIFIED".
TEST(JsonText, LeavesOutEnumsThatAreNotSet) {
  v1::TrainingJob job = example_job();
  v1::JobEvent event;
  event.set_text("step_size 0.25 was asked for");
  const std::string text = json_text(event);
  EXPECT_THAT(text, HasSubstr("\"text\": \"step_size 0.25 was asked for\""));
  EXPECT_THAT(text, HasSubstr("\"generation\": \"0\""));
  EXPECT_THAT(text, Not(HasSubstr("UNSPECIFIED")));
  EXPECT_THAT(text, Not(HasSubstr("state")));
  job.mutable_spec()->set_name("x_UNSPECIFIED y");
  EXPECT_THAT(json_text(job), HasSubstr("x_UNSPECIFIED y"));
}

}  // namespace job_summary_test
}  // namespace equipoise

#include "client/report/group_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/client/example_job.h"

namespace equipoise {
namespace group_table_test {

v1::TrainingJob evaluated_job() {
  v1::TrainingJob job = example_job();
  for (int g = 0; g < 2; ++g) {
    v1::GroupStatus& group = *job.mutable_groups(g);
    group.set_initial_validation_loss(0.6931);
    group.set_validation_loss(0.5 + 0.1 * g);
    group.set_initial_validation_reward_accuracy(0.5);
    group.set_validation_reward_accuracy(0.75);
  }
  return job;
}

TEST(GroupTable, ShowsValidationBeforeAndAfterAndMarksTheWorstGroup) {
  EXPECT_EQ(group_table(evaluated_job(), Colors::kOff, Glyphs::kAscii),
            "                           validation loss  reward accuracy\n"
            "group       pairs  weight  before    after  before    after\n"
            "--------------------------------------------------------------------\n"
            "Democrat      100   0.250  0.6931   0.5000   0.500    0.750\n"
            "Republican    100   0.750  0.6931   0.6000   0.500    0.750  < worst\n");
}

TEST(GroupTable, ShowsTheLastBatchWhereNothingWasEvaluated) {
  const std::string table = group_table(example_job(), Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(table.find("last batch"), std::string::npos);
  EXPECT_EQ(table.find("validation"), std::string::npos);
  EXPECT_NE(table.find("Republican    100   0.750      0.7500  < worst"), std::string::npos) << table;
}

TEST(GroupTable, AGroupWhoseLossIsNoNumberAnyMoreIsTheWorst) {
  v1::TrainingJob job = evaluated_job();
  job.mutable_groups(0)->set_validation_loss(std::nan(""));
  EXPECT_NE(group_table(job, Colors::kOff, Glyphs::kAscii)
                .find("Democrat      100   0.250  0.6931      nan   0.500    0.750  < worst"),
            std::string::npos)
      << group_table(job, Colors::kOff, Glyphs::kAscii);
}

TEST(GroupTable, MarksNothingWithOneGroupAndIsEmptyWithNone) {
  v1::TrainingJob job = evaluated_job();
  job.mutable_groups()->RemoveLast();
  EXPECT_EQ(group_table(job, Colors::kOff, Glyphs::kAscii).find("worst"), std::string::npos);
  EXPECT_EQ(group_table(v1::TrainingJob(), Colors::kOff, Glyphs::kAscii), "");
}

}  // namespace group_table_test
}  // namespace equipoise

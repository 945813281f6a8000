#include "client/report/group_tables.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "tests/client/support/example_job.h"

namespace equipoise {
namespace group_tables_test {

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

TEST(WeightHistory, IsACsvWithALinePerStepAndNamesQuoted) {
  v1::ListGroupWeightsResponse history;
  *history.add_group_names() = std::string("a, \"b\"");
  *history.add_group_names() = std::string("c");
  for (const std::int64_t step : {0, 1}) {
    v1::GroupWeightRecord& record = *history.add_records();
    record.set_step(step);
    record.set_generation(1);
    record.add_alpha(step == 0 ? 0.5 : 0.1);
    record.add_alpha(step == 0 ? 0.5 : 0.9);
  }
  EXPECT_EQ(weight_history_csv(history), "step,generation,\"a, \"\"b\"\"\",c\n0,1,0.5,0.5\n1,1,0.1,0.9\n");
}

TEST(WeightHistory, IsItsTitlesAloneBeforeTheFirstStep) {
  v1::ListGroupWeightsResponse history;
  *history.add_group_names() = std::string("north");
  EXPECT_EQ(weight_history_csv(history), "step,generation,north\n");
}

TEST(PreferenceTable, HasARowForEachGroup) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 12, .validation = 0, .groups = {{"India", 11}, {"Kenya", 1}}};
  EXPECT_EQ(preference_table(counts, Colors::kOff, Glyphs::kAscii),
            "group  pairs\n"
            "------------\n"
            "India     11\n"
            "Kenya      1\n");
}

TEST(PreferenceTable, HasAColumnForWhatIsOddWhereSomeGroupHasIt) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 12, .validation = 0, .groups = {{"India", 11}, {"Kenya", 1}}};
  counts.groups[0].duplicates = 3;
  const std::string table = preference_table(counts, Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(table.find("duplicates\n"), std::string::npos) << table;
  EXPECT_NE(table.find("India     11           3\n"), std::string::npos) << table;
  EXPECT_EQ(table.find("equal answers"), std::string::npos) << table;
  counts.all_duplicates_found = false;
  EXPECT_NE(preference_table(counts, Colors::kOff, Glyphs::kAscii).find("too many"), std::string::npos);
}

TEST(PreferenceTable, HasAColumnForEachSide) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 9, .validation = 3, .groups = {{"India", 9, 3}}};
  const std::string table = preference_table(counts, Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(table.find("train  validation"), std::string::npos) << table;
  EXPECT_NE(table.find("India      9           3"), std::string::npos) << table;
}

}  // namespace group_tables_test
}  // namespace equipoise

#include "coordinator/sharding/batch_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace batch_text_test {

using ::testing::HasSubstr;

JobConfig config() { return make_job_config(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1)); }

ShardPlan plan_of(std::int64_t num_pairs, std::int64_t batch_size) {
  return {.seed = 1, .shuffle = false, .num_pairs = num_pairs, .global_batch_size = batch_size, .end_step = 100};
}

TEST(BatchText, NamesPlacesAndPairsFromOneOn) {
  EXPECT_EQ(batch_text(config(), plan_of(6, 4), 0),
            "pairs 1 to 4 of epoch 1, which are the pairs 1, 2, 3, 4 of data.train");
  EXPECT_EQ(batch_text(config(), plan_of(6, 4), 3), "pairs 5 to 6 of epoch 2, which are the pairs 5, 6 of data.train");
}

TEST(BatchText, NamesThePairsThatTheRanksTrainOn) {
  ShardPlan plan = plan_of(1000, 4);
  plan.shuffle = true;
  std::string expected;
  ShardCursor cursor(plan);
  for (const std::int64_t pair : cursor.global_batch(70)) {
    expected += (expected.empty() ? "" : ", ") + std::to_string(pair + 1);
  }
  EXPECT_THAT(batch_text(config(), plan, 70), HasSubstr("which are the pairs " + expected + " of data.train"));
}

TEST(BatchText, OfManyPairsIsBounded) {
  EXPECT_THAT(batch_text(config(), plan_of(500, 100), 1), HasSubstr("115, 116 and 84 more of data.train"));
  EXPECT_EQ(batch_text(config(), plan_of(1'000'001, 100), 1), "pairs 101 to 200 of epoch 1");
}

TEST(BatchText, IsEmptyWhereThePlanDoesNotSayWhichPairs) {
  ShardPlan stratified = plan_of(6, 4), mixed = plan_of(6, 4);
  stratified.stratified = mixed.mixed = true;
  EXPECT_EQ(batch_text(config(), stratified, 0), "");
  EXPECT_EQ(batch_text(config(), mixed, 0), "");
  EXPECT_EQ(batch_text(config(), plan_of(6, 4), 100), "") << "there is no such step";
  EXPECT_EQ(batch_text(config(), plan_of(6, 4), -1), "");
}

}  // namespace batch_text_test
}  // namespace equipoise::coordinator

#include "common/protocol/job_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace equipoise {
namespace job_state_test {

TEST(JobState, IsFinalWhereNothingFollows) {
  std::vector<v1::JobState> final_states;
  const auto& states = *v1::JobState_descriptor();
  for (int i = 0; i < states.value_count(); ++i) {
    const auto state = static_cast<v1::JobState>(states.value(i)->number());
    if (is_final(state)) final_states.push_back(state);
  }
  EXPECT_THAT(final_states,
              testing::UnorderedElementsAre(v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED));
}

TEST(JobState, HasTheNameThatPeopleWrite) {
  EXPECT_EQ(state_name(v1::JOB_STATE_QUEUED), "QUEUED");
  EXPECT_EQ(state_name(v1::JOB_STATE_SUCCEEDED), "SUCCEEDED");
}

// A coordinator of a later version may send one.
TEST(JobState, OfALaterVersionIsItsNumber) { EXPECT_EQ(state_name(static_cast<v1::JobState>(77)), "77"); }

}  // namespace job_state_test
}  // namespace equipoise

// Which checkpoint an attempt may go on from, given the steps that are on record of the attempts before it.
#include "coordinator/job/lineage_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/job/refusal.h"
#include "coordinator/job/training.h"
#include "tests/coordinator/support/requests.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace lineage_check_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kOther = "other-00000000";

// Losses of a step; those of attempts differ where a test says so.
std::vector<double> losses_of(std::int64_t step, double shift = 0) {
  return {0.2 + 0.01 * static_cast<double>(step) + shift, 1.0 / (1 + static_cast<double>(step))};
}

// A job whose attempts the test runs, with a real database.
class LineageCheck : public ::testing::Test {
 protected:
  LineageCheck() : LineageCheck(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1)) {}
  explicit LineageCheck(const v1::JobSpec& spec) : config_(make_job_config(spec)) {
    *job_.mutable_spec() = spec;
    job_.set_id("survey-12345678");
    job_.set_state(v1::JOB_STATE_RUNNING);
    job_.set_revision(1);
    store_.insert_job(job_, std::nullopt);
  }

  // The next attempt is there, and has not started training yet.
  void begin_attempt() { job_.set_generation(job_.generation() + 1); }
  // The next attempt trains up to step `end`, from `resume` or from the start; nobody asks whether it may.
  void attempt(std::int64_t end, const std::optional<v1::ResumePoint>& resume = std::nullopt, double shift = 0) {
    begin_attempt();
    const v1::StartTrainingRequest request = request_for(resume);
    Training training = begin_training(config_, request, 1);
    store_.start_training(job_, training.stored);
    for (std::int64_t step = training.plan.first_step; step < end; ++step) {
      const StepRecord record =
          training.weights.prepare(step_request(job_.id(), job_.generation(), step, losses_of(step, shift)));
      store_.insert_step({.job_id = job_.id(), .generation = job_.generation(), .step = step}, record);
      training.weights.accept(record);
      state_after_[{job_.generation(), step + 1}] = training.weights.state();
    }
  }
  v1::StartTrainingRequest request_for(const std::optional<v1::ResumePoint>& resume) const {
    v1::StartTrainingRequest request = start_request(job_.id(), job_.generation());
    if (resume) *request.mutable_resume() = *resume;
    return request;
  }
  // The checkpoint that an attempt would have made after so many steps.
  v1::ResumePoint checkpoint(std::int64_t generation, std::int64_t steps) const {
    return resume_point(job_.id(), generation, state_after_.at({generation, steps}));
  }
  // What the newest attempt is told when it starts so.
  std::string answer_to(const std::optional<v1::ResumePoint>& resume) { return answer_to_request(request_for(resume)); }
  std::string answer_to_request(const v1::StartTrainingRequest& request) {
    try {
      check_start_training(request);
      check_same_data(store_, job_, request);
      begin_training(config_, request, 1);
      check_lineage(store_, config_, job_, request);
    } catch (const Refusal& refusal) {
      EXPECT_EQ(refusal.code(), Refusal::Code::kFailedPrecondition);
      const std::string text = refusal.what(), prefix = "job " + job_.id() + ": ";
      EXPECT_TRUE(text.starts_with(prefix)) << text;
      return text.substr(prefix.size());
    }
    return "accepted";
  }

  TempFolder folder_;
  JobStore store_{folder_.path() / "test.sqlite3"};
  const JobConfig config_;
  v1::TrainingJob job_;
  std::map<std::pair<std::int64_t, std::int64_t>, v1::WeightState> state_after_;
};

TEST_F(LineageCheck, TheFirstAttemptBeginsWhereItLikes) {
  begin_attempt();
  EXPECT_EQ(answer_to(std::nullopt), "accepted");
  const WeightOwner weights = weight_owner_for(config_, request_for(std::nullopt));
  v1::WeightState state = weights.state();
  state.set_steps(7);
  EXPECT_EQ(answer_to(resume_point(kOther, 3, state)), "accepted");
}

TEST_F(LineageCheck, AnAttemptGoesOnFromAnyStepOnRecord) {
  attempt(6);
  begin_attempt();
  for (std::int64_t steps = 1; steps <= 6; ++steps) EXPECT_EQ(answer_to(checkpoint(1, steps)), "accepted") << steps;
}

TEST_F(LineageCheck, WeightsThatDifferInABitAreNotThoseOnRecord) {
  attempt(6);
  begin_attempt();
  v1::ResumePoint changed = checkpoint(1, 4);
  double& log_alpha = *changed.mutable_weights()->mutable_log_alpha()->Mutable(1);
  log_alpha = std::bit_cast<double>(std::bit_cast<std::uint64_t>(log_alpha) ^ 1);
  EXPECT_THAT(answer_to(changed), HasSubstr("the weights in its checkpoint are not those on record after 4 steps: "
                                            "log_alpha of group \"south\" is "));
  changed = checkpoint(1, 4);
  changed.mutable_weights()->mutable_step_size()->set_step_size(0.25);
  EXPECT_THAT(answer_to(changed), HasSubstr("eta_alpha is 0.25, on record 0.5"));
  // The weights of another step.
  changed = checkpoint(1, 4);
  changed.mutable_weights()->set_steps(3);
  EXPECT_THAT(answer_to(changed), HasSubstr("not those on record after 3 steps"));
}

TEST_F(LineageCheck, StepsThatAreNotOnRecordAreNotGoneOnFrom) {
  attempt(6);
  begin_attempt();
  v1::ResumePoint beyond = checkpoint(1, 6);
  beyond.mutable_weights()->set_steps(8);
  EXPECT_THAT(answer_to(beyond), StartsWith("its checkpoint is of 8 steps, but the steps on record end at 6, as "));
}

TEST_F(LineageCheck, ACheckpointIsOfAnEarlierAttempt) {
  attempt(6);
  begin_attempt();
  for (const std::int64_t generation : {2, 7}) {
    v1::ResumePoint point = checkpoint(1, 4);
    point.set_generation(generation);
    EXPECT_EQ(answer_to(point), "its checkpoint says that attempt " + std::to_string(generation) +
                                    " made it, but no such attempt before attempt 2 has trained");
  }
}

TEST_F(LineageCheck, ADamagedRecordIsDataLossAndNoAnswer) {
  attempt(6);
  begin_attempt();
  const StepRecord other = *store_.step({.job_id = job_.id(), .generation = 1, .step = 0});
  // The record of step 0 in the place of that of step 3.
  Database database(folder_.path() / "test.sqlite3");
  Statement(database, "UPDATE steps SET request = ? WHERE step = 3").run(Blob{other.request.SerializeAsString()});
  try {
    check_lineage(store_, config_, job_, request_for(checkpoint(1, 4)));
    ADD_FAILURE() << "accepted";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.cause(), StoreError::Cause::kDamaged);
    EXPECT_THAT(error.what(), HasSubstr("a step is damaged"));
  }
  EXPECT_EQ(answer_to(checkpoint(1, 3)), "accepted");
}

// Attempt 1 did 8 steps; attempt 2 did steps 4 to 6 again, with other losses.
TEST_F(LineageCheck, StepsThatALaterAttemptTookBackAreNoLongerOfTheLine) {
  attempt(8);
  attempt(7, checkpoint(1, 4), 0.1);
  begin_attempt();
  EXPECT_EQ(answer_to(checkpoint(1, 3)), "accepted");
  EXPECT_EQ(answer_to(checkpoint(1, 4)), "accepted");
  EXPECT_EQ(answer_to(checkpoint(2, 5)), "accepted");
  EXPECT_EQ(answer_to(checkpoint(2, 7)), "accepted");
  EXPECT_THAT(answer_to(checkpoint(1, 6)), HasSubstr("not those on record after 6 steps"));
  EXPECT_THAT(answer_to(checkpoint(1, 8)),
              StartsWith("its checkpoint is of 8 steps, but the steps on record end at 7, as "));
}

TEST_F(LineageCheck, AnAttemptThatDidNoStepEndsTheLineWhereItBegan) {
  attempt(8);
  attempt(4, checkpoint(1, 4));
  begin_attempt();
  EXPECT_EQ(answer_to(checkpoint(1, 4)), "accepted");
  EXPECT_THAT(answer_to(checkpoint(1, 5)),
              StartsWith("its checkpoint is of 5 steps, but the steps on record end at 4, as "));
}

TEST_F(LineageCheck, TheLineIsCutWhereEachAttemptBegan) {
  attempt(8);
  attempt(7, checkpoint(1, 5));
  attempt(4, checkpoint(1, 3));
  const std::vector<LineageSegment> line = lineage_of(store_, job_.id());
  ASSERT_EQ(line.size(), 2u);
  EXPECT_EQ(line[0].generation, 1);
  EXPECT_EQ(line[0].first, 0);
  EXPECT_EQ(line[0].end, 3);
  EXPECT_EQ(line[1].generation, 3);
  EXPECT_EQ(line[1].first, 3);
  EXPECT_EQ(line[1].end, 4);
}

// Two attempts may fail before their first checkpoint.
TEST_F(LineageCheck, AJobWithoutACheckpointBeginsAgainFromTheStart) {
  attempt(5);
  begin_attempt();
  EXPECT_EQ(answer_to(std::nullopt), "accepted");
  attempt(3);
  begin_attempt();
  EXPECT_EQ(answer_to(checkpoint(3, 3)), "accepted");
  EXPECT_THAT(answer_to(checkpoint(1, 5)),
              StartsWith("its checkpoint is of 5 steps, but the steps on record end at 3, as "));
}

TEST_F(LineageCheck, AJobWithACheckpointNeverBeginsFromTheStart) {
  attempt(5);
  job_.set_checkpoint_step(4);
  begin_attempt();
  EXPECT_THAT(answer_to(std::nullopt),
              HasSubstr("it has a checkpoint of step 4 on record, but attempt 2 begins at step 0: "));
  EXPECT_EQ(answer_to(checkpoint(1, 4)), "accepted");
  EXPECT_EQ(answer_to(checkpoint(1, 2)), "accepted") << "an older one, where the newest is damaged";
}

// training.resume_from_checkpoint of a job of its own: its line begins with that checkpoint.
class ForeignCheckpoint : public LineageCheck {
 protected:
  ForeignCheckpoint() {
    v1::WeightState state = weight_owner_for(config_, request_for(std::nullopt)).state();
    state.set_steps(4);
    other_ = resume_point(kOther, 2, state);
  }
  v1::ResumePoint other_;
};

TEST_F(ForeignCheckpoint, IsGoneOnFromAgainUntilTheJobHasItsOwn) {
  attempt(7, other_);
  begin_attempt();
  EXPECT_EQ(answer_to(other_), "accepted");
  EXPECT_EQ(answer_to(checkpoint(1, 6)), "accepted");
  v1::ResumePoint changed = other_;
  *changed.mutable_weights()->mutable_log_alpha() = state_after_.at({1, 6}).log_alpha();
  EXPECT_THAT(answer_to(changed), HasSubstr("not those on record after 4 steps"));
}

TEST_F(ForeignCheckpoint, AnOlderOneOrNoneIsTakenOnlyWhileTheJobHasNoneOfItsOwn) {
  attempt(7, other_);
  begin_attempt();
  v1::ResumePoint older = other_;
  older.mutable_weights()->set_steps(2);
  EXPECT_EQ(answer_to(older), "accepted");
  EXPECT_EQ(answer_to(std::nullopt), "accepted");
  job_.set_checkpoint_step(6);
  EXPECT_THAT(answer_to(older), HasSubstr("it has a checkpoint of step 6 on record, but attempt 2 begins at step 2"));
  EXPECT_THAT(answer_to(std::nullopt), HasSubstr("begins at step 0"));
  EXPECT_THAT(answer_to(other_), HasSubstr("it has a checkpoint of step 6 on record, but attempt 2 begins at step 4"))
      << "from which its line began";
}

TEST_F(LineageCheck, OtherDataIsNamed) {
  attempt(3);
  begin_attempt();
  const auto answer_with = [&](const std::function<void(v1::StartTrainingRequest&)>& change) {
    v1::StartTrainingRequest request = request_for(std::nullopt);
    change(request);
    return answer_to_request(request);
  };
  const std::string prefix = "dataset changed since attempt 1 trained on it: ";
  EXPECT_EQ(
      answer_with([](auto& r) { r.set_dataset_digest(std::string(32, 'e')); }),
      prefix + "the pairs as tokens are others: dataset_digest is 6565656565656565..., it was 6464646464646464...");
  EXPECT_EQ(answer_with([](auto& r) { r.set_num_pairs(7); }), prefix + "num_pairs is 7, it was 6");
  EXPECT_EQ(answer_with([](auto& r) { r.set_group_names(1, "west"); }),
            prefix + "group 1 is \"west\", it was \"south\"");
  EXPECT_EQ(answer_with([](auto& r) { r.set_group_pair_count(0, 3); }),
            prefix + "group \"north\" has 3 pairs, it had 4");
  EXPECT_EQ(answer_with([](auto& r) {
              r.add_group_names("west");
              r.add_group_pair_count(1);
            }),
            prefix + "there are 3 groups, there were 2");
}

v1::JobSpec adaptive_spec() {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_robust()->set_step_factor(0.5);
  spec.mutable_robust()->set_step_patience(2);
  return spec;
}

class AdaptiveLineage : public LineageCheck {
 protected:
  AdaptiveLineage() : LineageCheck(adaptive_spec()) {}
};

// The largest loss falls up to step 4 and rises then: eta_alpha shrinks at step 6.
TEST_F(AdaptiveLineage, TheScheduleOfEtaAlphaIsOfTheRecordToo) {
  attempt(8);
  ASSERT_LT(checkpoint(1, 8).weights().step_size().step_size(), 0.5);
  attempt(9, checkpoint(1, 5));
  begin_attempt();
  for (std::int64_t steps = 1; steps <= 5; ++steps) EXPECT_EQ(answer_to(checkpoint(1, steps)), "accepted") << steps;
  for (std::int64_t steps = 6; steps <= 9; ++steps) EXPECT_EQ(answer_to(checkpoint(2, steps)), "accepted") << steps;
  const auto answer_with = [&](const std::function<void(v1::StepSizeState&)>& change) {
    v1::ResumePoint changed = checkpoint(2, 8);
    change(*changed.mutable_weights()->mutable_step_size());
    return answer_to(changed);
  };
  EXPECT_THAT(answer_with([](auto& s) { s.set_step_size(s.step_size() * 2); }), HasSubstr("eta_alpha is "));
  EXPECT_THAT(answer_with([](auto& s) { s.set_best(0.1); }), HasSubstr("the best loss that eta_alpha has seen is 0.1"));
  EXPECT_THAT(answer_with([](auto& s) { s.set_waited(s.waited() + 1); }), HasSubstr("eta_alpha has waited "));
}

class ClosedFormLineage : public LineageCheck {
 protected:
  ClosedFormLineage() : LineageCheck(two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.5)) {}
};

TEST_F(ClosedFormLineage, TheNewestGroupLossesAreOfTheRecordToo) {
  attempt(5);
  begin_attempt();
  EXPECT_EQ(answer_to(checkpoint(1, 3)), "accepted");
  v1::ResumePoint changed = checkpoint(1, 3);
  ASSERT_EQ(changed.weights().group_loss_size(), 2);
  changed.mutable_weights()->set_group_loss(1, changed.weights().group_loss(1) + 0.5);
  EXPECT_THAT(answer_to(changed), HasSubstr("group_loss of group \"south\" is "));
}

}  // namespace lineage_check_test
}  // namespace equipoise::coordinator

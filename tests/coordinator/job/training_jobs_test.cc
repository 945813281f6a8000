#include "coordinator/job/training_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/coordinator/support/controller_fixture.h"
#include "tests/support/refusal.h"

namespace equipoise::coordinator {
namespace training_jobs_test {

const PageTokens kTokens("a key of this database");

std::string refusal(const PageTokens& tokens, const std::string& list, const std::string& token) {
  return refusal_of([&] { tokens.position(list, token); });
}
const std::string kRefusal =
    "page_token is not one that this service gave for this list and filter; leave it empty to begin again";

TEST(PageTokens, GiveBackThePositionTheyWereMadeOf) {
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t position : {std::int64_t{0}, std::int64_t{1}, std::int64_t{4711}, kLast}) {
    EXPECT_EQ(kTokens.position("jobs", kTokens.make("jobs", position)), position);
  }
  EXPECT_EQ(kTokens.position("jobs", ""), std::nullopt);
}

TEST(PageTokens, RefuseATokenOfAnotherListOrDatabase) {
  const std::string token = kTokens.make("jobs", 17);
  EXPECT_EQ(refusal(kTokens, "jobs 2", token), kRefusal);
  EXPECT_EQ(refusal(kTokens, "weights job-1", token), kRefusal);
  EXPECT_EQ(refusal(PageTokens("another key"), "jobs", token), kRefusal);
}

// A position that somebody typed, a token cut short at any byte, and one with any byte changed.
TEST(PageTokens, RefuseWhatTheyDidNotMake) {
  const std::string token = kTokens.make("jobs", 0x1f);
  for (const std::string typed : {"1f", "-", "1f-", "zz-00", "99999999999999999999-00"}) {
    EXPECT_EQ(refusal(kTokens, "jobs", typed), kRefusal) << typed;
  }
  for (std::size_t i = 0; i < token.size(); ++i) {
    const std::string cut = token.substr(0, i);
    EXPECT_EQ(refusal(kTokens, "jobs", cut), cut.empty() ? "accepted" : kRefusal) << i;
    std::string changed = token;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_EQ(refusal(kTokens, "jobs", changed), kRefusal) << i;
  }
  EXPECT_EQ(refusal(kTokens, "jobs", token + "0"), kRefusal);
}

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using Code = Refusal::Code;

class TrainingJobsTest : public ControllerFixture {
 protected:
  v1::JobSpec spec_ = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);

  std::vector<std::string> ids_of(const v1::ListTrainingJobsResponse& page) {
    std::vector<std::string> ids;
    for (const auto& job : page.jobs()) ids.push_back(job.id());
    return ids;
  }
};

TEST_F(TrainingJobsTest, ANewJobIsQueuedUnderAnIdOfItsName) {
  const auto request = create_request(spec_);
  const auto job = jobs().create(request);
  EXPECT_THAT(job.id(), MatchesRegex("survey-[0-9a-f]+"));
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job.revision(), 1);
  EXPECT_EQ(job.spec().SerializeAsString(), request.spec().SerializeAsString());
}

TEST_F(TrainingJobsTest, ARepeatedRequestIdGetsTheFirstAnswerEvenAfterARestart) {
  const auto first = jobs().create(create_request(spec_, "r1"));
  jobs().cancel(first.id());
  restart();
  EXPECT_EQ(jobs().create(create_request(spec_, "r1")).SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(jobs().list({}).jobs_size(), 1);
  spec_.mutable_loss()->set_beta(0.2);
  EXPECT_THAT(error_of([&] { jobs().create(create_request(spec_, "r1")); }).text,
              HasSubstr("request_id \"r1\" was used for another request (job " + first.id()));
}

// Each answer was kept for 30 days with its spec of up to 256 KiB.
TEST_F(TrainingJobsTest, AnAnsweredRequestIsKeptWithoutItsSpec) {
  spec_.mutable_model()->set_path("/" + std::string(4000, 'x'));
  const auto first = jobs().create(create_request(spec_, "r1"));
  EXPECT_LT(store_->answered_request("r1")->answer.ByteSizeLong(), 1000u);
  EXPECT_EQ(jobs().create(create_request(spec_, "r1")).SerializeAsString(), first.SerializeAsString());
}

TEST_F(TrainingJobsTest, ABadSpecIsRefusedByItsFieldAndStoresNothing) {
  spec_.mutable_loss()->set_beta(-1);
  EXPECT_THAT(error_of([&] { jobs().create(create_request(spec_)); }).text, HasSubstr("loss.beta is -1"));
  EXPECT_THAT(error_of([&] { jobs().create({}); }).text, HasSubstr("spec is absent"));
  v1::JobSpec nameless = spec_;
  nameless.mutable_loss()->set_beta(0.1);
  nameless.clear_name();
  EXPECT_THAT(error_of([&] { jobs().create(create_request(nameless)); }).text, HasSubstr("name is missing"));
  EXPECT_EQ(jobs().list({}).jobs_size(), 0);
}

TEST_F(TrainingJobsTest, ValidateOnlyStoresNothing) {
  auto request = create_request(spec_, "r1");
  request.set_validate_only(true);
  EXPECT_EQ(jobs().create(request).id(), "");
  EXPECT_EQ(jobs().list({}).jobs_size(), 0);
}

TEST_F(TrainingJobsTest, ThereIsRoomForSoManyJobsOnly) {
  settings_.limits.jobs = 2;
  settings_.limits.queued = 1;
  restart();
  const auto first = jobs().create(create_request(spec_)).id();
  EXPECT_EQ(error_of([&] { jobs().create(create_request(spec_)); }).code, Code::kResourceExhausted);
  jobs().cancel(first);
  jobs().cancel(jobs().create(create_request(spec_)).id());
  EXPECT_THAT(error_of([&] { jobs().create(create_request(spec_)); }).text, HasSubstr("there are 2 jobs"));
  jobs().remove(first);
  EXPECT_NO_THROW(jobs().create(create_request(spec_)));
}

TEST_F(TrainingJobsTest, AFilterChoosesJobsAndItsPagesAreItsOwn) {
  std::vector<std::string> made;
  for (int i = 0; i < 3; ++i) made.push_back(jobs().create(create_request(spec_)).id());
  jobs().cancel(made[1]);
  v1::ListTrainingJobsRequest request;
  request.set_filter("state = QUEUED AND name : \"sur\"");
  request.set_page_size(1);
  const auto first = jobs().list(request);
  EXPECT_THAT(ids_of(first), ElementsAre(made[2]));
  request.set_page_token(first.next_page_token());
  const auto second = jobs().list(request);
  EXPECT_THAT(ids_of(second), ElementsAre(made[0]));
  EXPECT_EQ(second.next_page_token(), "");
  request.set_filter("state = QUEUED");
  EXPECT_THAT(error_of([&] { jobs().list(request); }).text, HasSubstr("page_token is not one"));
}

TEST_F(TrainingJobsTest, PagesListEveryJobOnceNewestFirst) {
  std::vector<std::string> made;
  for (int i = 0; i < 5; ++i) made.insert(made.begin(), jobs().create(create_request(spec_)).id());
  v1::ListTrainingJobsRequest request;
  request.set_page_size(2);
  std::vector<std::string> listed;
  do {
    const auto page = jobs().list(request);
    for (const auto& id : ids_of(page)) listed.push_back(id);
    request.set_page_token(page.next_page_token());
    if (listed.size() == 2) jobs().create(create_request(spec_));  // a newcomer disturbs no page that follows
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, made);
}

TEST_F(TrainingJobsTest, APageIsBoundedInBytes) {
  settings_.limits.page_bytes = 1;
  restart();
  for (int i = 0; i < 3; ++i) jobs().create(create_request(spec_));
  const auto page = jobs().list({});
  EXPECT_EQ(page.jobs_size(), 1);
  EXPECT_NE(page.next_page_token(), "");
}

TEST_F(TrainingJobsTest, AFilterListsItsStatesAndAnotherListsTokenIsRefused) {
  const auto cancelled = jobs().create(create_request(spec_)).id();
  jobs().cancel(cancelled);
  for (int i = 0; i < 2; ++i) jobs().create(create_request(spec_));
  v1::ListTrainingJobsRequest request;
  request.add_states(v1::JOB_STATE_CANCELLED);
  EXPECT_THAT(ids_of(jobs().list(request)), ElementsAre(cancelled));
  v1::ListTrainingJobsRequest all;
  all.set_page_size(1);
  request.set_page_token(jobs().list(all).next_page_token());
  EXPECT_THAT(error_of([&] { jobs().list(request); }).text, HasSubstr("page_token"));
  all.set_page_token("5-00000000000000000000000000000000");
  EXPECT_THAT(error_of([&] { jobs().list(all); }).text, HasSubstr("page_token"));
  all.set_page_size(1001);
  EXPECT_THAT(error_of([&] { jobs().list(all); }).text, HasSubstr("page_size is 1001, expected 1 to 1000"));
}

TEST_F(TrainingJobsTest, OnlyAJobThatHasEndedCanBeDeletedAndOnlyOneThatHasNotCanBeCancelled) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  EXPECT_EQ(error_of([&] { jobs().remove(id); }).code, Code::kFailedPrecondition);
  do_all_steps(id);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
  EXPECT_EQ(error_of([&] { jobs().cancel(id); }).text,
            "job " + id + " is SUCCEEDED; a job that has ended cannot be cancelled");
  jobs().remove(id);
  EXPECT_EQ(error_of([&] { jobs().get(id); }).code, Code::kNotFound);
  restart();
  EXPECT_EQ(error_of([&] { jobs().get(id); }).code, Code::kNotFound);
}

TEST_F(TrainingJobsTest, TheHistoryOfAlphaIsOneRecordAStep) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  for (int step = 0; step < 5; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  v1::ListGroupWeightsRequest request;
  request.set_id(id);
  request.set_page_size(2);
  std::vector<v1::GroupWeightRecord> records;
  do {
    const auto page = jobs().group_weights(request);
    EXPECT_THAT(page.group_names(), ElementsAre("north", "south"));
    records.insert(records.end(), page.records().begin(), page.records().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  ASSERT_EQ(records.size(), 5u);
  for (std::size_t step = 0; step < records.size(); ++step) {
    EXPECT_EQ(records[step].step(), static_cast<std::int64_t>(step));
    // After t + 1 steps the odds of south against north are exp(0.5 * (1.0 - 0.2) * (t + 1)).
    EXPECT_NEAR(std::log(records[step].alpha(1) / records[step].alpha(0)), 0.4 * static_cast<double>(step + 1), 1e-12);
  }
  EXPECT_EQ(records.back().alpha(1), job(id).groups(1).weight());
  EXPECT_THAT(records.back().loss_sum(), ElementsAre(0.2, 1.0));
}

TEST_F(TrainingJobsTest, AJobThatNeverTrainedHasNoHistory) {
  v1::ListGroupWeightsRequest request;
  request.set_id(jobs().create(create_request(spec_)).id());
  EXPECT_EQ(jobs().group_weights(request).records_size(), 0);
}

}  // namespace training_jobs_test
}  // namespace equipoise::coordinator

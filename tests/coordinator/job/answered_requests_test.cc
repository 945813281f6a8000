#include "coordinator/job/answered_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace answered_requests_test {

using Code = Refusal::Code;
using ::testing::HasSubstr;

template <typename Request>
Request request_for(const std::string& id, const std::string& request_id, const std::string& etag = "") {
  Request request;
  request.set_id(id);
  request.set_request_id(request_id);
  request.set_etag(etag);
  return request;
}
v1::PauseTrainingJobRequest pause_request(const std::string& id, const std::string& request_id,
                                          const std::string& etag) {
  return request_for<v1::PauseTrainingJobRequest>(id, request_id, etag);
}
v1::ResumeTrainingJobRequest resume_request(const std::string& id, const std::string& request_id,
                                            const std::string& etag) {
  return request_for<v1::ResumeTrainingJobRequest>(id, request_id, etag);
}
v1::CancelTrainingJobRequest cancel_request(const std::string& id, const std::string& request_id,
                                            const std::string& etag) {
  return request_for<v1::CancelTrainingJobRequest>(id, request_id, etag);
}
v1::DeleteTrainingJobRequest delete_request(const std::string& id, const std::string& request_id,
                                            const std::string& etag) {
  return request_for<v1::DeleteTrainingJobRequest>(id, request_id, etag);
}

class AnsweredRequestsTest : public ControllerFixture {
 protected:
  std::string queued_job() {
    return jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
  }
  static ErrorReason reason_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Refusal& refusal) {
      return refusal.reason();
    }
    ADD_FAILURE() << "it was not refused";
    return ErrorReason::kInternal;
  }
};

TEST_F(AnsweredRequestsTest, ARepeatGetsTheFirstAnswerAndChangesNothing) {
  const std::string id = queued_job();
  const v1::TrainingJob paused = jobs().pause(pause_request(id, "r1", ""));
  ASSERT_EQ(paused.state(), v1::JOB_STATE_PAUSED);
  jobs().resume(resume_request(id, "r2", ""));
  EXPECT_EQ(jobs().pause(pause_request(id, "r1", "")).SerializeAsString(), paused.SerializeAsString());
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_QUEUED);
  restart();
  EXPECT_EQ(jobs().pause(pause_request(id, "r1", "")).SerializeAsString(), paused.SerializeAsString());
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_QUEUED);
}

TEST_F(AnsweredRequestsTest, OneThatStoresNoJobIsKeptToo) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto request = request_for<v1::CheckpointTrainingJobRequest>(id, "r1", "");
  const v1::TrainingJob first = jobs().checkpoint(request);
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  EXPECT_EQ(jobs().checkpoint(request).step(), first.step());
  EXPECT_EQ(job(id).open_requests().checkpoints(), 1);
}

TEST_F(AnsweredRequestsTest, AnIdOfAnotherRequestIsRefused) {
  const std::string id = queued_job(), other = queued_job();
  jobs().pause(pause_request(id, "r1", ""));
  const auto of_another_job = [&] { jobs().pause(pause_request(other, "r1", "")); };
  const auto of_another_call = [&] { jobs().resume(resume_request(id, "r1", "")); };
  EXPECT_EQ(reason_of(of_another_job), ErrorReason::kRequestIdReused);
  EXPECT_EQ(reason_of(of_another_call), ErrorReason::kRequestIdReused);
  EXPECT_EQ(error_of(of_another_call).code, Code::kInvalidArgument);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(other).state(), v1::JOB_STATE_QUEUED);
  const std::string long_id(65, 'x');
  EXPECT_THAT(error_of([&] { jobs().pause(pause_request(id, long_id, "")); }).text,
              HasSubstr("request_id has 65 bytes"));
}

TEST_F(AnsweredRequestsTest, ARefusalIsNotKept) {
  const std::string id = queued_job();
  EXPECT_EQ(error_of([&] { jobs().remove(delete_request(id, "r1", "")); }).code, Code::kFailedPrecondition);
  jobs().cancel(cancel_request(id, "r2", ""));
  EXPECT_NO_THROW(jobs().remove(delete_request(id, "r1", "")));
  EXPECT_NO_THROW(jobs().remove(delete_request(id, "r1", "")));
  EXPECT_EQ(error_of([&] { jobs().remove(delete_request(id, "", "")); }).code, Code::kNotFound);
}

TEST_F(AnsweredRequestsTest, AnEtagIsThatOfAStateAndNotOfAStep) {
  const std::string id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  const std::string running = job(id).etag();
  EXPECT_FALSE(running.empty());
  for (int step = 0; step < 3; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  EXPECT_EQ(job(id).etag(), running);
  EXPECT_NE(jobs().pause(pause_request(id, "", running)).etag(), running);
  EXPECT_EQ(reason_of([&] { jobs().cancel(cancel_request(id, "", running)); }), ErrorReason::kEtagMismatch);
  EXPECT_EQ(error_of([&] { jobs().cancel(cancel_request(id, "", running)); }).code, Code::kAborted);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_PAUSING);
  EXPECT_NO_THROW(jobs().cancel(cancel_request(id, "", job(id).etag())));
}

TEST_F(AnsweredRequestsTest, ARepeatDoesNotNeedTheEtagOfTheFirst) {
  const std::string id = queued_job();
  const auto request = pause_request(id, "r1", job(id).etag());
  const v1::TrainingJob paused = jobs().pause(request);
  EXPECT_NE(paused.etag(), request.etag());
  EXPECT_EQ(jobs().pause(request).etag(), paused.etag());
}

// QUEUED, PAUSED and QUEUED again is not what it was.
TEST_F(AnsweredRequestsTest, AnEtagIsNeverUsedTwice) {
  const std::string id = queued_job();
  const std::string first = job(id).etag();
  jobs().pause(pause_request(id, "", ""));
  jobs().resume(resume_request(id, "", ""));
  EXPECT_NE(job(id).etag(), first);
  const std::string stored = job(id).etag();
  restart();
  EXPECT_EQ(job(id).etag(), stored);
}

}  // namespace answered_requests_test
}  // namespace equipoise::coordinator

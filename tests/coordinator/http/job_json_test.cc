#include "coordinator/http/job_json.h"

#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "coordinator/job/refusal.h"
#include "coordinator/service/rpc_status.h"

namespace equipoise::coordinator {
namespace {

using nlohmann::json;

TEST(JobJson, AnErrorHasTheReasonThatGrpcHas) {
  const HttpResponse answer =
      error_answer(status_of(std::make_exception_ptr(Refusal(Refusal::Code::kNotFound, "there is no job \"<b>\""))));
  EXPECT_EQ(answer.status, 404);
  const json error = json::parse(answer.body)["error"];
  EXPECT_EQ(error["status"], "NOT_FOUND");
  EXPECT_EQ(error["details"][0]["reason"], "JOB_NOT_FOUND");
  EXPECT_EQ(error_answer(status_of(std::make_exception_ptr(Refusal(Refusal::Code::kUnauthenticated, "")))).status, 401);
}

TEST(JobJson, ARefusalSaysWhichFieldIsWrongAndWhenToCallAgain) {
  const auto error_of = [](const HttpResponse& answer) { return json::parse(answer.body)["error"]; };
  const json wrong =
      error_of(error_answer(status_of(std::make_exception_ptr(std::invalid_argument("loss.beta is -1, expected > 0")),
                                      v1::CreateTrainingJobRequest::descriptor())));
  EXPECT_EQ(wrong["details"][1]["@type"], "type.googleapis.com/google.rpc.BadRequest");
  EXPECT_EQ(wrong["details"][1]["fieldViolations"],
            json::parse(R"([{"field": "spec.loss.beta", "description": "loss.beta is -1, expected > 0"}])"));
  const HttpResponse busy = error_answer(status_of(std::make_exception_ptr(Refusal(
      Refusal::Code::kResourceExhausted, ErrorReason::kLimitReached, "too many", std::chrono::milliseconds(2500)))));
  EXPECT_EQ(error_of(busy)["details"][1]["retryDelay"], "3s");
  EXPECT_THAT(busy.fields, testing::Contains(testing::Pair("Retry-After", "3")));
}

TEST(JobJson, ARequestIsReadFromTheQueryAndFromTheBody) {
  HttpRequest request{.method = "GET", .path = "", .query = {}, .fields = {}, .body = ""};
  request.query = {{"pageSize", "7"}, {"states", "JOB_STATE_RUNNING"}};
  v1::ListTrainingJobsRequest list;
  read_fields(request, list);
  EXPECT_EQ(list.page_size(), 7);
  EXPECT_THAT(list.states(), testing::ElementsAre(v1::JOB_STATE_RUNNING));
  request.query.emplace_back("pageSize", "8");
  EXPECT_THROW(read_fields(request, list), std::invalid_argument) << "twice";
  const HttpRequest change{.method = "POST", .path = "", .query = {}, .fields = {}, .body = R"({"etag": "e"})"};
  EXPECT_EQ(job_request<v1::PauseTrainingJobRequest>(change, "a-1").id(), "a-1");
  const HttpRequest other{.method = "POST", .path = "", .query = {}, .fields = {}, .body = R"({"id": "b-1"})"};
  EXPECT_THROW(job_request<v1::PauseTrainingJobRequest>(other, "a-1"), std::invalid_argument);
}

TEST(JobJson, TheWorstGroupsComeFirstAndNanIsWorst) {
  v1::TrainingJob job;
  const auto add = [&](const char* name, double loss) {
    job.add_groups()->set_name(name);
    job.mutable_groups(job.groups_size() - 1)->set_validation_loss(loss);
  };
  add("low", 0.1);
  add("high", 0.9);
  add("lost", std::numeric_limits<double>::quiet_NaN());
  job.add_groups()->set_name("unseen");
  EXPECT_THAT(worst_groups(job, 3), testing::ElementsAre("lost", "high", "low"));
  EXPECT_EQ(worst_groups(job, 99).back(), "unseen");
}

TEST(JobJson, AnEvaluationBeforeTheFirstStepDoesNotSayWhoIsWorstOffLater) {
  v1::TrainingJob job;
  for (const char* name : {"first", "second"}) {
    job.add_groups()->set_name(name);
    job.mutable_groups(job.groups_size() - 1)->set_validation_loss(0.6931);
  }
  job.mutable_groups(0)->set_train_loss(0.2);
  job.mutable_groups(1)->set_train_loss(0.4);
  job.set_step(100);
  job.set_validation_step(0);
  EXPECT_EQ(worst_groups(job, 1).front(), "second");
  job.set_validation_step(50);
  job.mutable_groups(0)->set_validation_loss(0.7);
  EXPECT_EQ(worst_groups(job, 1).front(), "first");
}

}  // namespace
}  // namespace equipoise::coordinator

#include "coordinator/service/rpc_status.h"

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/protocol/error_reason.h"
#include "coordinator/job/refusal.h"
#include "coordinator/store/database.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {
namespace rpc_status_test {

// gRPC gives up a call whose headers have more than a client takes, and the client learns nothing.
TEST(RpcStatus, ALongTextIsCutToWhatClientsTake) {
  const std::string text = "data.train: " + std::string(100'000, 'x');
  const grpc::Status status = status_of(std::make_exception_ptr(std::invalid_argument(text)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), text.substr(0, 2048));
  EXPECT_LT(status.error_details().size(), 1024u);
}

TEST(RpcStatus, ATextThatIsNoUtf8OrHasLinesIsMadeOneLineOfUtf8) {
  const grpc::Status status = status_of(std::make_exception_ptr(std::invalid_argument("one\ntwo\xff")));
  EXPECT_EQ(status.error_message().find("one two"), 0u) << status.error_message();
  EXPECT_EQ(status.error_message().find('\xff'), std::string::npos);
}

// What people are told begins with the field, as everywhere; programs need not read it.
TEST(RpcStatus, NamesTheFieldOfTheRequestThatIsWrong) {
  const auto field_of = [](const std::string& text, const google::protobuf::Descriptor* request) {
    return field_in(status_of(std::make_exception_ptr(std::invalid_argument(text)), request).error_details());
  };
  const auto* const create = v1::CreateTrainingJobRequest::descriptor();
  EXPECT_EQ(field_of("loss.beta is -1, expected > 0", create), "spec.loss.beta");
  EXPECT_EQ(field_of("name is missing, expected one such as opinions-gr-dpo", create), "spec.name");
  EXPECT_EQ(field_of("output: /srv/runs is in use", create), "spec.output");
  EXPECT_EQ(field_of("data.train_files[1].weight is 0, expected > 0", create), "spec.data.train_files[1].weight");
  EXPECT_EQ(field_of("request_id has 65 bytes, expected at most 64", create), "request_id");
  EXPECT_EQ(field_of("spec is absent, expected a JobSpec", create), "spec");
  EXPECT_EQ(field_of("max_steps is 3, expected more than the 5 steps that are done",
                     v1::UpdateTrainingJobRequest::descriptor()),
            "settings.max_steps");
  EXPECT_EQ(field_of("steps[3].step is 9, expected 4", v1::ReportStepsRequest::descriptor()), "steps[3].step");
  EXPECT_EQ(field_of("filter, column 7: \"x\", expected a field", v1::ListTrainingJobsRequest::descriptor()), "filter");
  for (const char* const text : {"there is no such thing", "name it otherwise", "loss.gamma is 1", "loss.beta.x is 1",
                                 "data.group_counts.value is 1", "steps[x].step is 9", "", "."}) {
    EXPECT_EQ(field_of(text, create), "") << text;
  }
  EXPECT_EQ(field_of("loss.beta is -1, expected > 0", nullptr), "");
}

TEST(RpcStatus, SaysAfterWhatTimeTheCallIsWorthAnotherTry) {
  const auto delay_of = [](const auto& failure) {
    return retry_after_in(status_of(std::make_exception_ptr(failure)).error_details());
  };
  EXPECT_EQ(delay_of(StoreError(StoreError::Cause::kFull, "the disk is full")), std::chrono::seconds(1));
  EXPECT_EQ(delay_of(Refusal(Refusal::Code::kUnavailable, "the coordinator is shutting down")),
            std::chrono::seconds(2));
  EXPECT_EQ(delay_of(Refusal(Refusal::Code::kResourceExhausted, ErrorReason::kLimitReached, "too many",
                             std::chrono::milliseconds(125))),
            std::chrono::milliseconds(125));
  EXPECT_EQ(delay_of(Refusal(Refusal::Code::kResourceExhausted, "there are 10000 jobs")), std::nullopt);
  EXPECT_EQ(delay_of(StoreError(StoreError::Cause::kDamaged, "a page is damaged")), std::nullopt);
}

}  // namespace rpc_status_test
}  // namespace equipoise::coordinator

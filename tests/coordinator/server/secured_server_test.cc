// A coordinator that wants tokens, over real gRPC: every call in every role, and ranks with and without the token of
// their attempt.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "common/base/secret_file.h"
#include "common/base/service_access.h"
#include "common/protocol/attempt_token.h"
#include "common/protocol/error_reason.h"
#include "coordinator/access/call_rules.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/coordinator/support/raw_call.h"
#include "tests/coordinator/support/server_fixture.h"

namespace equipoise::coordinator {
namespace secured_server_test {

using ::testing::HasSubstr;
using ::testing::Not;
using Metadata = std::vector<std::pair<std::string, std::string>>;

class SecuredServerTest : public ServerFixture {
 protected:
  SecuredServerTest() {
    std::string lines;
    for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
      const std::string name(role_name(role));
      tokens_.push_back(new_token());
      lines += token_line({.role = name, .name = "a-" + name}, tokens_.back());
    }
    write_secret_file(folder_ / "tokens", lines);
    settings_.access.tokens = folder_ / "tokens";
    metadata_ = of(Role::kAdmin);
    restart();
  }
  Metadata of(Role role) const { return {{kAuthorizationMetadata, kBearer + tokens_[static_cast<std::size_t>(role)]}}; }
  static Metadata of_attempt(const std::string& token) { return {{kAttemptTokenMetadata, token}}; }

  // An empty message to a call by its name; of a stream the status with which it ends.
  grpc::Status call_by_name(const std::string& method, const Metadata& metadata) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
    grpc::CompletionQueue queue;
    const grpc::Slice nothing;
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer answer;
    const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }
  static std::vector<const google::protobuf::MethodDescriptor*> methods() {
    std::vector<const google::protobuf::MethodDescriptor*> all;
    for (const google::protobuf::FileDescriptor* const file :
         {v1::TrainingJob::descriptor()->file(), v1::Host::descriptor()->file(),
          v1::RegisterWorkerRequest::descriptor()->file()}) {
      for (int i = 0; i < file->service_count(); ++i) {
        for (int m = 0; m < file->service(i)->method_count(); ++m) all.push_back(file->service(i)->method(m));
      }
    }
    return all;
  }

  std::vector<std::string> tokens_;  // by role
};

TEST_F(SecuredServerTest, EveryCallInEveryRole) {
  ASSERT_GE(methods().size(), 25u);
  for (const google::protobuf::MethodDescriptor* const method : methods()) {
    const std::string path = "/" + method->service()->full_name() + "/" + method->name();
    const CallRule* const rule = rule_of(method->service()->name() + "/" + method->name());
    ASSERT_NE(rule, nullptr) << path;
    EXPECT_NE(call_by_name(path, of(Role::kAdmin)).error_code(), grpc::StatusCode::UNIMPLEMENTED) << path;
    for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
      const grpc::Status status = call_by_name(path, of(role));
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << path;
      EXPECT_EQ(status.error_code() == grpc::StatusCode::PERMISSION_DENIED, role < rule->least)
          << path << " " << role_name(role) << ": " << status.error_message();
      if (role >= rule->least) continue;
      EXPECT_EQ(reason_in(status.error_details()), ErrorReason::kRoleTooLow) << path;
    }
    for (const Metadata& nobody : {Metadata(), Metadata{{kAuthorizationMetadata, kBearer + new_token()}}}) {
      const grpc::Status status = call_by_name(path, nobody);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << path << ": " << status.error_message();
      EXPECT_EQ(reason_in(status.error_details()), ErrorReason::kNoValidToken) << path;
    }
    const grpc::Status forged = call_by_name(path, of_attempt(std::string(64, 'a')));
    EXPECT_EQ(forged.error_code(),
              rule->kind == CallKind::kRank ? grpc::StatusCode::PERMISSION_DENIED : grpc::StatusCode::UNAUTHENTICATED)
        << path;
  }
}

TEST_F(SecuredServerTest, AChangeOfSettingsSaysByWhoseToken) {
  const std::string id = running_external_job();
  v1::UpdateTrainingJobRequest request;
  request.set_id(id);
  request.mutable_settings()->set_max_steps(50);
  grpc::ClientContext context;
  for (const auto& [name, value] : of(Role::kOperator)) context.AddMetadata(name, value);
  v1::TrainingJob job;
  const grpc::Status status = v1::TrainingJobService::NewStub(channel_)->UpdateTrainingJob(&context, request, &job);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(job.settings_changes_size(), 1);
  EXPECT_EQ(job.settings_changes(0).requester(), "a-operator");
}

TEST_F(SecuredServerTest, NobodyReadsOrEndsAJobWithoutAToken) {
  const std::string id = running_external_job();
  metadata_.clear();
  v1::TrainingJob job;
  EXPECT_EQ(get(id, job).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(job.id(), "");
  EXPECT_EQ(cancel(id).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  grpc::Status watched;
  EXPECT_TRUE(watch_to_the_end(id, watched).empty());
  EXPECT_EQ(watched.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  v1::ReportStepResponse step;
  EXPECT_EQ(report(step_request(id, 1, 0, {0.2, 1.0}), step).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  metadata_ = of_attempt("of nobody");
  EXPECT_EQ(report(step_request(id, 1, 0, {0.2, 1.0}), step).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  metadata_ = of(Role::kViewer);
  EXPECT_EQ(cancel(id).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(report(step_request(id, 1, 0, {0.2, 1.0}), step).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ASSERT_TRUE(get(id, job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job.step(), 0);
  metadata_ = of(Role::kOperator);
  EXPECT_TRUE(report(step_request(id, 1, 0, {0.2, 1.0}), step).ok());
  EXPECT_TRUE(cancel(id).ok());
}

TEST_F(SecuredServerTest, ARankOfALaunchedJobCallsWithTheTokenOfItsAttemptAlone) {
  const LaunchedJob job = launched_job();
  ASSERT_FALSE(job.token.empty());
  auto registration = register_request(job.id, 0, 0, 1);
  registration.set_attempt_token(job.token);
  v1::RegisterWorkerResponse registered;
  metadata_.clear();
  EXPECT_EQ(call(&v1::WorkerService::Stub::RegisterWorker, *ranks_, registration, registered).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  metadata_ = of_attempt(job.token);
  const grpc::Status status = call(&v1::WorkerService::Stub::RegisterWorker, *ranks_, registration, registered);
  EXPECT_TRUE(status.ok()) << status.error_message();
  v1::HeartbeatResponse beat;
  EXPECT_TRUE(call(&v1::WorkerService::Stub::Heartbeat, *ranks_, heartbeat_request(job.id, 1, 0), beat).ok());
  // It is of no use for another job, nor for what people do.
  metadata_ = of(Role::kOperator);
  const std::string external = running_external_job();
  metadata_ = of_attempt(job.token);
  EXPECT_EQ(call(&v1::WorkerService::Stub::Heartbeat, *ranks_, heartbeat_request(external, 1, 0), beat).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(cancel(job.id).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  // Nor does the token of an operator make anybody a rank of a launched job.
  metadata_ = of(Role::kOperator);
  EXPECT_EQ(call(&v1::WorkerService::Stub::Heartbeat, *ranks_, heartbeat_request(job.id, 1, 0), beat).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(SecuredServerTest, WhetherThereIsAJobIsNotToldToStrangers) {
  const LaunchedJob job = launched_job();
  metadata_ = of_attempt("wrong");
  std::vector<std::string> said;
  for (const std::string& id : {job.id, std::string("survey-00000000")}) {
    v1::HeartbeatResponse beat;
    const auto status = call(&v1::WorkerService::Stub::Heartbeat, *ranks_, heartbeat_request(id, 1, 0), beat);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    std::string text = status.error_message();
    text.replace(text.find(id), id.size(), "ID");
    said.push_back(text);
  }
  EXPECT_EQ(said[0], said[1]);
}

TEST_F(SecuredServerTest, ATokenIsInNoFileOfTheState) {
  running_external_job();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(settings_.state)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    for (const std::string& token : tokens_) EXPECT_THAT(content, Not(HasSubstr(token))) << entry.path();
  }
}

// What a probe without a token may learn is the operator's choice.
TEST_F(SecuredServerTest, HealthWantsATokenUnlessItIsOpen) {
  const std::string check = "/grpc.health.v1.Health/Check";
  EXPECT_EQ(call_by_name(check, {}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(reason_in(call_by_name(check, {}).error_details()), ErrorReason::kNoValidToken);
  EXPECT_TRUE(call_by_name(check, of(Role::kViewer)).ok());
  const std::string watch = "/grpc.health.v1.Health/Watch";
  EXPECT_EQ(call_by_name(watch, {}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  settings_.access.has_open_health = true;
  restart();
  EXPECT_EQ(health_of(server_->address()), kServing);
  const std::string list = "/equipoise.v1.TrainingJobService/ListTrainingJobs";
  EXPECT_EQ(call_by_name(list, {}).error_code(), grpc::StatusCode::UNAUTHENTICATED) << "it opens health alone";
}

TEST_F(SecuredServerTest, ReflectionWantsAToken) {
  const std::string method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  EXPECT_EQ(call_by_name(method, {}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(call_by_name(method, of_attempt("of nobody")).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(call_by_name(method, of(Role::kViewer)).ok());
  settings_.access.has_open_health = true;
  restart();
  EXPECT_EQ(call_by_name(method, {}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

// One caller could keep a stream of either for each of its connections.
TEST_F(SecuredServerTest, StreamsOfHealthAndReflectionCountAmongThoseOfTheirCaller) {
  settings_.access.limits.streams_at_once = 2;
  restart();
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  const auto reflection = grpc::reflection::v1alpha::ServerReflection::NewStub(channel_);
  grpc::ClientContext first, second, third, fourth;
  for (grpc::ClientContext* const context : {&first, &second, &third, &fourth}) {
    for (const auto& [name, value] : of(Role::kViewer)) context->AddMetadata(name, value);
  }
  const auto watch = health->Watch(&first, {});
  grpc::health::v1::HealthCheckResponse status;
  ASSERT_TRUE(watch->Read(&status));
  const auto asking = reflection->ServerReflectionInfo(&second);
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("*");
  ASSERT_TRUE(asking->Write(request));
  grpc::reflection::v1alpha::ServerReflectionResponse response;
  ASSERT_TRUE(asking->Read(&response));
  EXPECT_EQ(response.list_services_response().service_size(), 5);
  EXPECT_EQ(health->Watch(&third, {})->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(reflection->ServerReflectionInfo(&fourth)->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  first.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  asking->WritesDone();
  EXPECT_FALSE(asking->Read(&response));
  EXPECT_TRUE(asking->Finish().ok());
}

TEST_F(SecuredServerTest, ReflectionHasTheFilesOfEveryServiceAndAnEndToItsAnswers) {
  const auto reflection = grpc::reflection::v1alpha::ServerReflection::NewStub(channel_);
  grpc::ClientContext context;
  for (const auto& [name, value] : of(Role::kViewer)) context.AddMetadata(name, value);
  const auto asking = reflection->ServerReflectionInfo(&context);
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  grpc::reflection::v1alpha::ServerReflectionResponse response;
  request.set_file_containing_symbol("equipoise.v1.HostService");
  ASSERT_TRUE(asking->Write(request));
  ASSERT_TRUE(asking->Read(&response));
  EXPECT_EQ(response.file_descriptor_response().file_descriptor_proto_size(), 2) << "with what it imports";
  request.set_file_by_filename("no/such.proto");
  ASSERT_TRUE(asking->Write(request));
  ASSERT_TRUE(asking->Read(&response));
  EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  int answers = 2;
  request.set_list_services("*");
  while (asking->Write(request) && asking->Read(&response)) ++answers;
  EXPECT_EQ(answers, 1000);
  EXPECT_EQ(asking->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace secured_server_test
}  // namespace equipoise::coordinator

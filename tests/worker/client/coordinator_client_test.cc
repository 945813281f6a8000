// Over real gRPC on loopback: a whole coordinator where it gives the answer, and one that is away where it does not.
#include "worker/client/coordinator_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/protocol/error_reason.h"
#include "tests/coordinator/support/server_fixture.h"
#include "tests/support/refusal.h"

namespace equipoise::coordinator {
namespace coordinator_client_test {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kPatience{30};

class CoordinatorClientTest : public ServerFixture {
 protected:
  std::string new_job() { return create(v1::LAUNCH_MODE_EXTERNAL, 1).id(); }

  CoordinatorClient client_{server_->address(), kPatience};
};

TEST_F(CoordinatorClientTest, CarriesARankFromItsIntroductionToItsEnd) {
  const std::string id = new_job();
  const auto registered = client_.register_worker(register_request(id, 0, 0, 1));
  EXPECT_EQ(registered.generation(), 1);
  EXPECT_EQ(registered.spec().name(), "survey");
  EXPECT_EQ(client_.start_training(start_request(id, 1)).plan().end_step(), 10);
  EXPECT_EQ(client_.heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_CONTINUE);
  EXPECT_EQ(client_.report_step(step_request(id, 1, 0, {0.2, 1.0})).weight_size(), 2);
  v1::ReportStepsRequest rest;
  rest.set_job_id(id);
  rest.set_generation(1);
  for (int step = 1; step < 10; ++step) *rest.add_steps() = step_request(id, 1, step, {0.2, 1.0});
  EXPECT_EQ(client_.report_steps(rest).weight_size(), 2 * 9);
  client_.finish_worker(finish_request(id, 1, 0, 'x'));
  v1::TrainingJob job;
  ASSERT_TRUE(get(id, job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(CoordinatorClientTest, WhatTheCoordinatorRefusesIsABadArgumentInItsWords) {
  EXPECT_EQ(refusal_of([&] { client_.register_worker(register_request("survey-0", 0, 0, 1)); }),
            "there is no job \"survey-0\"");
  const std::string id = new_job();
  EXPECT_THAT(refusal_of([&] { client_.register_worker(register_request(id, 0, 0, 7)); }), HasSubstr("7"));
  client_.register_worker(register_request(id, 0, 0, 1));
  v1::RegisterWorkerRequest other = register_request(id, 0, 0, 1);
  other.set_pid(77);
  EXPECT_NE(refusal_of([&] { client_.register_worker(other); }), "accepted") << "FAILED_PRECONDITION when registering";
}

TEST_F(CoordinatorClientTest, AnAttemptThatIsOverEndsTheRank) {
  const std::string id = running_external_job();
  EXPECT_THROW(client_.report_step(step_request(id, 2, 0, {0.2, 1.0})), AttemptEnded) << "another generation";
  ASSERT_TRUE(cancel(id).ok());
  EXPECT_THROW(client_.report_step(step_request(id, 1, 0, {0.2, 1.0})), AttemptEnded) << "a cancelled job";
}

TEST_F(CoordinatorClientTest, ARankOfALaunchedJobSignsItsCalls) {
  const LaunchedJob job = launched_job();
  CoordinatorClient knows(server_->address(), kPatience, job.token), does_not(server_->address(), kPatience);
  auto introduction = register_request(job.id, 0, 0, 1);
  introduction.set_attempt_token(job.token);
  knows.register_worker(introduction);
  EXPECT_THROW(does_not.start_training(start_request(job.id, 1)), PeerError);
  knows.start_training(start_request(job.id, 1));
  EXPECT_THROW(does_not.report_step(step_request(job.id, 1, 0, {0.2, 1.0})), AttemptEnded);
  EXPECT_EQ(knows.report_step(step_request(job.id, 1, 0, {0.2, 1.0})).weight_size(), 2);
}

TEST_F(CoordinatorClientTest, OtherFailuresNameTheAddressAndTheCall) {
  const std::string id = running_external_job();
  client_.report_step(step_request(id, 1, 0, {0.2, 1.0}));
  try {
    client_.report_step(step_request(id, 1, 0, {0.3, 1.0}));
    FAIL() << "another content for a step that is known";
  } catch (const PeerError& failure) {
    EXPECT_THAT(failure.what(), AllOf(HasSubstr("coordinator " + server_->address() + ": ReportStep failed after "),
                                      HasSubstr("step 0")));
  }
}

// Answers UNAVAILABLE so many times, as a coordinator that is starting again.
class Restarting final : public v1::WorkerService::Service {
 public:
  // `port` 0: a free one.
  explicit Restarting(int refusals, int port = 0) : left_(refusals) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  // A client that is connected and idle does not answer gRPC's goodbye.
  ~Restarting() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  int calls() const { return calls_; }

  grpc::Status ReportStep(grpc::ServerContext*, const v1::ReportStepRequest*, v1::ReportStepResponse*) override {
    return answer();
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*, v1::HeartbeatResponse*) override {
    return answer();
  }
  grpc::Status FailWorker(grpc::ServerContext*, const v1::FailWorkerRequest*, v1::FailWorkerResponse*) override {
    ++calls_;
    constexpr auto kCode = grpc::StatusCode::INTERNAL;
    return {kCode, "no", error_details({.code = kCode, .message = "no"}, ErrorReason::kInternal)};
  }

 private:
  grpc::Status answer() {
    ++calls_;
    return left_-- > 0 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "starting") : grpc::Status::OK;
  }

  std::atomic<int> left_, calls_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST(CoordinatorClient, TriesAgainWhileTheCoordinatorIsAway) {
  Restarting coordinator(3);
  CoordinatorClient client(coordinator.address(), kPatience);
  client.report_step({});
  EXPECT_EQ(coordinator.calls(), 4);
}

// A rank with --wait 120 ended after 34 s: only the first connection knew of --wait.
TEST(CoordinatorClient, ACallIsTriedAsLongAsTheFirstConnectionMayTake) {
  Restarting coordinator(1'000'000);
  CoordinatorClient client(coordinator.address(), std::chrono::seconds(1));
  EXPECT_EQ(client.patience(), std::chrono::seconds(1));
  try {
    client.report_step({});
    FAIL() << "the coordinator is away";
  } catch (const PeerError& failure) {
    // The last pause would have ended after the window.
    EXPECT_THAT(failure.what(), AnyOf(HasSubstr("failed after 0 s"), HasSubstr("failed after 1 s")));
  }
  EXPECT_GT(coordinator.calls(), 1);
}

TEST(CoordinatorClient, ACallWaitsForACoordinatorThatIsStoppedAndStartedOnItsPort) {
  auto coordinator = std::make_unique<Restarting>(0);
  const int port = coordinator->port();
  CoordinatorClient client(coordinator->address(), kPatience);
  client.report_step({});
  coordinator.reset();
  EXPECT_THROW(client.heartbeat({}), PeerError) << "nobody is there";
  auto step = std::async(std::launch::async, [&client] { client.report_step({}); });
  Restarting next(0, port);
  EXPECT_NO_THROW(step.get());
  EXPECT_EQ(next.calls(), 1);
  client.heartbeat({});
}

TEST(CoordinatorClient, AHeartbeatIsTriedOnce) {
  Restarting coordinator(1);
  CoordinatorClient client(coordinator.address(), kPatience);
  EXPECT_THROW(client.heartbeat({}), PeerError);
  EXPECT_EQ(coordinator.calls(), 1);
  client.heartbeat({});
}

// Answers that nothing can be stored so many times, as a coordinator whose disk is full.
class Full final : public v1::WorkerService::Service {
 public:
  explicit Full(int refusals) : left_(refusals) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Full() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int calls() const { return calls_; }

  grpc::Status ReportStep(grpc::ServerContext*, const v1::ReportStepRequest*, v1::ReportStepResponse*) override {
    return answer();
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*, v1::HeartbeatResponse*) override {
    return answer();
  }

 private:
  grpc::Status answer() {
    ++calls_;
    if (left_-- <= 0) return grpc::Status::OK;
    constexpr auto kCode = grpc::StatusCode::RESOURCE_EXHAUSTED;
    return {kCode, "the disk is full", error_details({.code = kCode, .message = ""}, ErrorReason::kStateNotStored)};
  }

  std::atomic<int> left_, calls_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// RESOURCE_EXHAUSTED ended a rank at once, and with it the job.
TEST(CoordinatorClient, WaitsLongerThanItsPatienceWhileNothingCanBeStored) {
  constexpr int kRefusals = 6;  // 3 s with the pauses between tries
  Full coordinator(kRefusals);
  CoordinatorClient client(coordinator.address(), std::chrono::seconds(1));
  std::vector<std::string> told;
  client.set_on_hold([&told](const std::string& sentence) { told.push_back(sentence); });
  EXPECT_NO_THROW(client.report_step({}));
  EXPECT_EQ(coordinator.calls(), kRefusals + 1);
  EXPECT_THAT(
      told, ElementsAre("ReportStep waits until the coordinator can store it: the disk is full", HasSubstr("goes on")));
}

TEST(CoordinatorClient, AHeartbeatIsTriedOnceAlsoWhereNothingCanBeStored) {
  Full coordinator(1);
  CoordinatorClient client(coordinator.address(), kPatience);
  EXPECT_THROW(client.heartbeat({}), PeerError);
  EXPECT_EQ(coordinator.calls(), 1);
}

TEST(CoordinatorClient, AFailureThatCannotBeDeliveredIsLost) {
  Restarting coordinator(0);
  CoordinatorClient client(coordinator.address(), kPatience);
  client.fail_worker({});
  EXPECT_EQ(coordinator.calls(), 1);
}

TEST(CoordinatorClient, AnAddressWhereNobodyAnswersIsABadArgument) {
  const std::string address = [] { return Restarting(0).address(); }();  // free again
  EXPECT_THAT(refusal_of([&] { CoordinatorClient(address, std::chrono::seconds(0)); }),
              AllOf(HasSubstr("coordinator " + address + " did not answer within 0 s"), HasSubstr("firewall")));
}

}  // namespace coordinator_client_test
}  // namespace equipoise::coordinator

namespace equipoise {
namespace coordinator_client_codes_test {

// Answers every call with one code and, if one is given, one reason: how the client tells them apart is its own
// business, whatever the coordinator does.
class RefusingCoordinator final : public v1::WorkerService::Service {
 public:
  explicit RefusingCoordinator(grpc::StatusCode code, std::optional<ErrorReason> reason = std::nullopt)
      : code_(code), reason_(reason) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  grpc::Status RegisterWorker(grpc::ServerContext*, const v1::RegisterWorkerRequest*,
                              v1::RegisterWorkerResponse*) override {
    return refusal();
  }
  grpc::Status StartTraining(grpc::ServerContext*, const v1::StartTrainingRequest*,
                             v1::StartTrainingResponse*) override {
    return refusal();
  }
  grpc::Status ReportStep(grpc::ServerContext*, const v1::ReportStepRequest*, v1::ReportStepResponse*) override {
    return refusal();
  }
  grpc::Status ReportSteps(grpc::ServerContext*, const v1::ReportStepsRequest*, v1::ReportStepsResponse*) override {
    return refusal();
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*, v1::HeartbeatResponse*) override {
    return refusal();
  }
  grpc::Status FinishWorker(grpc::ServerContext*, const v1::FinishWorkerRequest*, v1::FinishWorkerResponse*) override {
    return refusal();
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int calls() const { return calls_; }

 private:
  grpc::Status refusal() {
    ++calls_;
    return {code_, "no", reason_ ? error_details({.code = code_, .message = "no"}, *reason_) : ""};
  }

  const grpc::StatusCode code_;
  const std::optional<ErrorReason> reason_;
  std::atomic<int> calls_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

constexpr std::chrono::seconds kPatience{30};

TEST(CoordinatorClientCodes, AFailedPreconditionEndsTheAttemptButWhereContentIsRefused) {
  RefusingCoordinator coordinator(grpc::StatusCode::FAILED_PRECONDITION);
  CoordinatorClient client(coordinator.address(), kPatience);
  EXPECT_THROW(client.register_worker({}), std::invalid_argument);
  EXPECT_THROW(client.start_training({}), std::invalid_argument);
  EXPECT_THROW(client.report_step({}), AttemptEnded);
  EXPECT_THROW(client.report_steps({}), AttemptEnded);
  EXPECT_THROW(client.heartbeat({}), AttemptEnded);
  EXPECT_THROW(client.finish_worker({}), AttemptEnded);
}

TEST(CoordinatorClientCodes, ACancelledJobEndsTheAttemptWhateverTheCall) {
  RefusingCoordinator coordinator(grpc::StatusCode::CANCELLED, ErrorReason::kJobCancelled);
  CoordinatorClient client(coordinator.address(), kPatience);
  EXPECT_THROW(client.register_worker({}), AttemptEnded);
  EXPECT_THROW(client.start_training({}), AttemptEnded);
  EXPECT_THROW(client.report_step({}), AttemptEnded);
}

// A coordinator that was upgraded answered calls in flight with CANCELLED, gRPC's own, and its ranks ended.
TEST(CoordinatorClientCodes, ACallThatWasCutOffEndsNoAttempt) {
  constexpr std::chrono::seconds kShort{1};
  for (const auto code : {grpc::StatusCode::CANCELLED, grpc::StatusCode::UNKNOWN, grpc::StatusCode::INTERNAL}) {
    RefusingCoordinator coordinator(code);
    CoordinatorClient client(coordinator.address(), kShort);
    EXPECT_THROW(client.report_step({}), PeerError) << code;
    EXPECT_GT(coordinator.calls(), 1) << code;
    EXPECT_THROW(client.heartbeat({}), PeerError) << code;
  }
}

// Every FAILED_PRECONDITION ended the attempt without a word: also where a rank had called what it may not.
TEST(CoordinatorClientCodes, AReasonSaysMoreThanTheCode) {
  constexpr auto kCode = grpc::StatusCode::FAILED_PRECONDITION;
  RefusingCoordinator stale(kCode, ErrorReason::kStaleGeneration), state(kCode, ErrorReason::kWrongState);
  CoordinatorClient of_stale(stale.address(), kPatience), of_state(state.address(), kPatience);
  EXPECT_THROW(of_stale.register_worker({}), AttemptEnded);
  EXPECT_THROW(of_stale.start_training({}), AttemptEnded);
  EXPECT_THROW(of_stale.report_step({}), AttemptEnded);
  EXPECT_THROW(of_state.start_training({}), std::invalid_argument);
  EXPECT_THROW(of_state.report_step({}), PeerError);
  EXPECT_THROW(of_state.finish_worker({}), PeerError);
  EXPECT_THROW(of_state.heartbeat({}), AttemptEnded) << "the coordinator does not know this rank";
}

TEST(CoordinatorClientCodes, AnExhaustedLimitIsNoReasonToWait) {
  RefusingCoordinator coordinator(grpc::StatusCode::RESOURCE_EXHAUSTED, ErrorReason::kLimitReached);
  CoordinatorClient client(coordinator.address(), kPatience);
  EXPECT_THROW(client.report_step({}), PeerError);
}

TEST(CoordinatorClientCodes, NamesTheCallThatFailed) {
  RefusingCoordinator coordinator(grpc::StatusCode::INTERNAL, ErrorReason::kInternal);
  CoordinatorClient client(coordinator.address(), kPatience);
  try {
    client.report_step({});
    FAIL() << "nothing was thrown";
  } catch (const PeerError& failure) {
    EXPECT_EQ(std::string(failure.what()),
              "coordinator " + coordinator.address() + ": ReportStep failed after 0 s: no");
  }
}

}  // namespace coordinator_client_codes_test
}  // namespace equipoise

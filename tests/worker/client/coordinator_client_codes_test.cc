#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/base/error.h"
#include "worker/client/coordinator_client.h"

namespace equipoise {
namespace coordinator_client_codes_test {

// Answers every call with one code: how the client tells codes apart is its own business, whatever the coordinator
// does.
class RefusingCoordinator final : public v1::WorkerService::Service {
 public:
  explicit RefusingCoordinator(grpc::StatusCode code) : code_(code) {
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

 private:
  grpc::Status refusal() const { return {code_, "no"}; }

  const grpc::StatusCode code_;
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
  RefusingCoordinator coordinator(grpc::StatusCode::CANCELLED);
  CoordinatorClient client(coordinator.address(), kPatience);
  EXPECT_THROW(client.register_worker({}), AttemptEnded);
  EXPECT_THROW(client.start_training({}), AttemptEnded);
  EXPECT_THROW(client.report_step({}), AttemptEnded);
}

TEST(CoordinatorClientCodes, NamesTheCallThatFailed) {
  RefusingCoordinator coordinator(grpc::StatusCode::INTERNAL);
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

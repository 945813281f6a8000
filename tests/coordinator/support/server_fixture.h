// A whole coordinator in this process, with clients over real gRPC on loopback.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/server/coordinator_server.h"
#include "equipoise/v1/training.grpc.pb.h"
#include "equipoise/v1/worker.grpc.pb.h"
#include "tests/coordinator/support/fake_clock.h"
#include "tests/coordinator/support/requests.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {

class ServerFixture : public ::testing::Test {
 protected:
  ServerFixture() {
    settings_.listen = {.host = "127.0.0.1", .port = 0};
    settings_.http_listen = ListenAddress{.host = "127.0.0.1", .port = 0};
    settings_.state = folder_.path() / "state";
    settings_.worker = "/bin/true";
    start();
  }
  void start() {
    server_.emplace(settings_, clock_, random_source_);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    training_jobs_ = v1::TrainingJobService::NewStub(channel_);
    ranks_ = v1::WorkerService::NewStub(channel_);
  }
  void restart() {
    server_.reset();
    start();
  }
  // Its words take the place of mpirun and its workers.
  void launch_with(const std::string& script);

  template <typename Response, typename Stub, typename Request>
  grpc::Status call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), Stub& stub,
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    for (const auto& [name, value] : metadata_) context.AddMetadata(name, value);
    return (stub.*method)(&context, request, &response);
  }
  grpc::Status report(const v1::ReportStepRequest& request, v1::ReportStepResponse& response) {
    return call(&v1::WorkerService::Stub::ReportStep, *ranks_, request, response);
  }
  v1::TrainingJob create(v1::LaunchMode mode, int workers) {
    v1::TrainingJob job;
    const auto status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_,
                             create_request(two_group_spec(mode, workers)), job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }
  grpc::Status get(const std::string& id, v1::TrainingJob& job) {
    v1::GetTrainingJobRequest request;
    request.set_id(id);
    return call(&v1::TrainingJobService::Stub::GetTrainingJob, *training_jobs_, request, job);
  }
  grpc::Status cancel(const std::string& id) {
    v1::CancelTrainingJobRequest request;
    request.set_id(id);
    v1::TrainingJob job;
    return call(&v1::TrainingJobService::Stub::CancelTrainingJob, *training_jobs_, request, job);
  }
  // Cancels the job; `watch`, which has had all there was, is told so and ends.
  void expect_to_see_the_cancel(const std::string& id, grpc::ClientReader<v1::TrainingJob>& watch);
  std::string running_external_job();
  // A job of one rank whose processes are a script that waits, and the token that it was given.
  struct LaunchedJob {
    std::string id, token;
  };
  LaunchedJob launched_job();
  // Follows the job until the stream ends.
  std::vector<v1::TrainingJob> watch_to_the_end(const std::string& id, grpc::Status& status);
  // A connection to the metrics' port on which `beginning` of a request was sent; for the caller to close.
  int begin_http(const std::string& beginning);
  // The whole answer of the metrics' port to a request without a body.
  std::string http(const std::string& method, const std::string& path);
  std::string metrics_page() { return http("GET", "/metrics"); }

  std::vector<std::pair<std::string, std::string>> metadata_;  // of every call()
  TempFolder folder_;
  FakeClock clock_;
  SystemRandomSource random_source_;
  ServerSettings settings_;
  std::optional<CoordinatorServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TrainingJobService::Stub> training_jobs_;
  std::unique_ptr<v1::WorkerService::Stub> ranks_;
};

}  // namespace equipoise::coordinator

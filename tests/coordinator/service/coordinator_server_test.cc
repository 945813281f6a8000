// The whole coordinator over real gRPC on loopback, with a real database.
#include "coordinator/service/coordinator_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/coordinator/support/fake_clock.h"
#include "tests/coordinator/support/requests.h"
#include "tests/coordinator/support/temporary_folder.h"

namespace equipoise::coordinator {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class CoordinatorServerTest : public ::testing::Test {
 protected:
  CoordinatorServerTest() {
    settings_.listen = {.host = "127.0.0.1", .port = 0};
    settings_.metrics_listen = ListenAddress{.host = "127.0.0.1", .port = 0};
    settings_.state = folder_.path() / "state";
    settings_.worker = "/bin/true";
    start();
  }
  void start() {
    server_.emplace(settings_, clock_, entropy_);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    people_ = v1::TrainingJobService::NewStub(channel_);
    ranks_ = v1::WorkerService::NewStub(channel_);
  }
  void restart() {
    server_.reset();
    start();
  }
  // Its words take the place of mpirun and its workers.
  void launch_with(const std::string& script) {
    const auto file = folder_.path() / "mpirun";
    std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
    ::chmod(file.c_str(), 0755);
    settings_.mpirun = file;
    restart();
  }

  template <typename Response, typename Stub, typename Request>
  grpc::Status call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), Stub& stub,
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 30s);
    return (stub.*method)(&context, request, &response);
  }
  grpc::Status report(const v1::ReportStepRequest& request, v1::ReportStepResponse& response) {
    return call(&v1::WorkerService::Stub::ReportStep, *ranks_, request, response);
  }
  v1::TrainingJob create(v1::LaunchMode mode, int workers) {
    v1::TrainingJob job;
    const auto status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *people_,
                             create_request(two_group_spec(mode, workers)), job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }
  grpc::Status get(const std::string& id, v1::TrainingJob& job) {
    v1::GetTrainingJobRequest request;
    request.set_id(id);
    return call(&v1::TrainingJobService::Stub::GetTrainingJob, *people_, request, job);
  }
  grpc::Status cancel(const std::string& id) {
    v1::CancelTrainingJobRequest request;
    request.set_id(id);
    v1::TrainingJob job;
    return call(&v1::TrainingJobService::Stub::CancelTrainingJob, *people_, request, job);
  }
  std::string running_external_job() {
    const std::string id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
    v1::RegisterWorkerResponse registered;
    EXPECT_TRUE(
        call(&v1::WorkerService::Stub::RegisterWorker, *ranks_, register_request(id, 0, 0, 1), registered).ok());
    v1::StartTrainingResponse started;
    EXPECT_TRUE(call(&v1::WorkerService::Stub::StartTraining, *ranks_, start_request(id, 1), started).ok());
    return id;
  }
  // Follows the job until the stream ends.
  std::vector<v1::TrainingJob> watch_to_the_end(const std::string& id, grpc::Status& status) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 60s);
    v1::WatchTrainingJobRequest request;
    request.set_id(id);
    const auto reader = people_->WatchTrainingJob(&context, request);
    std::vector<v1::TrainingJob> seen;
    v1::TrainingJob job;
    while (reader->Read(&job)) seen.push_back(job);
    status = reader->Finish();
    return seen;
  }
  std::string metrics_page() {
    const ListenAddress address = parse_listen_address("metrics", server_->metrics_address());
    sockaddr_in remote{};
    remote.sin_family = AF_INET;
    remote.sin_port = htons(static_cast<std::uint16_t>(address.port));
    ::inet_pton(AF_INET, address.host.c_str(), &remote.sin_addr);
    const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(connection, reinterpret_cast<sockaddr*>(&remote), sizeof(remote)), 0);
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(::send(connection, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
    std::string page;
    std::array<char, 4096> part{};
    for (ssize_t n = 0; (n = ::recv(connection, part.data(), part.size(), 0)) > 0;)
      page.append(part.data(), static_cast<std::size_t>(n));
    ::close(connection);
    return page;
  }

  TemporaryFolder folder_;
  FakeClock clock_;
  SystemEntropy entropy_;
  ServerSettings settings_;
  std::optional<CoordinatorServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TrainingJobService::Stub> people_;
  std::unique_ptr<v1::WorkerService::Stub> ranks_;
};

TEST_F(CoordinatorServerTest, ErrorsCarryTheirCodeAndTheFieldsName) {
  v1::TrainingJob job;
  auto status = get("survey-00000000", job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "there is no job \"survey-00000000\"");
  auto spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_loss()->set_beta(-1);
  status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *people_, create_request(spec), job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("loss.beta"));
}

TEST_F(CoordinatorServerTest, IdenticalStepsAtTheSameTimeAreAppliedOnce) {
  const auto id = running_external_job();
  constexpr std::size_t kCallers = 8;
  for (int step = 0; step < 5; ++step) {
    std::vector<v1::ReportStepResponse> answers(kCallers);
    std::vector<std::thread> callers;
    for (auto& answer : answers) {
      callers.emplace_back([&, step] { EXPECT_TRUE(report(step_request(id, 1, step, {0.2, 1.0}), answer).ok()); });
    }
    for (auto& caller : callers) caller.join();
    for (const auto& answer : answers) EXPECT_EQ(answer.SerializeAsString(), answers[0].SerializeAsString());
    // Applied once a step: the odds of south against north are exp(0.5 * (1.0 - 0.2) * steps).
    EXPECT_NEAR(std::log(answers[0].weight(1) / answers[0].weight(0)), 0.4 * (step + 1), 1e-12);
  }
}

TEST_F(CoordinatorServerTest, AStepIsAnsweredBitForBitAfterARestart) {
  const auto id = running_external_job();
  v1::ReportStepResponse first, again;
  ASSERT_TRUE(report(step_request(id, 1, 0, {0.2, 1.0}), first).ok());
  restart();
  ASSERT_TRUE(report(step_request(id, 1, 0, {0.2, 1.0}), again).ok());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(report(step_request(id, 1, 0, {0.3, 1.0}), again).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(report(step_request(id, 1, 1, {0.2, 1.0}), again).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(CoordinatorServerTest, AWatcherSeesTheJobAsItIsAndItsEnd) {
  const auto id = running_external_job();
  grpc::Status status;
  std::vector<v1::TrainingJob> seen;
  std::thread watcher([&] { seen = watch_to_the_end(id, status); });
  v1::ReportStepResponse answer;
  for (int step = 0; step < 10; ++step) EXPECT_TRUE(report(step_request(id, 1, step, {0.2, 1.0}), answer).ok());
  v1::FinishWorkerResponse finished;
  EXPECT_TRUE(call(&v1::WorkerService::Stub::FinishWorker, *ranks_, finish_request(id, 1, 0, 'x'), finished).ok());
  watcher.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(seen.back().step(), 10);
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_GT(seen[i].revision(), seen[i - 1].revision());
}

TEST_F(CoordinatorServerTest, WatchersAreLimitedAndStarveNobody) {
  settings_.max_watchers = 3;
  restart();
  const auto id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::TrainingJob>>> readers;
  v1::TrainingJob job;
  for (int i = 0; i < settings_.max_watchers; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(people_->WatchTrainingJob(contexts.back().get(), request));
    ASSERT_TRUE(readers.back()->Read(&job));
  }
  grpc::ClientContext one_too_many;
  auto refused = people_->WatchTrainingJob(&one_too_many, request);
  EXPECT_FALSE(refused->Read(&job));
  EXPECT_EQ(refused->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(get(id, job).ok());
  EXPECT_TRUE(cancel(id).ok());
  for (auto& reader : readers) {
    while (reader->Read(&job)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
  }
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(CoordinatorServerTest, ShuttingDownClosesStreamsAndKeepsTheQueue) {
  const auto id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  grpc::ClientContext context;
  const auto reader = people_->WatchTrainingJob(&context, request);
  v1::TrainingJob job;
  ASSERT_TRUE(reader->Read(&job));
  server_->shut_down();
  EXPECT_FALSE(reader->Read(&job));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  restart();
  ASSERT_TRUE(get(id, job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
}

TEST_F(CoordinatorServerTest, ALaunchedJobFailsWithWhatItsProcessesWrote) {
  launch_with("echo 'model/config.json: no such file' >&2; exit 3");
  const auto id = create(v1::LAUNCH_MODE_COORDINATOR, 2).id();
  grpc::Status status;
  const auto seen = watch_to_the_end(id, status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(seen.back().state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(seen.back().state_reason(), "mpirun exited with code 3: model/config.json: no such file");
  EXPECT_EQ(seen.back().generation(), 1);
  EXPECT_TRUE(std::filesystem::exists(settings_.state / "logs" / id / "1" / "stderr.log"));
}

TEST_F(CoordinatorServerTest, CancelEndsTheProcessesOfALaunchedJob) {
  const auto ready = folder_.path() / "ready";
  ::mkfifo(ready.c_str(), 0600);
  launch_with("echo > " + ready.string() + "; exec sleep 1000");
  const auto id = create(v1::LAUNCH_MODE_COORDINATOR, 1).id();
  std::ifstream(ready).get();
  EXPECT_TRUE(cancel(id).ok());
  grpc::Status status;
  const auto seen = watch_to_the_end(id, status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(seen.back().state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(CoordinatorServerTest, ShuttingDownEndsTheProcessesOfALaunchedJob) {
  const auto ready = folder_.path() / "ready";
  ::mkfifo(ready.c_str(), 0600);
  launch_with("echo > " + ready.string() + "; exec sleep 1000");
  const auto id = create(v1::LAUNCH_MODE_COORDINATOR, 1).id();
  std::ifstream(ready).get();
  restart();
  v1::TrainingJob job;
  ASSERT_TRUE(get(id, job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.state_reason(), "the coordinator was stopped while the job was STARTING");
}

TEST_F(CoordinatorServerTest, AnExternalJobWhoseRankFallsSilentFails) {
  const auto id = running_external_job();
  for (int second = 0; second < 31; ++second) {
    clock_.advance(1s);
    server_->shared().tick();
  }
  v1::TrainingJob job;
  ASSERT_TRUE(get(id, job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.state_reason(), HasSubstr("rank 0 on host has not been heard of for 30 s"));
}

TEST_F(CoordinatorServerTest, PrometheusSeesTheJobUntilItIsDeleted) {
  const auto id = running_external_job();
  v1::ReportStepResponse answer;
  ASSERT_TRUE(report(step_request(id, 1, 0, {0.5, 0.5}), answer).ok());
  const std::string page = metrics_page();
  EXPECT_THAT(page, HasSubstr("equipoise_group_weight{group=\"south\",job=\"" + id + "\"} 0.5\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_train_step{job=\"" + id + "\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_job_state{job=\"" + id + "\",state=\"running\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_job_state{job=\"" + id + "\",state=\"queued\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_workers{job=\"" + id + "\",state=\"active\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_weight_update_seconds_count{job=\"" + id + "\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_rpc_requests_total{code=\"OK\",method=\"WorkerService/ReportStep\"} 1\n"));
  ASSERT_TRUE(cancel(id).ok());
  v1::FailWorkerRequest leaving;
  leaving.set_job_id(id);
  leaving.set_generation(1);
  v1::FailWorkerResponse left;
  ASSERT_TRUE(call(&v1::WorkerService::Stub::FailWorker, *ranks_, leaving, left).ok());
  server_->shared().tick();
  v1::DeleteTrainingJobRequest request;
  request.set_id(id);
  google::protobuf::Empty nothing;
  const auto status = call(&v1::TrainingJobService::Stub::DeleteTrainingJob, *people_, request, nothing);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(metrics_page(), Not(HasSubstr(id)));
}

TEST_F(CoordinatorServerTest, APortInUseIsRefusedByItsFlag) {
  ServerSettings second = settings_;
  second.state = folder_.path() / "other";
  second.listen = parse_listen_address("--listen", server_->address());
  try {
    const CoordinatorServer other(second, clock_, entropy_);
    FAIL();
  } catch (const std::invalid_argument& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("--listen " + server_->address() + ": cannot listen there"));
  }
  second.listen.port = 0;
  second.metrics_listen = parse_listen_address("--metrics-listen", server_->metrics_address());
  try {
    const CoordinatorServer other(second, clock_, entropy_);
    FAIL();
  } catch (const std::invalid_argument& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("--metrics-listen " + server_->metrics_address()));
  }
}

TEST_F(CoordinatorServerTest, MessagesOverTheLimitAreRefused) {
  auto spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_model()->set_path(std::string(300 * 1024, 'x'));
  v1::TrainingJob job;
  auto status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *people_, create_request(spec), job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  spec.mutable_model()->set_path(std::string(5 * 1024 * 1024, 'x'));
  status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *people_, create_request(spec), job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(ListenAddress, IsHostAndPort) {
  EXPECT_EQ(parse_listen_address("--listen", "[::1]:80").port, 80);
  for (const char* bad : {"", "host", "host:", ":80", "host:65536", "host:8x", "::1:80", "host:-1"}) {
    EXPECT_THROW(parse_listen_address("--listen", bad), std::invalid_argument) << bad;
  }
}

TEST(ListenAddress, OnlyLoopbackIsTakenWithoutTls) {
  for (const char* text : {"127.0.0.1:1", "localhost:1", "[::1]:1"}) {
    EXPECT_NO_THROW(check_loopback("--listen", parse_listen_address("--listen", text)));
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.org:1"}) {
    EXPECT_THROW(check_loopback("--listen", parse_listen_address("--listen", text)), std::invalid_argument);
  }
}

}  // namespace
}  // namespace equipoise::coordinator

// The whole coordinator over real gRPC on loopback, with a real database.
#include "coordinator/server/coordinator_server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>
#include <thread>

#include "common/protocol/error_reason.h"
#include "common/protocol/reconnection.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/coordinator/support/raw_call.h"
#include "tests/coordinator/support/server_fixture.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace coordinator_server_test {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsNan;
using ::testing::Not;
using ::testing::StartsWith;

class CoordinatorServerTest : public ServerFixture {};

TEST_F(CoordinatorServerTest, ErrorsCarryTheirCodeAndTheFieldsName) {
  v1::TrainingJob job;
  auto status = get("survey-00000000", job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "there is no job \"survey-00000000\"");
  auto spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_loss()->set_beta(-1);
  status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_, create_request(spec), job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("loss.beta"));
  EXPECT_EQ(field_in(status.error_details()), "spec.loss.beta");
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

TEST_F(CoordinatorServerTest, AClosedFormTravelsWithTheLossesItComesFrom) {
  v1::TrainingJob job;
  const auto spec = two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.8);
  ASSERT_TRUE(call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_, create_request(spec), job).ok());
  v1::RegisterWorkerResponse registered;
  const auto introduction = register_request(job.id(), 0, 0, 1);
  ASSERT_TRUE(call(&v1::WorkerService::Stub::RegisterWorker, *ranks_, introduction, registered).ok());
  v1::StartTrainingResponse started;
  ASSERT_TRUE(call(&v1::WorkerService::Stub::StartTraining, *ranks_, start_request(job.id(), 1), started).ok());
  EXPECT_THAT(started.group_loss(), ElementsAre(IsNan(), IsNan()));
  v1::ReportStepResponse first, again;
  ASSERT_TRUE(report(step_request(job.id(), 1, 0, {0.2}), first).ok());  // north alone
  ASSERT_TRUE(report(step_request(job.id(), 1, 1, {0.3, 1.0}), first).ok());
  EXPECT_NEAR(first.weight(1), 1 / 3. / 0.8, 1e-15);  // south's share / kappa
  restart();
  ASSERT_TRUE(report(step_request(job.id(), 1, 1, {0.3, 1.0}), again).ok());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  v1::ListGroupWeightsRequest request;
  request.set_id(job.id());
  v1::ListGroupWeightsResponse history;
  ASSERT_TRUE(call(&v1::TrainingJobService::Stub::ListGroupWeights, *training_jobs_, request, history).ok());
  ASSERT_EQ(history.records_size(), 2);
  EXPECT_THAT(history.records(0).group_loss(), ElementsAre(0.2, IsNan()));
  EXPECT_THAT(history.records(1).group_loss(), ElementsAre(0.3, 1.0));
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
  for (std::size_t i = 0; i < settings_.max_watchers; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(training_jobs_->WatchTrainingJob(contexts.back().get(), request));
    ASSERT_TRUE(readers.back()->Read(&job));
  }
  grpc::ClientContext one_too_many;
  auto refused = training_jobs_->WatchTrainingJob(&one_too_many, request);
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

std::size_t num_threads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

TEST_F(CoordinatorServerTest, AThousandWatchersHaveNoThreadOfTheirOwn) {
  const auto watched = create(v1::LAUNCH_MODE_EXTERNAL, 1).id(), id = running_external_job();
  const std::size_t before = num_threads();
  v1::WatchTrainingJobRequest request;
  request.set_id(watched);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::TrainingJob>>> readers;
  v1::TrainingJob job;
  for (int i = 0; i < 1000; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(training_jobs_->WatchTrainingJob(contexts.back().get(), request));
    ASSERT_TRUE(readers.back()->Read(&job));
  }
  v1::ReportStepResponse answer;
  for (int step = 0; step < 10; ++step) ASSERT_TRUE(report(step_request(id, 1, step, {0.2, 1.0}), answer).ok());
  EXPECT_LE(num_threads(), before + 16);
  ASSERT_TRUE(cancel(watched).ok());
  for (auto& reader : readers) {
    while (reader->Read(&job)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
  }
}

TEST_F(CoordinatorServerTest, AWatcherThatLeavesMakesRoom) {
  settings_.max_watchers = 1;
  restart();
  v1::WatchTrainingJobRequest request;
  request.set_id(create(v1::LAUNCH_MODE_EXTERNAL, 1).id());
  v1::TrainingJob job;
  for (int i = 0; i < 5; ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 60s);
    const auto reader = training_jobs_->WatchTrainingJob(&context, request);
    const bool has_place = reader->Read(&job);
    if (has_place) context.TryCancel();
    const grpc::Status status = reader->Finish();
    if (has_place) continue;
    ASSERT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    --i;  // the service learns a little later that the one before has left
  }
}

TEST_F(CoordinatorServerTest, AWatcherThatComesBackIsToldTheEndOnly) {
  const auto id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  v1::TrainingJob job;
  ASSERT_TRUE(get(id, job).ok());
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  request.set_after_revision(job.revision());
  grpc::ClientContext context;
  const auto reader = training_jobs_->WatchTrainingJob(&context, request);
  expect_to_see_the_cancel(id, *reader);
}

TEST_F(CoordinatorServerTest, ARequestOfPeopleHasAtMostAMebibyte) {
  v1::ListTrainingJobsRequest request;
  request.set_filter(std::string(1024 * 1024, 'x'));
  v1::ListTrainingJobsResponse response;
  const auto status = call(&v1::TrainingJobService::Stub::ListTrainingJobs, *training_jobs_, request, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("bytes, expected at most 1048576"));
  EXPECT_EQ(reason_in(status.error_details()), ErrorReason::kLimitReached);
  v1::WatchTrainingJobRequest watched;
  watched.set_id(std::string(1024 * 1024, 'x'));
  grpc::ClientContext context;
  EXPECT_EQ(training_jobs_->WatchTrainingJob(&context, watched)->Finish().error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  // A job may be as large as it ever was, and a report of ranks larger.
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  for (int i = 0; i < 1000; ++i) {
    (*spec.mutable_data()->mutable_group_counts())[std::to_string(i) + std::string(230, 'g')] = 10;
  }
  ASSERT_GT(spec.ByteSizeLong(), 240U * 1024);
  v1::TrainingJob job;
  const auto created =
      call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_, create_request(spec), job);
  EXPECT_NE(created.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << created.error_message();
}

// Lists with the same words share an answer, which is never older than the call.
TEST_F(CoordinatorServerTest, AListHasWhatWasMadeBeforeItHoweverManyAskForTheSame) {
  const auto list = [this](v1::ListTrainingJobsResponse& response) {
    return call(&v1::TrainingJobService::Stub::ListTrainingJobs, *training_jobs_, v1::ListTrainingJobsRequest(),
                response);
  };
  std::atomic<bool> is_over = false;
  std::vector<std::thread> others;
  for (int i = 0; i < 6; ++i) {
    others.emplace_back([&] {
      v1::ListTrainingJobsResponse response;
      while (!is_over) EXPECT_TRUE(list(response).ok());
    });
  }
  for (int made = 1; made <= 40; ++made) {
    const std::string id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
    v1::ListTrainingJobsResponse response;
    EXPECT_TRUE(list(response).ok());
    ASSERT_EQ(response.jobs_size(), made);
    EXPECT_EQ(response.jobs(0).id(), id) << "the newest first";
  }
  is_over = true;
  for (auto& other : others) other.join();
}

// More than share one answer; each is answered, and counted.
TEST_F(CoordinatorServerTest, CallsThatAskForTheSameAtOnceAreAllAnswered) {
  constexpr int kCalls = 600;
  const std::string id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  struct Call {
    grpc::ClientContext context;
    v1::GetTrainingJobRequest request;
    v1::TrainingJob job;
  };
  std::vector<std::unique_ptr<Call>> calls;
  std::atomic<int> found = 0, not_found = 0, left = 2 * kCalls;
  server_->shared().read([&](JobController& /*core*/) {  // so that they wait for each other
    for (int i = 0; i < 2 * kCalls; ++i) {
      Call& one = *calls.emplace_back(std::make_unique<Call>());
      one.request.set_id(i % 2 == 0 ? id : "survey-00000000");
      training_jobs_->async()->GetTrainingJob(&one.context, &one.request, &one.job, [&](const grpc::Status& status) {
        found += status.ok() && one.job.id() == id;
        not_found += status.error_code() == grpc::StatusCode::NOT_FOUND && one.request.id() != id;
        --left;
      });
    }
  });
  while (left > 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(found, kCalls);
  EXPECT_EQ(not_found, kCalls);
  const std::string page = metrics_page();
  for (const char* code : {"OK", "NOT_FOUND"}) {
    EXPECT_THAT(page, HasSubstr("code=\"" + std::string(code) + "\",method=\"TrainingJobService/GetTrainingJob\"} " +
                                std::to_string(kCalls)));
  }
}

TEST_F(CoordinatorServerTest, BytesThatAreNoRequestAreAnInvalidArgument) {
  grpc::GenericStub stub(channel_);
  const grpc::Slice slice(std::string("\x0a\xff", 2));  // a text that ends before its length
  grpc::ClientContext context;
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> answered;
  stub.UnaryCall(&context, "/equipoise.v1.TrainingJobService/GetTrainingJob", {}, &request, &response,
                 [&](grpc::Status status) { answered.set_value(std::move(status)); });
  const grpc::Status status = answered.get_future().get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "the bytes of the request are not those of a GetTrainingJobRequest");
}

TEST_F(CoordinatorServerTest, WhoeverWatchesHealthHearsOfAnEnd) {
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  grpc::ClientContext context, of_nobody;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("equipoise.v1.HostService");
  const auto watch = health->Watch(&context, request);
  grpc::health::v1::HealthCheckResponse status;
  ASSERT_TRUE(watch->Read(&status));
  EXPECT_EQ(status.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  request.set_service("nobody");
  EXPECT_EQ(health->Check(&of_nobody, request, &status).error_code(), grpc::StatusCode::NOT_FOUND);
  grpc::ClientContext unknown;
  const auto watch_of_nobody = health->Watch(&unknown, request);
  ASSERT_TRUE(watch_of_nobody->Read(&status));
  EXPECT_EQ(status.status(), grpc::health::v1::HealthCheckResponse::SERVICE_UNKNOWN);
  unknown.TryCancel();
  server_->shut_down();
  ASSERT_TRUE(watch->Read(&status));
  EXPECT_EQ(status.status(), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(watch->Read(&status));
}

// Whoever follows a job of which there is nothing new learns that somebody is there.
TEST_F(CoordinatorServerTest, AWatcherIsToldAtOnceThatItsStreamIsOpen) {
  const auto id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  v1::TrainingJob job;
  ASSERT_TRUE(get(id, job).ok());
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  request.set_after_revision(job.revision());
  grpc::ClientContext context;
  const auto reader = training_jobs_->WatchTrainingJob(&context, request);
  reader->WaitForInitialMetadata();
  EXPECT_TRUE(context.GetServerInitialMetadata().contains(kWatchOpenMetadata));
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&job));
}

TEST_F(CoordinatorServerTest, ShuttingDownClosesStreamsAndKeepsTheQueue) {
  const auto id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  grpc::ClientContext context;
  const auto reader = training_jobs_->WatchTrainingJob(&context, request);
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

TEST_F(CoordinatorServerTest, ALaunchedJobIsStartedAgainUntilItFailsAlike) {
  launch_with("echo 'libmpi.so: cannot be opened' >&2; exit 127");
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.mutable_launch()->set_max_restarts(3);
  v1::TrainingJob job;
  ASSERT_TRUE(call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_, create_request(spec), job).ok());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 60s);
  v1::WatchTrainingJobRequest request;
  request.set_id(job.id());
  const auto reader = training_jobs_->WatchTrainingJob(&context, request);
  int times = 0;
  while (reader->Read(&job)) {
    if (job.state() != v1::JOB_STATE_RECOVERING) continue;
    ++times;
    clock_.advance(2s);
  }
  ASSERT_TRUE(reader->Finish().ok());
  EXPECT_GE(times, 1);
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.state_reason(),
            "failed twice in a row at step 0, alike; last: mpirun exited with code 127: libmpi.so: cannot be opened; "
            "before: the same");
  EXPECT_EQ(job.generation(), 2);
  for (const char* attempt : {"1", "2"}) {
    EXPECT_TRUE(std::filesystem::exists(settings_.state / "logs" / job.id() / attempt / "stderr.log")) << attempt;
  }
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

// Anybody could report steps of a launched job, finish it and fail it: alpha = [1, 0], the job FAILED.
class LaunchedRanks : public ServerFixture {
 protected:
  template <typename Request, typename Response>
  grpc::StatusCode code_with(const std::string& token, const Request& request,
                             grpc::Status (v1::WorkerService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                             Response*)) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    if (!token.empty()) context.AddMetadata("equipoise-attempt-token", token);
    Response response;
    return (*ranks_.*method)(&context, request, &response).error_code();
  }
  template <typename Request>
  Request of_attempt(Request request) const {
    request.set_job_id(job_.id);
    request.set_generation(1);
    return request;
  }
  v1::ReportStepsRequest two_steps() const {
    v1::ReportStepsRequest request;
    for (const int step : {1, 2}) *request.add_steps() = step_request(job_.id, 1, step, {0.2, 1.0});
    return of_attempt(request);
  }
  v1::ReportMetricsRequest metrics() const {
    v1::ReportMetricsRequest request;
    request.set_split(v1::SPLIT_TRAIN);
    request.set_loss(0.5);
    return of_attempt(request);
  }
  // Of all calls but RegisterWorker and StartTraining.
  std::vector<grpc::StatusCode> codes_with(const std::string& token) {
    using Stub = v1::WorkerService::Stub;
    return {code_with(token, step_request(job_.id, 1, 0, {0.2, 1.0}), &Stub::ReportStep),
            code_with(token, two_steps(), &Stub::ReportSteps),
            code_with(token, of_attempt(v1::GetGroupWeightsRequest()), &Stub::GetGroupWeights),
            code_with(token, metrics(), &Stub::ReportMetrics),
            code_with(token, commit_request(job_.id, 1, 1), &Stub::CommitCheckpoint),
            code_with(token, heartbeat_request(job_.id, 1, 0), &Stub::Heartbeat),
            code_with(token, finish_request(job_.id, 1, 0, 'x'), &Stub::FinishWorker),
            code_with(token, of_attempt(v1::LeaveWorkerRequest()), &Stub::LeaveWorker),
            code_with(token, of_attempt(v1::ApplySettingsRequest()), &Stub::ApplySettings),
            code_with(token, of_attempt(v1::FailWorkerRequest()), &Stub::FailWorker)};
  }
  std::string job_bytes() {
    v1::TrainingJob job;
    EXPECT_TRUE(get(job_.id, job).ok());
    job.clear_running_time();  // goes on by itself
    return job.SerializeAsString();
  }
  grpc::StatusCode registered_with(const std::string& token) {
    auto request = register_request(job_.id, 0, 0, 1);
    request.set_attempt_token(token);
    return code_with("", request, &v1::WorkerService::Stub::RegisterWorker);
  }
  grpc::StatusCode started_with(const std::string& token) {
    return code_with(token, start_request(job_.id, 1), &v1::WorkerService::Stub::StartTraining);
  }

  const LaunchedJob job_ = launched_job();
  const std::string other_ = std::string(64, '0');
};

TEST_F(LaunchedRanks, SignEveryCallWithTheTokenOfTheirAttempt) {
  constexpr auto kDenied = grpc::StatusCode::PERMISSION_DENIED;
  const int calls = v1::ReportStepRequest::descriptor()->file()->service(0)->method_count();
  ASSERT_EQ(calls, 12) << "a new call is tried here too";
  for (const std::string& token : {std::string(), other_}) {
    EXPECT_EQ(registered_with(token), kDenied);
    EXPECT_EQ(started_with(token), kDenied);
  }
  ASSERT_EQ(registered_with(job_.token), grpc::StatusCode::OK);
  EXPECT_EQ(started_with(""), kDenied);
  EXPECT_EQ(started_with(other_), kDenied);
  ASSERT_EQ(started_with(job_.token), grpc::StatusCode::OK);
  const std::string before = job_bytes();
  for (const std::string& token : {std::string(), other_}) {
    EXPECT_THAT(codes_with(token), ::testing::Each(kDenied));
  }
  EXPECT_EQ(job_bytes(), before);
  const auto codes = codes_with(job_.token);
  EXPECT_EQ(codes[6], grpc::StatusCode::FAILED_PRECONDITION) << "not all steps are done";
  EXPECT_EQ(codes[7], grpc::StatusCode::FAILED_PRECONDITION) << "there is no checkpoint of all steps";
  for (const std::size_t accepted : {0, 1, 2, 3, 4, 5, 8, 9})
    EXPECT_EQ(codes[accepted], grpc::StatusCode::OK) << accepted;
}

TEST_F(LaunchedRanks, OfAnEarlierLifeOfTheCoordinatorAreToldToEnd) {
  ASSERT_EQ(registered_with(job_.token), grpc::StatusCode::OK);
  restart();
  const std::string before = job_bytes();
  v1::HeartbeatResponse answer;
  ASSERT_TRUE(call(&v1::WorkerService::Stub::Heartbeat, *ranks_, heartbeat_request(job_.id, 1, 0), answer).ok());
  EXPECT_EQ(answer.command(), v1::HeartbeatResponse::COMMAND_EXIT);
  EXPECT_EQ(code_with("", of_attempt(v1::FailWorkerRequest()), &v1::WorkerService::Stub::FailWorker),
            grpc::StatusCode::OK);
  EXPECT_EQ(job_bytes(), before);
}

TEST_F(CoordinatorServerTest, PrometheusSeesTheJobUntilItIsDeleted) {
  const auto id = running_external_job();
  v1::ReportStepResponse answer;
  ASSERT_TRUE(report(step_request(id, 1, 0, {0.5, 0.5}), answer).ok());
  const std::string page = metrics_page();
  EXPECT_THAT(page, HasSubstr("equipoise_group_weight{group=\"south\",training_job=\"" + id + "\"} 0.5\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_train_step{training_job=\"" + id + "\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_job_state{state=\"running\",training_job=\"" + id + "\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_job_state{state=\"queued\",training_job=\"" + id + "\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_workers{state=\"active\",training_job=\"" + id + "\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("equipoise_weight_update_seconds_count{training_job=\"" + id + "\"} 1\n"));
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
  const auto status = call(&v1::TrainingJobService::Stub::DeleteTrainingJob, *training_jobs_, request, nothing);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(metrics_page(), Not(HasSubstr(id)));
}

TEST_F(CoordinatorServerTest, WhatADeletedJobHasLeftGoesByItself) {
  v1::TrainingJob job = create(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto logs = settings_.state / "logs" / job.id();
  folder_.write("state/logs/" + job.id() + "/1/stdout.log", "text");
  folder_.write("state/logs/" + job.id() + "/2/stdout.log", "text");
  ASSERT_TRUE(cancel(job.id()).ok());
  EXPECT_TRUE(std::filesystem::exists(logs / "1/stdout.log"));
  v1::DeleteTrainingJobRequest request;
  request.set_id(job.id());
  google::protobuf::Empty nothing;
  ASSERT_TRUE(call(&v1::TrainingJobService::Stub::DeleteTrainingJob, *training_jobs_, request, nothing).ok());
  EXPECT_EQ(get(job.id(), job).error_code(), grpc::StatusCode::NOT_FOUND);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::filesystem::exists(logs) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the coordinator's thread works ten times a second
  }
  EXPECT_FALSE(std::filesystem::exists(logs));
}

// HEAD, which probes of load balancers send, was answered with 404.
TEST_F(CoordinatorServerTest, TheMetricsPageAnswersEachMethodWithItsCode) {
  const std::string page = metrics_page(), head = http("HEAD", "/metrics");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("# HELP"));
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  EXPECT_THAT(http("GET", "/metrics?name[]=x"), StartsWith("HTTP/1.1 200 OK\r\n"));
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    EXPECT_THAT(http(method, "/metrics"), AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD"))) << method;
  }
  EXPECT_THAT(http("OPTIONS", "/metrics"), AllOf(StartsWith("HTTP/1.1 204 "), HasSubstr("Allow: GET, HEAD")));
  for (const char* path : {"/metrics/more", "/favicon.ico", "/../metrics", "//metrics", "/%2e%2e/metrics"}) {
    EXPECT_THAT(http("GET", path), StartsWith("HTTP/1.1 404 ")) << path;
    EXPECT_THAT(http("HEAD", path), StartsWith("HTTP/1.1 404 ")) << path;
  }
  EXPECT_THAT(metrics_page(), HasSubstr("# HELP"));
}

// Two of them kept everybody from /metrics for 30 s.
TEST_F(CoordinatorServerTest, HalvesOfRequestsKeepNobodyFromTheMetricsPage) {
  std::vector<int> halves(10);
  for (int& half : halves) half = begin_http("GET /metrics HTTP/1.1\r\n");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(metrics_page(), HasSubstr("# HELP"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  for (const int half : halves) ::close(half);
}

// More of them than threads: each is given up after 3 s.
TEST_F(CoordinatorServerTest, HalvesOfRequestsAreGivenUp) {
  std::vector<int> halves(24);
  for (int& half : halves) half = begin_http("GET /metrics HTTP/1.1\r\n");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(metrics_page(), HasSubstr("# HELP"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
  for (const int half : halves) ::close(half);
}

TEST_F(CoordinatorServerTest, APortInUseIsRefusedByItsFlag) {
  ServerSettings second = settings_;
  second.state = folder_.path() / "other";
  second.listen = parse_listen_address("--listen", server_->address());
  try {
    const CoordinatorServer other(second, clock_, random_source_);
    FAIL();
  } catch (const std::invalid_argument& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("--listen " + server_->address() + ": cannot listen there"));
  }
  second.listen.port = 0;
  second.http_listen = parse_listen_address("--http-listen", server_->http_address());
  try {
    const CoordinatorServer other(second, clock_, random_source_);
    FAIL();
  } catch (const std::invalid_argument& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("--http-listen " + server_->http_address()));
  }
}

TEST_F(CoordinatorServerTest, MessagesOverTheLimitAreRefused) {
  auto spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_model()->set_path(std::string(300 * 1024, 'x'));
  v1::TrainingJob job;
  auto status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_, create_request(spec), job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  spec.mutable_model()->set_path(std::string(5 * 1024 * 1024, 'x'));
  status = call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_, create_request(spec), job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// What every gRPC tool expects to find: grpc.health.v1 and server reflection.

class StandardServicesTest : public ::testing::Test {
 protected:
  static ServerSettings settings_in(const std::filesystem::path& folder) {
    ServerSettings settings;
    settings.listen = {.host = "127.0.0.1", .port = 0};
    settings.state = folder / "state";
    return settings;
  }
  TempFolder folder_;
  SystemClock clock_;
  SystemRandomSource random_source_;
  CoordinatorServer server_{settings_in(folder_.path()), clock_, random_source_};
};

TEST_F(StandardServicesTest, HealthSaysServingForTheWholeAndForEachService) {
  for (const char* service :
       {"", "equipoise.v1.TrainingJobService", "equipoise.v1.HostService", "equipoise.v1.WorkerService"}) {
    EXPECT_EQ(health_of(server_.address(), service), kServing) << service;
  }
}

// 201 steps and a job were acknowledged into files that had no name any more, and a second coordinator started.
class LostStateTest : public ServerFixture {
 protected:
  LostStateTest() {
    id_ = running_external_job();
    EXPECT_TRUE(report(step_request(id_, 1, 0, {0.2, 1.0}), response_).ok());
  }
  grpc::Status report_next() { return report(step_request(id_, 1, 1, {0.2, 1.0}), response_); }
  std::string health() {
    server_->shared().tick();  // what the timer does ten times a second
    return health_of(server_->address());
  }

  std::string id_;
  v1::ReportStepResponse response_;
};

class LostFile : public LostStateTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(LostFile, NothingIsAcknowledgedIntoFilesThatAreDeletedOrReplaced) {
  EXPECT_EQ(health(), kServing);
  const std::filesystem::path lost = settings_.state / GetParam();
  std::filesystem::remove_all(lost);
  if (!GetParam().empty()) std::ofstream(lost) << "another";
  const grpc::Status refused = report_next();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.error_message(), HasSubstr("while this coordinator had it open: nothing is taken any more"));
  EXPECT_EQ(cancel(id_).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(health(), kNotServing);
  v1::TrainingJob job;
  EXPECT_TRUE(get(id_, job).ok()) << "what is known can still be read";
}

INSTANTIATE_TEST_SUITE_P(Files, LostFile,
                         ::testing::Values("", "lock", "coordinator.sqlite3", "coordinator.sqlite3-wal"));

TEST_F(LostStateTest, ASecondCoordinatorMayTakeTheFolderAndKeepsItsState) {
  std::filesystem::remove_all(settings_.state);
  std::optional<CoordinatorServer> second;
  second.emplace(settings_, clock_, random_source_);
  EXPECT_EQ(report_next().error_code(), grpc::StatusCode::UNAVAILABLE);
  server_.reset();  // its end takes nothing of the second's
  const auto people =
      v1::TrainingJobService::NewStub(grpc::CreateChannel(second->address(), grpc::InsecureChannelCredentials()));
  v1::TrainingJob job;
  const auto request = create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1));
  EXPECT_TRUE(call(&v1::TrainingJobService::Stub::CreateTrainingJob, *people, request, job).ok());
}

TEST_F(StandardServicesTest, ReflectionListsTheServices) {
  constexpr int kListServices = 7;
  const std::string answer = raw_call(
      server_.address(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", field(kListServices, ""));
  EXPECT_THAT(answer, HasSubstr("equipoise.v1.TrainingJobService"));
  EXPECT_THAT(answer, HasSubstr("equipoise.v1.WorkerService"));
  EXPECT_THAT(answer, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(StandardServicesTest, ReflectionDescribesOurMessages) {
  constexpr int kFileContainingSymbol = 4;
  const std::string answer =
      raw_call(server_.address(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
               field(kFileContainingSymbol, "equipoise.v1.TrainingJob"));
  EXPECT_THAT(answer, HasSubstr("state_reason"));
}

// By the names that the details of a status have, as no tool knows ours.
TEST_F(StandardServicesTest, ReflectionDescribesTheDetailsOfErrors) {
  constexpr int kFileByFilename = 3, kFileContainingSymbol = 4;
  for (const auto& [kind, name] : {std::pair(kFileContainingSymbol, "google.rpc.ErrorInfo"),
                                   std::pair(kFileContainingSymbol, "google.rpc.BadRequest"),
                                   std::pair(kFileContainingSymbol, "google.rpc.RetryInfo"),
                                   std::pair(kFileByFilename, "google/rpc/error_details.proto")}) {
    const std::string answer = raw_call(
        server_.address(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", field(kind, name));
    EXPECT_THAT(answer, HasSubstr(".google.rpc.FieldViolation")) << name;
    EXPECT_THAT(answer, HasSubstr("google/protobuf/duration.proto")) << name;
    EXPECT_THAT(answer, Not(HasSubstr("equipoise.v1"))) << name;
  }
}

}  // namespace coordinator_server_test
}  // namespace equipoise::coordinator

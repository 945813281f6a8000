// A coordinator that goes away and comes back at its address, as one that is started again.
#include "client/connection/connection.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/connection/follow_job.h"
#include "coordinator/server/coordinator_server.h"
#include "tests/client/support/coordinator_fixture.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace connection_test {

constexpr std::chrono::minutes kLongAfterTheTest{1};

class ARestartedCoordinator : public testing::Test {
 protected:
  ARestartedCoordinator() {
    settings_.listen = {.host = "127.0.0.1", .port = 0};
    settings_.state = folder_.path() / "state";
    settings_.worker = "no-worker-is-launched-here";
    start();
    settings_.listen = coordinator::parse_listen_address("--listen", server_->address());
  }
  void start() { server_.emplace(settings_, clock_, random_source_); }
  void stop() { server_.reset(); }
  std::string address() const { return settings_.listen.text(); }

  v1::CreateTrainingJobRequest external_job() const {
    v1::CreateTrainingJobRequest request;
    v1::JobSpec& spec = *request.mutable_spec();
    spec.set_name("watched");
    spec.mutable_model()->set_path("/models/tiny");
    spec.mutable_data()->set_train("/data/train.jsonl");
    spec.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
    spec.mutable_robust()->set_step_size(0.5);
    spec.mutable_training()->set_max_steps(2);
    spec.mutable_training()->set_global_batch_size(2);
    spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL);
    spec.set_output(folder_.path() / "out");
    return request;
  }
  // The next update with a job in it.
  static v1::TrainingJob next_job(JobInbox& inbox) {
    while (true) {
      if (const auto update = inbox.wait(kLongAfterTheTest); update.job) return *update.job;
    }
  }

  TempFolder folder_;
  coordinator::SystemClock clock_;
  coordinator::SystemRandomSource random_source_;
  coordinator::ServerSettings settings_;
  std::optional<coordinator::CoordinatorServer> server_;
};

TEST_F(ARestartedCoordinator, IsWaitedForByEveryReadingCall) {
  Connection connection({.host_port = address(), .timeout = std::chrono::seconds(30)});
  const std::string id = connection.create_job(external_job()).id();
  stop();
  auto job = std::async(std::launch::async, [&] { return connection.get_job(id); });
  auto jobs = std::async(std::launch::async, [&] { return connection.list_jobs({}); });
  v1::ListGroupWeightsRequest history;
  history.set_id(id);
  auto weights = std::async(std::launch::async, [&] { return connection.list_group_weights(history); });
  start();
  EXPECT_EQ(job.get().id(), id);
  EXPECT_EQ(jobs.get().jobs_size(), 1);
  EXPECT_EQ(weights.get().records_size(), 0);
}

// `jobs watch` ended with code 2 where the coordinator was away for a moment; see Absence below for the longest one.
TEST_F(ARestartedCoordinator, IsFollowedToTheEndOfTheJob) {
  Connection connection({.host_port = address(), .timeout = std::chrono::seconds(30)});
  const std::string id = connection.create_job(external_job()).id();
  JobInbox inbox;
  const JobStream stream(connection, id, inbox);
  EXPECT_EQ(next_job(inbox).state(), v1::JOB_STATE_QUEUED);
  stop();
  start();
  RankByHand rank(address(), id);
  rank.start();
  rank.step();
  rank.step();
  rank.finish();
  v1::TrainingJob last;
  while (true) {
    const auto update = inbox.wait(kLongAfterTheTest);
    if (update.job) last = *update.job;
    if (update.ended) break;
  }
  EXPECT_EQ(last.state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(ARestartedCoordinator, ThatStaysAwayIsGivenUp) {
  Connection connection({.host_port = address(), .timeout = std::chrono::seconds(1)});
  const std::string id = connection.create_job(external_job()).id();
  JobInbox inbox;
  const JobStream stream(connection, id, inbox);
  next_job(inbox);
  stop();
  EXPECT_THROW(next_job(inbox), CoordinatorUnreachable);
}

// Breaks each stream, and shows a job at its next revision with each.
class BreakingWatches final : public v1::TrainingJobService::Service {
 public:
  BreakingWatches() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~BreakingWatches() override { server_->Shutdown(); }
  BreakingWatches(const BreakingWatches&) = delete;
  BreakingWatches& operator=(const BreakingWatches&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::vector<std::int64_t> after() {
    const std::lock_guard lock(mutex_);
    return after_;
  }
  grpc::Status WatchTrainingJob(grpc::ServerContext*, const v1::WatchTrainingJobRequest* request,
                                grpc::ServerWriter<v1::TrainingJob>* writer) override {
    const std::lock_guard lock(mutex_);
    after_.push_back(request->after_revision());
    v1::TrainingJob job;
    job.set_id(request->id());
    job.set_revision(request->after_revision() + 7);
    job.set_state(after_.size() < 3 ? v1::JOB_STATE_RUNNING : v1::JOB_STATE_SUCCEEDED);
    writer->Write(job);
    return after_.size() < 3 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken") : grpc::Status::OK;
  }

 private:
  int port_ = 0;
  std::mutex mutex_;
  std::vector<std::int64_t> after_;
  std::unique_ptr<grpc::Server> server_;
};

TEST(JobStreamRevisions, AStreamThatIsOpenedAgainAsksForWhatIsNewer) {
  BreakingWatches coordinator;
  Connection connection({.host_port = coordinator.address(), .timeout = std::chrono::seconds(30)});
  JobInbox inbox;
  const JobStream stream(connection, "any", inbox);
  while (!inbox.wait(kLongAfterTheTest).ended) {
  }
  EXPECT_THAT(coordinator.after(), testing::ElementsAre(0, 7, 14));
}

TEST(Absence, CountsFromTheLastContactNotFromTheLastNews) {
  const SteadyTime start{};
  Absence absence(std::chrono::seconds(5), start);
  absence.has_contact(start + std::chrono::hours(1));  // the stream broke then, after an hour without news
  EXPECT_FALSE(absence.is_too_long(start + std::chrono::hours(1) + std::chrono::seconds(4)));
  EXPECT_TRUE(absence.is_too_long(start + std::chrono::hours(1) + std::chrono::seconds(5)));
}

TEST(Absence, IsToldOnceAfterTwoSeconds) {
  const SteadyTime start{};
  Absence absence(std::chrono::seconds(30), start);
  EXPECT_FALSE(absence.must_be_told(start + std::chrono::seconds(2)));
  EXPECT_TRUE(absence.must_be_told(start + std::chrono::seconds(3)));
  EXPECT_FALSE(absence.must_be_told(start + std::chrono::seconds(4)));
  absence.has_contact(start + std::chrono::seconds(5));
  EXPECT_FALSE(absence.must_be_told(start + std::chrono::seconds(6)));
  EXPECT_TRUE(absence.must_be_told(start + std::chrono::seconds(8)));
}

TEST(JobInbox, GivesEachNoteOnce) {
  JobInbox inbox;
  inbox.note("first");
  inbox.note("second");
  EXPECT_THAT(inbox.wait(kLongAfterTheTest).notes, testing::ElementsAre("first", "second"));
  inbox.end();
  EXPECT_THAT(inbox.wait(kLongAfterTheTest).notes, testing::IsEmpty());
}

}  // namespace connection_test
}  // namespace equipoise

// The whole coordinator over real gRPC, with outputs of jobs on a real file system that does not answer.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <latch>
#include <string>
#include <thread>
#include <utility>

#include "common/protocol/error_reason.h"
#include "tests/coordinator/support/hung_disk.h"
#include "tests/coordinator/support/raw_call.h"
#include "tests/coordinator/support/server_fixture.h"

namespace equipoise::coordinator {
namespace hung_disk_server_test {

using ::testing::HasSubstr;
using ::testing::Not;
using Stub = v1::TrainingJobService::Stub;

class HungDiskServer : public ServerFixture {
 protected:
  void SetUp() override {
    if (!disk_.is_there()) GTEST_SKIP() << "no file system can be mounted here; it takes root and /dev/fuse";
    settings_.files.patience = std::chrono::hours(1);
    begin();
  }
  void begin() {
    restart();  // its threads see the disk
    id_ = running_external_job();
  }
  void TearDown() override {
    disk_.fail();
    server_.reset();
  }
  std::filesystem::path hung(const std::string& name) const { return folder_.path() / "disk" / name; }
  v1::CreateTrainingJobRequest request_with(const std::filesystem::path& output, const std::string& request_id) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
    spec.set_output(output.string());
    return create_request(spec, request_id);
  }
  std::future<grpc::Status> create_on_disk(const std::string& name) {
    return std::async(std::launch::async, [this, request = request_with(hung(name), name)] {
      v1::TrainingJob job;
      return call(&Stub::CreateTrainingJob, *training_jobs_, request, job);
    });
  }
  // Steps of a job, and calls of people.
  void expect_everything_else_goes_on() {
    v1::ReportStepResponse response;
    EXPECT_TRUE(report(step_request(id_, 1, step_++, {0.2, 1.0}), response).ok());
    v1::TrainingJob job;
    EXPECT_TRUE(get(id_, job).ok());
    v1::ListTrainingJobsResponse jobs;
    EXPECT_TRUE(call(&Stub::ListTrainingJobs, *training_jobs_, v1::ListTrainingJobsRequest(), jobs).ok());
    const std::string other = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
    EXPECT_TRUE(cancel(other).ok());
    EXPECT_TRUE(remove(other).ok());
    EXPECT_EQ(health_of(server_->address()), kServing);
  }
  grpc::Status remove(const std::string& id) {
    v1::DeleteTrainingJobRequest request;
    request.set_id(id);
    google::protobuf::Empty nothing;
    return call(&Stub::DeleteTrainingJob, *training_jobs_, request, nothing);
  }

  HungDisk disk_{folder_.path() / "disk"};
  std::string id_;
  int step_ = 0;
};

// Every rank lost its lease, and health said SERVING.
TEST_F(HungDiskServer, AJobThatIsSubmittedWithItsOutputThereKeepsNobodyWaiting) {
  auto first = create_on_disk("first");
  disk_.take_request();
  expect_everything_else_goes_on();
  auto second = create_on_disk("second");
  expect_everything_else_goes_on();
  disk_.fail();
  first.get();
  second.get();
  expect_everything_else_goes_on();
}

// In place of the disk of the state, for whoever asks by name. The database is open.
class HungState {
 public:
  HungState(const std::filesystem::path& disk, std::filesystem::path state) : state_(std::move(state)) {
    is_there_ = ::mount(disk.c_str(), state_.c_str(), nullptr, MS_BIND, nullptr) == 0;
  }
  ~HungState() {
    if (is_there_) ::umount2(state_.c_str(), MNT_DETACH);
  }
  HungState(const HungState&) = delete;
  HungState& operator=(const HungState&) = delete;
  bool is_there() const { return is_there_; }

 private:
  const std::filesystem::path state_;
  bool is_there_ = false;
};

// The lock of the core was held while the disk was asked how full it is, and whether the files are there.
TEST_F(HungDiskServer, JobsAreReadWhileTheDiskOfTheStateDoesNotAnswer) {
  {
    const HungState hung_state(folder_.path() / "disk", settings_.state);
    ASSERT_TRUE(hung_state.is_there());
    disk_.take_request();
    v1::TrainingJob job;
    EXPECT_TRUE(get(id_, job).ok());
    v1::ListTrainingJobsResponse jobs;
    EXPECT_TRUE(call(&Stub::ListTrainingJobs, *training_jobs_, v1::ListTrainingJobsRequest(), jobs).ok());
    EXPECT_THAT(http("GET", "/v1/jobs"), HasSubstr(id_));
    disk_.fail();
  }
  expect_everything_else_goes_on();
}

TEST_F(HungDiskServer, AJobThatIsSubmittedThereIsRefusedInTheEndAndNotMadeLater) {
  settings_.files.patience = std::chrono::milliseconds(500);
  begin();
  for (const char* name : {"first", "second"}) {
    const grpc::Status refused = create_on_disk(name).get();
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(refused.error_message(), HasSubstr("the file system at " + hung("").parent_path().string()));
  }
  expect_everything_else_goes_on();
  disk_.fail();
  expect_everything_else_goes_on();
  v1::ListTrainingJobsResponse jobs;
  EXPECT_TRUE(call(&Stub::ListTrainingJobs, *training_jobs_, v1::ListTrainingJobsRequest(), jobs).ok());
  for (const v1::TrainingJob& job : jobs.jobs()) EXPECT_THAT(job.spec().output(), Not(HasSubstr("disk")));
}

TEST_F(HungDiskServer, AForkOrADeleteOfAJobThereKeepsNobodyWaiting) {
  v1::TrainingJob parent;
  const std::filesystem::path output = folder_.path() / "output";
  std::filesystem::create_directories(output);
  ASSERT_TRUE(call(&Stub::CreateTrainingJob, *training_jobs_, request_with(output, "parent"), parent).ok());
  v1::RegisterWorkerResponse registered;
  const auto registration = register_request(parent.id(), 0, 0, 1);
  ASSERT_TRUE(call(&v1::WorkerService::Stub::RegisterWorker, *ranks_, registration, registered).ok());
  v1::StartTrainingResponse started;
  ASSERT_TRUE(call(&v1::WorkerService::Stub::StartTraining, *ranks_, start_request(parent.id(), 1), started).ok());
  v1::ReportStepResponse stepped;
  ASSERT_TRUE(report(step_request(parent.id(), 1, 0, {0.2, 1.0}), stepped).ok());
  v1::CommitCheckpointResponse committed;
  ASSERT_TRUE(
      call(&v1::WorkerService::Stub::CommitCheckpoint, *ranks_, commit_request(parent.id(), 1, 1), committed).ok());
  v1::FailWorkerRequest failure;
  failure.set_job_id(parent.id());
  failure.set_generation(1);
  failure.set_reason("it ends");
  v1::FailWorkerResponse failed;
  ASSERT_TRUE(call(&v1::WorkerService::Stub::FailWorker, *ranks_, failure, failed).ok());
  std::filesystem::remove_all(output);
  std::filesystem::create_directory_symlink(hung("output"), output);

  v1::ForkTrainingJobRequest asked;
  asked.set_id(parent.id());
  *asked.mutable_spec() = parent.spec();
  asked.mutable_spec()->set_output((folder_.path() / "fork").string());
  auto fork = std::async(std::launch::async, [&] {
    v1::TrainingJob job;
    return call(&Stub::ForkTrainingJob, *training_jobs_, asked, job);
  });
  disk_.take_request();
  expect_everything_else_goes_on();
  EXPECT_TRUE(remove(parent.id()).ok()) << "it waits for no file";
  expect_everything_else_goes_on();
  disk_.fail();
  EXPECT_FALSE(fork.get().ok()) << "there is no checkpoint any more";
  expect_everything_else_goes_on();
}

// Whatever it is that hangs under the lock.
TEST_F(ServerFixture, ACoordinatorThatHangsSaysThatItDoesNotServe) {
  settings_.tick_rules = TickRules{.interval = std::chrono::milliseconds(10), .most_looks = 20};
  restart();
  std::latch hangs(1), may_end(1);
  std::thread holder([&] {
    server_->shared().read([&](JobController& /*core*/) {
      hangs.count_down();
      may_end.wait();
    });
  });
  hangs.wait();
  const auto await_health = [&](const char* wanted) {
    while (health_of(server_->address()) != wanted) std::this_thread::yield();
  };
  await_health(kNotServing);
  EXPECT_THAT(http("GET", "/healthz"), HasSubstr("503"));
  may_end.count_down();
  holder.join();
  await_health(kServing);
  EXPECT_THAT(http("GET", "/healthz"), HasSubstr("200"));
}

}  // namespace hung_disk_server_test
}  // namespace equipoise::coordinator

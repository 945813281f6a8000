// The whole coordinator over real gRPC, with its state on a real file system of 16 MiB that other files fill.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "common/protocol/error_reason.h"
#include "tests/coordinator/support/full_disk.h"
#include "tests/coordinator/support/raw_call.h"
#include "tests/coordinator/support/server_fixture.h"

namespace equipoise::coordinator {
namespace full_disk_server_test {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::size_t kDiskBytes = 16 << 20;
constexpr const char* kHasWaited = "the coordinator was away, and attempt 1 has waited for it";

class FullDiskServer : public ServerFixture {
 protected:
  void SetUp() override {
    if (!disk_.is_there()) GTEST_SKIP() << "no file system can be mounted here; it takes root";
    server_.reset();
    settings_.state = folder_.path() / "disk" / "state";
    start();
    id_ = running_external_job();
  }
  // The filler first: what the server writes at its end then fits.
  void TearDown() override {
    if (disk_.is_there()) disk_.drain();
    server_.reset();
  }
  grpc::Status step(int number) { return report(step_request(id_, 1, number, {0.2, 1.0}), response_); }
  grpc::Status create_another() {
    v1::TrainingJob job;
    return call(&v1::TrainingJobService::Stub::CreateTrainingJob, *training_jobs_,
                create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1)), job);
  }
  std::string health() const { return health_of(server_->address()); }
  // As many ticks as a second has: the disk is looked at.
  void look_at_disk() {
    for (int tick = 0; tick < 10; ++tick) server_->shared().tick();
  }
  v1::TrainingJob job() {
    v1::TrainingJob job;
    EXPECT_TRUE(get(id_, job).ok());
    return job;
  }

  SmallDisk disk_{folder_.path() / "disk", kDiskBytes};
  std::string id_;
  v1::ReportStepResponse response_;
};

TEST_F(FullDiskServer, HoldsStepsUntilThereIsRoomAndSaysSo) {
  ASSERT_TRUE(step(0).ok());
  EXPECT_EQ(health(), kServing);
  EXPECT_THAT(metrics_page(), HasSubstr("\nequipoise_state_writable 1\n"));
  disk_.fill();
  const grpc::Status refused = step(1);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(reason_in(refused.error_details()), ErrorReason::kStateNotStored);
  EXPECT_THAT(refused.error_message(),
              AllOf(HasSubstr("coordinator.sqlite3: database or disk is full"), HasSubstr("has 0 B free of 16.0 MiB")));
  EXPECT_EQ(health(), kNotServing);
  EXPECT_THAT(metrics_page(), HasSubstr("\nequipoise_state_writable 0\n"));
  EXPECT_THAT(job().conditions(), testing::Contains(HasSubstr("waits at its next step, as nothing can be stored")));
  look_at_disk();
  EXPECT_EQ(health(), kNotServing) << "the bytes of the reserve are for ends of jobs";
  EXPECT_EQ(step(1).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(create_another().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);

  disk_.drain();
  look_at_disk();
  EXPECT_EQ(health(), kServing);
  EXPECT_THAT(metrics_page(), HasSubstr("\nequipoise_state_writable 1\n"));
  for (int number = 1; number < 10; ++number) EXPECT_TRUE(step(number).ok()) << number;
  v1::FinishWorkerResponse finished;
  EXPECT_TRUE(call(&v1::WorkerService::Stub::FinishWorker, *ranks_, finish_request(id_, 1, 0, 'x'), finished).ok());
  EXPECT_EQ(job().state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_TRUE(create_another().ok());
}

// The reserve is there for the first call that finds the disk full.
TEST_F(FullDiskServer, ACancelIsStoredOnAFullDiskAndSoIsADelete) {
  const std::string queued = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  disk_.fill();
  EXPECT_TRUE(cancel(queued).ok());
  v1::DeleteTrainingJobRequest request;
  request.set_id(queued);
  google::protobuf::Empty nothing;
  EXPECT_TRUE(call(&v1::TrainingJobService::Stub::DeleteTrainingJob, *training_jobs_, request, nothing).ok());
  EXPECT_TRUE(cancel(id_).ok());
  EXPECT_EQ(job().state(), v1::JOB_STATE_CANCELLING);
  restart();
  EXPECT_EQ(job().state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(FullDiskServer, ShutsDownWhereNotEvenTheReserveIsLeft) {
  disk_.fill();
  EXPECT_EQ(step(0).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  do {  // once a second the coordinator looks whether there is room for the reserve again
    disk_.fill();
  } while (std::filesystem::file_size(settings_.state / "reserve") > 0);
  EXPECT_EQ(reason_in(cancel(id_).error_details()), ErrorReason::kStateNotStored);
  server_->shut_down();
  server_.reset();
  disk_.drain();
  start();
  EXPECT_EQ(job().state(), v1::JOB_STATE_RUNNING);
  EXPECT_THAT(job().conditions(), testing::Contains(kHasWaited)) << "the stop was not stored: its ranks may go on";
}

TEST_F(FullDiskServer, StartsAfterACrashOnADiskThatWasFilledMeanwhile) {
  const auto crashed = folder_.path() / "disk" / "crashed";
  std::filesystem::copy(settings_.state, crashed, std::filesystem::copy_options::recursive);
  server_.reset();
  std::filesystem::remove_all(settings_.state);
  std::filesystem::rename(crashed, settings_.state);
  disk_.fill();
  start();
  EXPECT_EQ(health(), kNotServing);
  EXPECT_THAT(job().conditions(), testing::Contains(kHasWaited));
  EXPECT_EQ(create_another().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  disk_.drain();
  look_at_disk();
  EXPECT_EQ(health(), kServing);
  EXPECT_TRUE(create_another().ok());
}

TEST_F(FullDiskServer, WarnsOnceBeforeItIsFull) {
  look_at_disk();
  look_at_disk();
  const auto told = job().conditions();
  EXPECT_EQ(std::ranges::count_if(told,
                                  [](const std::string& sentence) {
                                    return sentence.find("is nearly full; the disk of ") != std::string::npos;
                                  }),
            1)
      << "less than 64 MiB are free";
  EXPECT_THAT(metrics_page(), HasSubstr("\nequipoise_state_free_bytes "));
}

}  // namespace full_disk_server_test
}  // namespace equipoise::coordinator

// Over real gRPC on loopback: a whole coordinator, and one that loses the first heartbeats.
#include "worker/client/heartbeat.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/coordinator/support/server_fixture.h"

namespace equipoise::coordinator {
namespace heartbeat_test {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::seconds kPatience{30};

// What a rank is told that is asked to end; waits for it.
std::string end_reason(const Heartbeat& heartbeat) {
  while (true) {
    try {
      heartbeat.check();
    } catch (const AttemptEnded& ended) {
      return ended.what();
    }
    std::this_thread::yield();
  }
}

class HeartbeatTest : public ServerFixture {
 protected:
  // The job once `is_so` holds of it.
  template <class Predicate>
  v1::TrainingJob job_when(const Predicate& is_so) {
    grpc::ClientContext context;
    v1::WatchTrainingJobRequest request;
    request.set_id(id_);
    const auto reader = training_jobs_->WatchTrainingJob(&context, request);
    v1::TrainingJob job;
    while (reader->Read(&job) && !is_so(job)) {
    }
    context.TryCancel();
    return job;
  }

  const std::string id_ = running_external_job();
  CoordinatorClient client_{server_->address(), kPatience};
};

TEST_F(HeartbeatTest, TellsAtOnceWhatTheRankDoesAndWhatItWarnsOf) {
  Heartbeat heartbeat(client_, {.job_id = id_, .generation = 1}, 0);
  heartbeat.set_phase("reading the data");
  EXPECT_EQ(job_when([](const auto& job) { return job.phase() == "reading the data"; }).phase(), "reading the data");
  heartbeat.warn("the disk is nearly full\nfree some");
  const auto is_warned = [](const auto& job) { return job.conditions_size() > 0; };
  EXPECT_THAT(job_when(is_warned).conditions(), Contains(HasSubstr("the disk is nearly full")));
  heartbeat.check();  // it goes on
}

TEST_F(HeartbeatTest, ACancelledJobEndsTheRankAtItsNextStep) {
  Heartbeat heartbeat(client_, {.job_id = id_, .generation = 1}, 0);
  ASSERT_TRUE(cancel(id_).ok());
  heartbeat.set_phase("training");
  EXPECT_EQ(end_reason(heartbeat), "the coordinator asked this rank to end");
}

TEST_F(HeartbeatTest, ARankOfAnotherAttemptEnds) {
  const Heartbeat heartbeat(client_, {.job_id = id_, .generation = 7}, 0);
  EXPECT_THAT(end_reason(heartbeat), HasSubstr("7"));
}

TEST_F(HeartbeatTest, AJobThatIsUnknownEndsTheRank) {
  const Heartbeat heartbeat(client_, {.job_id = "survey-0", .generation = 1}, 0);
  EXPECT_THAT(end_reason(heartbeat), HasSubstr("there is no job \"survey-0\""));
}

// Loses the first heartbeats that have a warning and keeps what the others bring.
class LosesSome final : public v1::WorkerService::Service {
 public:
  explicit LosesSome(int lost) : left_(lost) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request, v1::HeartbeatResponse*) override {
    const std::lock_guard lock(mutex_);
    const bool is_lost = request->warnings_size() > 0 && left_-- > 0;
    lost_ += is_lost;
    if (!is_lost) arrived_.insert(arrived_.end(), request->warnings().begin(), request->warnings().end());
    step_ = request->step();
    changed_.notify_all();
    return is_lost ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "starting") : grpc::Status::OK;
  }
  void wait_for_a_lost_one() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return lost_ > 0; });
  }
  // Waits for this many.
  std::vector<std::string> warnings(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, count] { return arrived_.size() >= count; });
    return arrived_;
  }
  std::int64_t step() {
    const std::lock_guard lock(mutex_);
    return step_;
  }

 private:
  std::mutex mutex_;  // guards all to lost_
  std::condition_variable changed_;
  std::vector<std::string> arrived_;
  std::int64_t step_ = 0;
  int left_, lost_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// With the patience of the client, which was 30 s whatever --wait said.
TEST(HeartbeatDeathTest, ARankWithoutAnAnswerForThePatienceOfItsClientEnds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto wait_for_an_answer = [] {
    LosesSome coordinator(1'000'000);
    CoordinatorClient client(coordinator.address(), std::chrono::seconds(1));
    Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 3);
    heartbeat.warn("each heartbeat with it is lost");
    while (true) pause();
  };
  EXPECT_EXIT(wait_for_an_answer(), ::testing::ExitedWithCode(75), "rank 3: .* no answer for 1 s, this rank ends");
}

TEST(Heartbeat, AWarningIsSentUntilItHasArrivedAndThenNoMore) {
  LosesSome coordinator(1);
  CoordinatorClient client(coordinator.address(), kPatience);
  Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 0);
  heartbeat.set_step(41);
  heartbeat.warn("first");
  coordinator.wait_for_a_lost_one();
  heartbeat.warn("second");
  EXPECT_THAT(coordinator.warnings(2), ElementsAre("first", "second"));
  EXPECT_EQ(coordinator.step(), 41);
  heartbeat.warn("third");
  EXPECT_THAT(coordinator.warnings(3), ElementsAre("first", "second", "third"));
}

// Says of the first answers that ranks wait because nothing can be stored.
class HoldsRanks final : public v1::WorkerService::Service {
 public:
  explicit HoldsRanks(int held) : left_(held) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    response->set_command(v1::HeartbeatResponse::COMMAND_CONTINUE);
    response->set_is_held(left_-- > 0);
    response->set_checkpoint_requests(requests_);
    const std::lock_guard lock(mutex_);
    phase_ = request->phase();
    changed_.notify_all();
    return grpc::Status::OK;
  }
  void set_checkpoint_requests(std::int64_t requests) { requests_ = requests; }
  void wait_for_phase(const std::string& phase) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return phase_ == phase; });
  }

 private:
  std::atomic<int> left_;
  std::atomic<std::int64_t> requests_ = 0;
  std::mutex mutex_;  // guards phase_
  std::condition_variable changed_;
  std::string phase_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST(Heartbeat, TellsOfEachAnswerThatRanksWait) {
  constexpr int kHeld = 2;
  HoldsRanks coordinator(kHeld);
  CoordinatorClient client(coordinator.address(), kPatience);
  std::atomic<int> told = 0;
  {
    Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 1, [&told] { ++told; });
    for (const char* phase : {"reading data", "training", "evaluating", "saving"}) {  // each is sent at once
      heartbeat.set_phase(phase);
      coordinator.wait_for_phase(phase);
    }
    heartbeat.check();
  }
  EXPECT_EQ(told, kHeld);
}

// It counted on: the first checkpoints that people asked the next coordinator for were not made.
TEST(Heartbeat, ANextCoordinatorCountsCheckpointsFromTheBeginning) {
  HoldsRanks coordinator(0);
  CoordinatorClient client(coordinator.address(), kPatience);
  Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 0);
  int phase = 0;
  const auto wants_after = [&](std::int64_t requests) {
    coordinator.set_checkpoint_requests(requests);
    for (int beat = 0; beat < 2; ++beat) {  // the second is sent once the answer to the first is known
      const std::string name = "phase " + std::to_string(++phase);
      heartbeat.set_phase(name);
      coordinator.wait_for_phase(name);
    }
    return heartbeat.wants_checkpoint();
  };
  EXPECT_TRUE(wants_after(2));
  heartbeat.checkpoint_begins();
  EXPECT_FALSE(wants_after(2));
  EXPECT_FALSE(wants_after(0)) << "of the next coordinator";
  EXPECT_TRUE(wants_after(1));
  EXPECT_TRUE(wants_after(0)) << "of the one after it, and the checkpoint is not made yet";
  heartbeat.checkpoint_begins();
  EXPECT_FALSE(wants_after(0));
}

TEST(Heartbeat, AWarningIsOneLineOfBoundedLength) {
  LosesSome coordinator(0);
  CoordinatorClient client(coordinator.address(), kPatience);
  Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 0);
  heartbeat.warn("\xff\xfe is not UTF-8");
  heartbeat.warn("a\nb" + std::string(100'000, 'x'));
  const auto arrived = coordinator.warnings(2);
  EXPECT_THAT(arrived[0], HasSubstr("is not UTF-8"));
  EXPECT_THAT(arrived[1], Not(HasSubstr("\n")));
  EXPECT_LT(arrived[1].size(), 1100u);
}

}  // namespace heartbeat_test
}  // namespace equipoise::coordinator

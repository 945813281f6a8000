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

using namespace std::chrono_literals;
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
  heartbeat.set_phase(v1::RANK_PHASE_READING_DATA, "reading the data");
  EXPECT_EQ(job_when([](const auto& job) { return job.phase() == "reading the data"; }).phase(), "reading the data");
  heartbeat.warn("the disk is nearly full\nfree some");
  const auto is_warned = [](const auto& job) { return job.conditions_size() > 0; };
  EXPECT_THAT(job_when(is_warned).conditions(), Contains(HasSubstr("the disk is nearly full")));
  heartbeat.check();  // it goes on
}

TEST_F(HeartbeatTest, TellsWhatTheRankDoesAsTheCoordinatorListsIt) {
  Heartbeat heartbeat(client_, {.job_id = id_, .generation = 1}, 0);
  heartbeat.set_step(7);
  { const RankProgress::InCollective inside(heartbeat.progress(), "broadcast"); }
  heartbeat.set_phase(v1::RANK_PHASE_EVALUATING);
  job_when([](const auto& job) { return job.phase() == "evaluating"; });
  grpc::ClientContext context;
  v1::ListRanksRequest request;
  request.set_id(id_);
  v1::ListRanksResponse ranks;
  ASSERT_TRUE(training_jobs_->ListRanks(&context, request, &ranks).ok());
  ASSERT_GT(ranks.ranks_size(), 0);
  EXPECT_EQ(ranks.ranks(0).phase(), v1::RANK_PHASE_EVALUATING);
  EXPECT_EQ(ranks.ranks(0).step(), 7);
  EXPECT_EQ(ranks.ranks(0).last_collective(), "broadcast");
}

TEST_F(HeartbeatTest, ACancelledJobEndsTheRankAtItsNextStep) {
  Heartbeat heartbeat(client_, {.job_id = id_, .generation = 1}, 0);
  ASSERT_TRUE(cancel(id_).ok());
  heartbeat.set_phase(v1::RANK_PHASE_TRAINING);
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
  std::vector<std::string> arrived() {
    const std::lock_guard lock(mutex_);
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

TEST(Heartbeat, WaitsUntilItsWarningsHaveArrived) {
  LosesSome coordinator(2);
  CoordinatorClient client(coordinator.address(), kPatience);
  Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 0, {}, nullptr, {.interval = 50ms});
  heartbeat.flush();
  heartbeat.warn("of the last step");
  heartbeat.flush();
  EXPECT_THAT(coordinator.arrived(), ElementsAre("of the last step"));
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
    for (const auto phase : {v1::RANK_PHASE_READING_DATA, v1::RANK_PHASE_TRAINING, v1::RANK_PHASE_EVALUATING,
                             v1::RANK_PHASE_SAVING}) {  // each is sent at once
      heartbeat.set_phase(phase);
      coordinator.wait_for_phase(phase_name(phase));
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
      heartbeat.set_phase(v1::RANK_PHASE_TRAINING, name);
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

// Answers heartbeats, or is away, as the test says.
class ComesAndGoes final : public v1::WorkerService::Service {
 public:
  ComesAndGoes() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*, v1::HeartbeatResponse* response) override {
    response->set_command(v1::HeartbeatResponse::COMMAND_CONTINUE);
    const std::lock_guard lock(mutex_);
    if (!is_away_) return grpc::Status::OK;
    ++lost_;
    changed_.notify_all();
    return {grpc::StatusCode::UNAVAILABLE, "away"};
  }
  void go() {
    const std::lock_guard lock(mutex_);
    is_away_ = true;
  }
  void come_back() {
    const std::lock_guard lock(mutex_);
    is_away_ = false;
  }
  void wait_for_lost(int more) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, wanted = lost_ + more] { return lost_ >= wanted; });
  }

 private:
  std::mutex mutex_;  // guards is_away_, lost_
  std::condition_variable changed_;
  bool is_away_ = false;
  int lost_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// The coordinator may have given it up: another attempt may be about to train.
TEST(Heartbeat, ARankWithoutAnswersStopsAtAStepAndGoesOnWithTheNextAnswer) {
  constexpr HeartbeatTimes kTimes{.interval = std::chrono::milliseconds(20), .fresh = std::chrono::milliseconds(100)};
  ComesAndGoes coordinator;
  CoordinatorClient client(coordinator.address(), std::chrono::seconds(600));
  Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 0, {}, nullptr, kTimes);
  std::atomic<bool> is_over = false;
  std::atomic<long> steps = 0;
  std::thread training([&] {
    while (!is_over) {
      heartbeat.check();
      ++steps;
    }
  });
  while (steps < 3) std::this_thread::yield();
  coordinator.go();
  coordinator.wait_for_lost(20);  // 20 ms apart at least: the last answer is not fresh any more
  const long done = steps;
  coordinator.wait_for_lost(20);
  EXPECT_LE(steps, done + 1);
  coordinator.come_back();
  while (steps < done + 3) std::this_thread::yield();
  is_over = true;
  training.join();
}

TEST(HeartbeatDeathTest, ARankThatIsAskedToEndAndHangsIsEnded) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto hang = [] {
    class Ends final : public v1::WorkerService::Service {
      grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*,
                             v1::HeartbeatResponse* response) override {
        response->set_command(v1::HeartbeatResponse::COMMAND_EXIT);
        return grpc::Status::OK;
      }
    } service;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    const auto server = builder.BuildAndStart();
    CoordinatorClient client("127.0.0.1:" + std::to_string(port), kPatience);
    const Heartbeat heartbeat(client, {.job_id = "j", .generation = 1}, 3, {}, nullptr,
                              {.grace = std::chrono::milliseconds(50)});
    while (true) pause();
  };
  EXPECT_EXIT(hang(), ::testing::ExitedWithCode(77), "");
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

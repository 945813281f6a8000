#include "worker/training/weight_sync.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <mutex>

#include "common/ledger/ledger_reader.h"
#include "tests/support/temp_folder.h"
#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace weight_sync_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

RobustSettings settings_with(WeightUpdate update) {
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  settings.step_size = 0.5;
  settings.update = update;
  return settings;
}

GroupWeights weights_with(WeightUpdate update) { return {settings_with(update), {8, 8}, 16}; }

// The coordinator's arithmetic, and an answer that comes when it is asked for.
class HeldCoordinator final : public v1::WorkerService::Service {
 public:
  explicit HeldCoordinator(WeightUpdate update) : weights_(weights_with(update)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  ~HeldCoordinator() override {
    answer();
    server_->Shutdown();
  }

  grpc::Status ReportStep(grpc::ServerContext* /*context*/, const v1::ReportStepRequest* request,
                          v1::ReportStepResponse* response) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return answers_; });
    const GroupSums sums{.group = {request->group().begin(), request->group().end()},
                         .loss_sum = {request->loss_sum().begin(), request->loss_sum().end()},
                         .pair_count = {request->pair_count().begin(), request->pair_count().end()},
                         .batch_pairs = request->batch_pairs()};
    for (const double weight : weights_.step(sums)) response->add_weight(weight * error_);
    for (const double alpha : weights_.alpha_K()) response->add_alpha(alpha);
    return grpc::Status::OK;
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void hold_answers() {
    set([this] { answers_ = false; });
  }
  void answer() {
    set([this] { answers_ = true; });
  }
  void set_trade_off(double trade_off) {
    set([this, trade_off] { weights_.set_trade_off(trade_off); });
  }
  void answer_wrong() {
    set([this] { error_ = std::nextafter(1.0, 2.0); });
  }

 private:
  template <typename Change>
  void set(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool answers_ = true;
  double error_ = 1;
  GroupWeights weights_;
};

const GroupSums kSums{.group = {0, 1}, .loss_sum = {3, 1}, .pair_count = {2, 2}, .batch_pairs = 4};

struct Rank0 {
  explicit Rank0(WeightUpdate update)
      : settings(settings_with(update)), coordinator(update), client(coordinator.address(), std::chrono::seconds(30)) {}

  std::vector<double> step(std::int64_t step) {
    std::vector<double> weight(2);
    sync->step({.step = step, .sums = kSums}, weight);
    return weight;
  }

  RobustSettings settings;
  HeldCoordinator coordinator;
  CoordinatorClient client;
  SingleRank host;
  std::unique_ptr<WeightSync> sync =
      coordinator_weight_sync(client, {.job_id = "j", .generation = 1}, host, settings, {0.5, 0.5}, 0);
};

TEST(CoordinatorWeightSync, WaitsForTheWeightsOfTheStepItself) {
  Rank0 rank(WeightUpdate::kBeforeGradient);
  GroupWeights expected = weights_with(WeightUpdate::kBeforeGradient);
  for (std::int64_t step = 0; step < 3; ++step) {
    EXPECT_EQ(rank.step(step), expected.step(kSums));
    EXPECT_EQ(rank.sync->known_steps(), step + 1);
    EXPECT_EQ(rank.sync->known_alpha_K(), expected.alpha_K());
  }
}

TEST(CoordinatorWeightSync, AfterGradientGoesOnWhileTheAnswerIsOnItsWay) {
  Rank0 rank(WeightUpdate::kAfterGradient);
  GroupWeights expected = weights_with(WeightUpdate::kAfterGradient);
  std::vector<double> known_K = expected.alpha_K();
  for (std::int64_t step = 0; step < 3; ++step) {
    std::vector<double> ahead(2);
    rank.sync->weights_before_losses(kSums.group, ahead);  // waits for the answer to the step before
    rank.coordinator.hold_answers();
    const std::vector<double> weight = rank.step(step);  // returns, though nobody answers
    EXPECT_EQ(rank.sync->known_steps(), step);
    EXPECT_EQ(rank.sync->known_alpha_K(), known_K);
    EXPECT_EQ(weight, expected.step(kSums)) << "step " << step;
    EXPECT_EQ(weight, ahead);
    known_K = expected.alpha_K();
    rank.coordinator.answer();
  }
  rank.sync->wait();
  EXPECT_EQ(rank.sync->known_steps(), 3);
  EXPECT_EQ(rank.sync->known_alpha_K(), known_K);
  EXPECT_GT(known_K[0], 0.6) << "the test is about weights that move";
}

// As a log-linear step, which has its losses when it asks.
TEST(CoordinatorWeightSync, AfterGradientNeedsNoQuestionBefore) {
  Rank0 rank(WeightUpdate::kAfterGradient);
  GroupWeights expected = weights_with(WeightUpdate::kAfterGradient);
  for (std::int64_t step = 0; step < 4; ++step) EXPECT_EQ(rank.step(step), expected.step(kSums)) << "step " << step;
  rank.sync->finish();
  EXPECT_EQ(rank.sync->known_alpha_K(), expected.alpha_K());
}

TEST(CoordinatorWeightSync, ATradeOffThatIsSetHoldsFromTheNextStepOn) {
  for (const WeightUpdate update : {WeightUpdate::kBeforeGradient, WeightUpdate::kAfterGradient}) {
    Rank0 rank(update);
    GroupWeights expected = weights_with(update);
    for (std::int64_t step = 0; step < 4; ++step) {
      if (step == 2) {
        rank.sync->settle();
        v1::TrainingJobSettings settings;
        settings.set_trade_off(0.5);
        rank.sync->apply(settings);
        rank.coordinator.set_trade_off(0.5);
        expected.set_trade_off(0.5);
      }
      EXPECT_EQ(rank.step(step), expected.step(kSums)) << step;
    }
    rank.sync->finish();
  }
}

TEST(CoordinatorWeightSync, EachStepIsInTheLedgerWithTheWeightsThatWereAnswered) {
  for (const WeightUpdate update : {WeightUpdate::kBeforeGradient, WeightUpdate::kAfterGradient}) {
    const TempFolder temp;
    Rank0 rank(update);
    GroupWeights expected = weights_with(update);
    Sha256 weights;
    {
      LedgerWriter ledger(temp / "ledger.bin");
      rank.sync->record_into(ledger);
      for (std::int64_t step = 0; step < 3; ++step) {
        rank.step(step);
        weights.update(std::as_bytes(std::span<const double>(expected.step(kSums))));
      }
      rank.sync->finish();
      rank.sync.reset();
    }
    LedgerReader reader(temp / "ledger.bin");
    LedgerRecord record;
    std::vector<std::int64_t> steps;
    std::string sealed;
    while (reader.next(record)) {
      if (record.kind == LedgerKind::kStep) steps.push_back(step_of_bytes(record.content).step);
      if (record.kind == LedgerKind::kSeal) sealed = record.content.substr(0, 32);
    }
    EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 1, 2}));
    EXPECT_EQ(sealed, byte_text(weights.finish()));
  }
}

// All ranks take the same weights, and none leaves before rank 0 has the last answer.
TEST(CoordinatorWeightSync, GivesRank0sWeightsToAll) {
  for (const WeightUpdate update : {WeightUpdate::kBeforeGradient, WeightUpdate::kAfterGradient}) {
    HeldCoordinator coordinator(update);
    CoordinatorClient client(coordinator.address(), std::chrono::seconds(30));
    const RobustSettings settings = settings_with(update);
    run_ranks(3, [&](Collective& host) {
      const auto sync =
          coordinator_weight_sync(client, {.job_id = "j", .generation = 1}, host, settings, {0.5, 0.5}, 0);
      GroupWeights expected = weights_with(update);
      for (std::int64_t step = 0; step < 3; ++step) {
        std::vector<double> weight(2);
        if (update == WeightUpdate::kAfterGradient) sync->weights_before_losses(kSums.group, weight);
        sync->step({.step = step, .sums = kSums}, weight);
        EXPECT_EQ(weight, expected.step(kSums)) << "step " << step << " on rank " << host.info().rank;
      }
      sync->finish();
    });
  }
}

TEST(CoordinatorWeightSync, AfterGradientNoticesWeightsThatDifferInABit) {
  Rank0 rank(WeightUpdate::kAfterGradient);
  rank.coordinator.answer_wrong();
  rank.step(7);
  EXPECT_THAT([&] { rank.sync->finish(); },
              ThrowsMessage<std::runtime_error>(HasSubstr("step 7: the weight of group 0 is 0.5 here and 0.50000")));
}

}  // namespace weight_sync_test
}  // namespace equipoise

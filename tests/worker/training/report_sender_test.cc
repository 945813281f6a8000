#include "worker/training/report_sender.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "common/ledger/ledger_reader.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace report_sender_test {

using testing::HasSubstr;

constexpr double kWeight = 0.3;
constexpr std::size_t kGroups = 6;

// Answers kWeight for every group, but for one step: what a coordinator with another arithmetic would do, which the
// real one never does.
class OtherCoordinator final : public v1::WorkerService::Service {
 public:
  explicit OtherCoordinator(std::int64_t other_step) : other_step_(other_step) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  grpc::Status ReportSteps(grpc::ServerContext* /*context*/, const v1::ReportStepsRequest* request,
                           v1::ReportStepsResponse* response) override {
    std::unique_lock lock(mutex_);
    asked_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return answers_; });
    longest_ = std::max(longest_, request->steps_size());
    for (const v1::ReportStepRequest& step : request->steps()) {
      if (step.step() != next_step_++) return {grpc::StatusCode::OUT_OF_RANGE, "not the next step"};
      const double weight = step.step() == other_step_ ? std::nextafter(kWeight, 1.0) : kWeight;
      for (int i = 0; i < step.group_size(); ++i) response->add_weight(weight);
    }
    return grpc::Status::OK;
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::int64_t steps() {
    const std::lock_guard lock(mutex_);
    return next_step_;
  }
  int longest_message() {
    const std::lock_guard lock(mutex_);
    return longest_;
  }
  // Answers no message until answer(), and none is looked at before.
  void hold_answers() {
    const std::lock_guard lock(mutex_);
    answers_ = false;
  }
  void wait_until_asked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return asked_; });
  }
  void answer() {
    const std::lock_guard lock(mutex_);
    answers_ = true;
    changed_.notify_all();
  }

 private:
  const std::int64_t other_step_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool asked_ = false, answers_ = true;
  std::int64_t next_step_ = 0;
  int longest_ = 0;
};

void add_steps(ReportSender& sender, std::int64_t steps) {
  const GroupSums sums{.group = {2, 5}, .loss_sum = {1, 2}, .pair_count = {1, 1}, .batch_pairs = 2};
  const std::vector<double> weight = {kWeight, kWeight};
  for (std::int64_t step = 0; step < steps; ++step) sender.add({.step = step, .sums = sums}, weight);
  sender.finish();
}

TEST(ReportSender, EveryStepArrivesOnceAndInOrder) {
  OtherCoordinator coordinator(-1);
  CoordinatorClient client(coordinator.address(), std::chrono::seconds(30));
  ReportSender sender(client, {.job_id = "j", .generation = 1}, kGroups);
  add_steps(sender, 20000);
  EXPECT_EQ(coordinator.steps(), 20000);
}

TEST(ReportSender, StepsThatWereAnsweredAreInTheLedger) {
  const TempFolder temp;
  {
    OtherCoordinator coordinator(-1);
    CoordinatorClient client(coordinator.address(), std::chrono::seconds(30));
    LedgerWriter ledger(temp / "ledger.bin");
    ReportSender sender(client, {.job_id = "j", .generation = 1}, kGroups);
    sender.record_into(ledger);
    add_steps(sender, 5000);
  }
  LedgerReader reader(temp / "ledger.bin");
  LedgerRecord record;
  std::int64_t steps = 0;
  while (reader.next(record)) {
    if (record.kind != LedgerKind::kStep) continue;
    const StoredStep step = step_of_bytes(record.content);
    ASSERT_EQ(step.step, steps++);
    EXPECT_EQ(step.sums.group, (std::vector<std::uint32_t>{2, 5}));
    EXPECT_EQ(step.sums.loss_sum, (std::vector<double>{1, 2}));
  }
  EXPECT_EQ(steps, 5000);
  EXPECT_EQ(reader.sealed().bytes, static_cast<std::int64_t>(std::filesystem::file_size(temp / "ledger.bin")));
}

// Each step on record has numbers of all groups.
TEST(ReportSender, MessagesOfManyGroupsHaveFewSteps) {
  OtherCoordinator coordinator(-1);
  CoordinatorClient client(coordinator.address(), std::chrono::seconds(30));
  ReportSender sender(client, {.job_id = "j", .generation = 1}, 4096);
  add_steps(sender, 2000);
  EXPECT_EQ(coordinator.steps(), 2000);
  EXPECT_LE(coordinator.longest_message(), 256);
}

TEST(ReportSender, OneBitOfDifferenceIsNamedByStepAndGroup) {
  OtherCoordinator coordinator(777);
  CoordinatorClient client(coordinator.address(), std::chrono::seconds(30));
  ReportSender sender(client, {.job_id = "j", .generation = 1}, kGroups);
  try {
    add_steps(sender, 20000);
    FAIL() << "the difference was not noticed";
  } catch (const std::runtime_error& difference) {
    EXPECT_THAT(difference.what(), HasSubstr("step 777: the weight of group 2 is 0.3 here and 0.30000000000000004"));
  }
}

// Whether the thread waits for another: no lock is fought for here.
bool is_asleep(pid_t thread) {
  std::string text;
  std::getline(std::ifstream("/proc/self/task/" + std::to_string(thread) + "/stat"), text);
  return text.at(text.rfind(')') + 2) == 'S';
}

TEST(ReportSender, WhatIsNotSentIsLeftOutWhenTheRunEnds) {
  OtherCoordinator coordinator(-1);
  coordinator.hold_answers();
  CoordinatorClient client(coordinator.address(), std::chrono::seconds(30));
  const GroupSums sums{.group = {0}, .loss_sum = {1}, .pair_count = {1}, .batch_pairs = 1};
  std::jthread answering;
  {
    ReportSender sender(client, {.job_id = "j", .generation = 1}, kGroups);
    sender.add({.step = 0, .sums = sums}, std::vector<double>{kWeight});
    coordinator.wait_until_asked();
    // These wait while the first is under way.
    for (std::int64_t step = 1; step < 10; ++step) {
      sender.add({.step = step, .sums = sums}, std::vector<double>{kWeight});
    }
    answering = std::jthread([&coordinator, ending = ::gettid()] {
      while (!is_asleep(ending)) std::this_thread::yield();  // until it ends the sender
      coordinator.answer();
    });
  }
  EXPECT_EQ(coordinator.steps(), 1);
}

}  // namespace report_sender_test
}  // namespace equipoise

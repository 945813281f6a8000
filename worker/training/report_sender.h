// Carries the reports of many steps to the coordinator in one message after the other, while the steps go on.
#pragma once

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "common/ledger/ledger_writer.h"
#include "common/robust/step_weights.h"
#include "worker/training/attempt.h"

namespace equipoise {

// What rank 0 tells the coordinator of one step, without the attempt.
v1::ReportStepRequest step_request(const ReportedStep& report);

// The same as the ledger has it; the views are of `request` and `weight`.
LedgerStep ledger_step(const v1::ReportStepRequest& request, std::span<const double> weight);

// Throws std::runtime_error unless the weight of the i-th group of `step` is the same here as at the coordinator, bit
// by bit.
void check_same_weight(const v1::ReportStepRequest& step, int i, double here, double there);

// While a message travels the next one fills, so that messages are as long as the coordinator is slow. Compares the
// answered weights with those the rank has gone on with. Used by one thread.
class ReportSender {
 public:
  // `client` outlives it. num_groups  K, of the job
  ReportSender(CoordinatorClient& client, AttemptId attempt, std::size_t num_groups);
  // Leaves out what is not sent yet.
  ~ReportSender();
  ReportSender(const ReportSender&) = delete;
  ReportSender& operator=(const ReportSender&) = delete;

  // weight: what this rank computed, in the order of the groups reported. Waits only while the coordinator is thousands
  // of steps behind. Throws what an earlier message failed with: std::runtime_error where a weight differs in a bit,
  // and what CoordinatorClient throws.
  //   state  after the step, where a block of the ledger may end (is_block_end)
  void add(const ReportedStep& report, std::span<const double> weight, std::optional<GroupWeightsState> state = {});
  // Returns when every answer has come and agreed. Throws as add().
  void finish();
  // Before the first step: those that are answered are written into it. It outlives this.
  void record_into(LedgerWriter& ledger);

 private:
  struct Message {
    v1::ReportStepsRequest request;
    std::vector<double> weight;                        // expected in the answer
    std::map<std::int64_t, GroupWeightsState> states;  // by steps done
    bool full(std::size_t most_steps) const;
    void clear();
  };
  void run();
  void send(const Message& message, LedgerWriter* ledger);

  CoordinatorClient& client_;
  const AttemptId attempt_;
  const std::size_t most_steps_;  // of a message
  std::mutex mutex_;              // guards all below
  std::condition_variable changed_;
  Message filling_;
  LedgerWriter* ledger_ = nullptr;
  bool sending_ = false;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace equipoise

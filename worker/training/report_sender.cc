#include "worker/training/report_sender.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/protocol/report_limits.h"

namespace equipoise {
namespace {

// Far below the 4 MiB that a message may have: a step of one group takes about 70 bytes, each further group 20.
constexpr std::size_t kMostSteps = 4096;
constexpr std::size_t kMostWeights = 65536;

void check_weights(const v1::ReportStepsRequest& request, std::span<const double> here, std::span<const double> there) {
  if (here.size() != there.size()) {
    throw PeerError("the coordinator answered " + std::to_string(request.steps_size()) + " steps with " +
                    std::to_string(there.size()) + " weights, expected " + std::to_string(here.size()));
  }
  std::size_t next = 0;
  for (const v1::ReportStepRequest& step : request.steps()) {
    for (int i = 0; i < step.group_size(); ++i, ++next) check_same_weight(step, i, here[next], there[next]);
  }
}

}  // namespace

v1::ReportStepRequest step_request(const ReportedStep& report) {
  v1::ReportStepRequest request;
  request.set_step(report.step);
  request.mutable_group()->Add(report.sums.group.begin(), report.sums.group.end());
  request.mutable_loss_sum()->Add(report.sums.loss_sum.begin(), report.sums.loss_sum.end());
  request.mutable_pair_count()->Add(report.sums.pair_count.begin(), report.sums.pair_count.end());
  request.set_batch_pairs(report.sums.batch_pairs);
  request.mutable_non_finite_group()->Add(report.non_finite.begin(), report.non_finite.end());
  return request;
}

LedgerStep ledger_step(const v1::ReportStepRequest& request, std::span<const double> weight) {
  const auto view = [](const auto& list) { return std::span(list.data(), static_cast<std::size_t>(list.size())); };
  return {.step = request.step(),
          .group = view(request.group()),
          .loss_sum = view(request.loss_sum()),
          .pair_count = view(request.pair_count()),
          .batch_pairs = request.batch_pairs(),
          .skipped = view(request.non_finite_group()),
          .weight = weight};
}

void check_same_weight(const v1::ReportStepRequest& step, int i, double here, double there) {
  if (std::bit_cast<std::uint64_t>(here) == std::bit_cast<std::uint64_t>(there)) return;
  throw std::runtime_error("step " + std::to_string(step.step()) + ": the weight of group " +
                           std::to_string(step.group(i)) + " is " + number_text(here) + " here and " +
                           number_text(there) +
                           " at the coordinator, expected the same bits; are coordinator and "
                           "worker of one version, and their machines of one kind?");
}

bool ReportSender::Message::full(std::size_t most_steps) const {
  return static_cast<std::size_t>(request.steps_size()) >= most_steps || weight.size() >= kMostWeights;
}

void ReportSender::Message::clear() {
  request.clear_steps();
  weight.clear();
  states.clear();
}

ReportSender::ReportSender(CoordinatorClient& client, AttemptId attempt, std::size_t num_groups)
    : client_(client),
      attempt_(std::move(attempt)),
      most_steps_(std::min(kMostSteps, most_reported_steps(num_groups))),
      thread_([this] { run(); }) {}

ReportSender::~ReportSender() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReportSender::add(const ReportedStep& report, std::span<const double> weight,
                       std::optional<GroupWeightsState> state) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || !filling_.full(most_steps_); });
  if (failure_) std::rethrow_exception(failure_);
  const bool was_empty = filling_.request.steps().empty();
  *filling_.request.add_steps() = step_request(report);
  filling_.weight.insert(filling_.weight.end(), weight.begin(), weight.end());
  if (state) filling_.states.emplace(report.step + 1, std::move(*state));
  const bool must_wake = was_empty && !sending_;
  lock.unlock();
  if (must_wake) changed_.notify_all();
}

void ReportSender::record_into(LedgerWriter& ledger) {
  const std::lock_guard lock(mutex_);
  ledger_ = &ledger;
}

void ReportSender::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || (!sending_ && filling_.request.steps().empty()); });
  if (failure_) std::rethrow_exception(failure_);
}

void ReportSender::run() {
  Message message;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !filling_.request.steps().empty(); });
    if (stopping_) return;
    std::swap(message, filling_);
    sending_ = true;
    LedgerWriter* const ledger = ledger_;
    lock.unlock();
    changed_.notify_all();
    std::exception_ptr failure;
    try {
      message.request.set_job_id(attempt_.job_id);
      message.request.set_generation(attempt_.generation);
      send(message, ledger);
    } catch (...) {
      failure = std::current_exception();  // for the thread that adds
    }
    message.clear();
    lock.lock();
    sending_ = false;
    failure_ = failure;
    if (failure_ || filling_.request.steps().empty()) changed_.notify_all();
    if (failure_) return;
  }
}

void ReportSender::send(const Message& message, LedgerWriter* ledger) {
  const v1::ReportStepsResponse answer = client_.report_steps(message.request);
  check_weights(message.request, message.weight,
                {answer.weight().data(), static_cast<std::size_t>(answer.weight_size())});
  if (ledger == nullptr) return;
  std::span<const double> weight = message.weight;
  for (const v1::ReportStepRequest& step : message.request.steps()) {
    const auto groups = static_cast<std::size_t>(step.group_size());
    ledger->step(ledger_step(step, weight.first(groups)));
    weight = weight.subspan(groups);
    const auto state = message.states.find(step.step() + 1);
    if (state != message.states.end()) ledger->close_block(step.step() + 1, state->second);
  }
  ledger->write_if_late();
}

}  // namespace equipoise

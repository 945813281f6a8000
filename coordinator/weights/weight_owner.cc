#include "coordinator/weights/weight_owner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/base/sha256.h"
#include "coordinator/weights/report_format.h"

namespace equipoise::coordinator {
namespace {

[[noreturn]] void refuse(std::int64_t step, const std::string& what) {
  throw std::invalid_argument("step " + std::to_string(step) + ": " + what);
}

void check_length(const v1::ReportStepRequest& request, const char* field, int length) {
  if (length == request.group_size()) return;
  refuse(request.step(), std::string(field) + " has " + std::to_string(length) +
                             " values, expected one for each of the " + std::to_string(request.group_size()) +
                             " groups in group");
}

std::vector<std::uint32_t> check_ids(std::int64_t step, const char* field,
                                     const google::protobuf::RepeatedField<std::uint32_t>& ids,
                                     std::size_t num_groups) {
  for (int i = 0; i < ids.size(); ++i) {
    const std::string where = std::string(field) + "[" + std::to_string(i) + "] is " + std::to_string(ids[i]);
    if (ids[i] >= num_groups) refuse(step, where + ", expected a group id below " + std::to_string(num_groups));
    if (i > 0 && ids[i] <= ids[i - 1]) refuse(step, where + ", expected group ids in ascending order, each once");
  }
  return {ids.begin(), ids.end()};
}

// Each number as 64 bits.
template <typename Numbers>
void add_wide(Sha256& sha256, const Numbers& numbers) {
  sha256.add_number(static_cast<std::uint64_t>(numbers.size()));
  for (const auto number : numbers) {
    if constexpr (std::is_same_v<decltype(number), const double>) {
      sha256.add_number(number);
    } else {
      sha256.add_number(std::uint64_t{number});
    }
  }
}

}  // namespace

StepReport check_step_report(const v1::ReportStepRequest& request, const std::vector<std::string>& group_names) {
  const std::int64_t step = request.step();
  check_length(request, "loss_sum", request.loss_sum_size());
  check_length(request, "pair_count", request.pair_count_size());
  StepReport report;
  report.sums.group = check_ids(step, "group", request.group(), group_names.size());
  report.non_finite_group = check_ids(step, "non_finite_group", request.non_finite_group(), group_names.size());
  if (report.sums.group.empty() && report.non_finite_group.empty())
    refuse(step, "group is empty, expected at least one");

  for (int i = 0; i < request.group_size(); ++i) {
    const std::string of_group = " of group \"" + group_names[request.group(i)] + "\" is ";
    const double pair_count = request.pair_count(i);
    const bool is_finite_group = !std::ranges::binary_search(report.non_finite_group, request.group(i));
    const double loss_sum = is_finite_group ? request.loss_sum(i) : 0.0;
    if (!std::isfinite(loss_sum)) {
      refuse(step, "loss_sum" + of_group + number_text(loss_sum) +
                       ", expected a finite number or the group in non_finite_group");
    }
    if (!std::isfinite(pair_count) || pair_count <= 0) {
      refuse(step, "pair_count" + of_group + number_text(pair_count) + ", expected a finite number > 0");
    }
    report.sums.loss_sum.push_back(loss_sum);
    report.sums.pair_count.push_back(pair_count);
  }
  report.sums.batch_pairs = request.batch_pairs();
  if (!std::isfinite(report.sums.batch_pairs) || report.sums.batch_pairs <= 0) {
    refuse(step, "batch_pairs is " + number_text(report.sums.batch_pairs) + ", expected a finite number > 0");
  }
  return report;
}

std::string step_digest(const v1::ReportStepRequest& request) {
  Sha256 sha256;
  sha256.add_number(std::int64_t{request.step()});
  add_wide(sha256, request.group());
  add_wide(sha256, request.loss_sum());
  add_wide(sha256, request.pair_count());
  sha256.add_number(request.batch_pairs());
  add_wide(sha256, request.non_finite_group());
  return byte_text(sha256.finish());
}

namespace {

constexpr double kUnknownLoss = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kResultDigestBytes = 16;
constexpr std::size_t kRowBytes = 110;               // of a step, besides its report
constexpr std::size_t kBytesPerState = 4;            // of steps, for one byte of state
constexpr std::size_t kStateBytesBesideGroups = 70;  // of the state's own row

std::string result_digest_of(const GroupWeightsState& state, const std::vector<double>& weight) {
  Sha256 sha256;
  sha256.add_list(weight);
  sha256.add_list(state.log_alpha_K);
  // Which bits a NaN has is nobody's choice.
  for (const double loss : state.group_loss_K) sha256.add_number(std::isnan(loss) ? kUnknownLoss : loss);
  sha256.add_number(state.step_size.step_size);
  sha256.add_number(state.step_size.best);
  sha256.add_number(std::int64_t{state.step_size.waited});
  return byte_text(sha256.finish()).substr(0, kResultDigestBytes);
}

v1::WeightState message_of_state(const GroupWeightsState& now, std::int64_t steps) {
  v1::WeightState state;
  state.set_steps(steps);
  state.mutable_log_alpha()->Add(now.log_alpha_K.begin(), now.log_alpha_K.end());
  state.mutable_group_loss()->Add(now.group_loss_K.begin(), now.group_loss_K.end());
  state.mutable_step_size()->set_step_size(now.step_size.step_size);
  state.mutable_step_size()->set_best(now.step_size.best);
  state.mutable_step_size()->set_waited(now.step_size.waited);
  return state;
}

template <typename Numbers>
std::span<const double> span_of(const Numbers& numbers) {
  return {numbers.data(), static_cast<std::size_t>(numbers.size())};
}

}  // namespace

WeightOwner::WeightOwner(RobustSettings settings, GroupTable groups, double num_pairs)
    : groups_(std::move(groups)),
      first_trade_off_(settings.trade_off),
      weights_(std::move(settings), groups_.pair_count_K, num_pairs) {}

void WeightOwner::set_changes(std::vector<WeightChange> changes) {
  GroupWeights checked = weights_;
  for (const WeightChange& change : changes) {
    if (change.trade_off) checked.set_trade_off(*change.trade_off);
    if (change.step_size) checked.set_step_size(*change.step_size);
  }
  changes_ = std::move(changes);
  weights_.set_trade_off(trade_off_before(next_step_));
}

// That of the steps below `step`, which no state has.
double WeightOwner::trade_off_before(std::int64_t step) const {
  double trade_off = first_trade_off_;
  for (const WeightChange& change : changes_) {
    if (change.steps_done < step) trade_off = change.trade_off.value_or(trade_off);
  }
  return trade_off;
}

void WeightOwner::apply_changes(std::int64_t step, GroupWeights& weights) const {
  const auto change = std::ranges::lower_bound(changes_, step, {}, &WeightChange::steps_done);
  if (change == changes_.end() || change->steps_done != step) return;
  if (change->trade_off) weights.set_trade_off(*change->trade_off);
  if (change->step_size) weights.set_step_size(*change->step_size);
}

StepRecord WeightOwner::prepare(const v1::ReportStepRequest& request) const {
  const StepReport report = check_step_report(request, groups_.names);
  StepRecord record{.request = request,
                    .digest = step_digest(request),
                    .weight = std::vector<double>(report.sums.group.size()),
                    .log_alpha_K = {},
                    .group_loss_K = {}};
  record.request.clear_job_id();
  GroupWeights after = weights_;
  apply_changes(request.step(), after);
  after.step(report.sums, report.non_finite_group, record.weight);
  GroupWeightsState state = after.state();
  record.result_digest = result_digest_of(state, record.weight);
  if (is_state_due(record.request)) record.state = message_of_state(state, request.step() + 1).SerializeAsString();
  record.log_alpha_K = std::move(state.log_alpha_K);
  record.group_loss_K = std::move(state.group_loss_K);
  // What is stored can be loaded: a record that restore() refuses would be found at the next start only.
  if (const std::string fault = record_fault(record); !fault.empty()) {
    refuse(request.step(),
           "loss_sum, pair_count and batch_pairs are too extreme for weights to follow from them: " + fault);
  }
  return record;
}

bool WeightOwner::is_state_due(const v1::ReportStepRequest& request) const {
  const std::int64_t steps = steps_to_replay_ + 1;
  if (steps < kFewestReplayedSteps) return false;
  if (steps >= kMostReplayedSteps) return true;
  const std::size_t numbers = weights_.log_alpha_K().size() + weights_.group_loss_K().size();
  const std::size_t state_bytes = kStateBytesBesideGroups + numbers * sizeof(double);
  return bytes_to_replay_ + kRowBytes + encoded_report(request).size() >= kBytesPerState * state_bytes;
}

void WeightOwner::move_past(const StepRecord& record) {
  next_step_ = record.request.step() + 1;
  const bool has_state = !record.state.empty();
  steps_to_replay_ = has_state ? 0 : steps_to_replay_ + 1;
  bytes_to_replay_ = has_state ? 0 : bytes_to_replay_ + kRowBytes + encoded_report(record.request).size();
}

void WeightOwner::accept(const StepRecord& record) {
  EQUIPOISE_CHECK(record.request.step() >= next_step_);
  apply_changes(record.request.step(), weights_);
  weights_.restore(record.log_alpha_K, record.group_loss_K);
  move_past(record);
  if (!record.request.non_finite_group().empty()) return;
  weights_.observe(span_of(record.request.loss_sum()), span_of(record.request.pair_count()));
}

std::string WeightOwner::record_fault(const StepRecord& record) const {
  if (record.weight.size() != static_cast<std::size_t>(record.request.group_size())) {
    return "it has " + std::to_string(record.weight.size()) + " weights of " +
           std::to_string(record.request.group_size()) + " groups";
  }
  if (!std::ranges::all_of(record.weight, [](double weight) { return std::isfinite(weight); }))
    return "one of its weights is not finite";
  return weights_.restore_fault(record.log_alpha_K, record.group_loss_K);
}

v1::WeightState WeightOwner::state() const { return message_of_state(weights_.state(), next_step_); }

void WeightOwner::restore(const v1::WeightState& state) {
  weights_.restore(GroupWeightsState{.log_alpha_K = {state.log_alpha().begin(), state.log_alpha().end()},
                                     .group_loss_K = {state.group_loss().begin(), state.group_loss().end()},
                                     .step_size = {.step_size = state.step_size().step_size(),
                                                   .best = state.step_size().best(),
                                                   .waited = state.step_size().waited()}});
  next_step_ = state.steps();
  weights_.set_trade_off(trade_off_before(next_step_));
  steps_to_replay_ = 0;
  bytes_to_replay_ = 0;
}

void WeightOwner::advance(const v1::ReportStepRequest& request) {
  replay({.request = request, .digest = {}, .weight = {}, .log_alpha_K = {}, .group_loss_K = {}});
}

StepRecord WeightOwner::replay(StepRecord record) {
  if (record.request.step() != next_step_) {
    refuse(record.request.step(), "it is on record where step " + std::to_string(next_step_) + " is to be");
  }
  const StepReport report = check_step_report(record.request, groups_.names);
  record.weight.resize(report.sums.group.size());
  apply_changes(next_step_, weights_);
  weights_.step(report.sums, report.non_finite_group, record.weight);
  move_past(record);
  if (record.result_digest.empty()) return record;
  record.log_alpha_K = weights_.log_alpha_K();
  record.group_loss_K = weights_.group_loss_K();
  if (result_digest_of(weights_.state(), record.weight) == record.result_digest) return record;
  refuse(record.request.step(),
         "its report gives other weights than those on record: the record is damaged, or another machine or version of "
         "the program made it");
}

std::vector<double> WeightOwner::alpha_at(const std::vector<double>& log_alpha_K) const {
  GroupWeights then = weights_;
  then.restore(log_alpha_K, weights_.group_loss_K());
  return then.alpha_K();
}

}  // namespace equipoise::coordinator

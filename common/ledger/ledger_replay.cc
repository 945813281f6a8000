#include "common/ledger/ledger_replay.h"

#include <algorithm>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/config/group_settings.h"
#include "common/config/job_file.h"

namespace equipoise {
namespace {

void check_sizes(const LedgerStart& start) {
  const std::size_t groups = start.group_names.size();
  if (groups == 0) throw std::invalid_argument("groups is empty, expected the names of the groups");
  for (const auto& [field, size] :
       {std::pair("counted", start.counted_K.size()), std::pair("population", start.population_K.size()),
        std::pair("log_alpha", start.weights.log_alpha_K.size())}) {
    if (size == groups) continue;
    throw std::invalid_argument(std::string(field) + " has " + std::to_string(size) + " numbers, expected " +
                                std::to_string(groups));
  }
}

}  // namespace

JobConfig config_of_job(const std::string& job) {
  v1::JobSpec spec;
  merge_job_text("the job in the ledger", job, spec);
  return make_job_config(spec);
}

LedgerReplay::LedgerReplay(const LedgerStart& start, const RobustConfig& config)
    : steps_done_(start.first_step), mean_loss_K_(start.group_names.size()) {
  check_sizes(start);
  RobustSettings settings =
      robust_settings_for(config, start.group_names, start.label_floor_K, {start.counted_K, start.counted_pairs});
  first_trade_off_ = settings.trade_off;
  weights_.emplace(std::move(settings), start.population_K, start.population_pairs);
  weights_->restore(start.weights);
}

void LedgerReplay::step(StoredStep step) {
  if (step.step != steps_done_) {
    throw std::invalid_argument("step is " + std::to_string(step.step + 1) + ", expected " +
                                std::to_string(steps_done_ + 1));
  }
  std::ranges::fill(mean_loss_K_, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < step.sums.group.size(); ++i) {
    const std::uint32_t group = step.sums.group[i];
    if (group >= mean_loss_K_.size()) {
      throw std::invalid_argument("group is " + std::to_string(group) + ", expected less than " +
                                  std::to_string(mean_loss_K_.size()));
    }
    if (step.skipped.empty()) mean_loss_K_[group] = step.sums.loss_sum[i] / step.sums.pair_count[i];
    // As the coordinator reads a report.
    if (std::ranges::binary_search(step.skipped, group)) step.sums.loss_sum[i] = 0;
  }
  weight_.resize(step.sums.group.size());
  weights_->step(step.sums, step.skipped, weight_);
  digest_.update(std::as_bytes(std::span(weight_)));
  ++steps_done_;
}

void LedgerReplay::block(const LedgerBlock& block) {
  if (block.first_step != steps_done_) {
    throw std::invalid_argument("first_step is " + std::to_string(block.first_step) + ", expected " +
                                std::to_string(steps_done_));
  }
  go_on_from(block.first_step + block.steps, block.weights);
}

void LedgerReplay::go_on_from(std::int64_t steps_done, const GroupWeightsState& weights) {
  weights_->restore(weights);
  steps_done_ = steps_done;
  std::ranges::fill(mean_loss_K_, std::numeric_limits<double>::quiet_NaN());
}

void LedgerReplay::change(const LedgerSettings& settings) {
  if (settings.step != steps_done_) {
    throw std::invalid_argument("step is " + std::to_string(settings.step) + ", expected " +
                                std::to_string(steps_done_));
  }
  if (settings.settings.contains("trade_off")) {
    weights_->set_trade_off(double_at(settings.settings, "trade_off"));
  }
  if (settings.settings.contains("step_size")) weights_->set_step_size(double_at(settings.settings, "step_size"));
}

void LedgerReplay::begin_job() { weights_->set_trade_off(first_trade_off_); }

Digest LedgerReplay::take_weights_digest() { return std::exchange(digest_, Sha256()).finish(); }

}  // namespace equipoise

#include "worker/training/run_shares.h"

#include <exception>
#include <utility>

namespace equipoise {

bool keeps_pair_shares(const JobConfig& config) {
  return config.logging.pair_shares_mib > 0 && config.robust.settings.mode == RobustMode::kGroupRobust;
}

RunShares::RunShares(const JobConfig& config, const TrainedPolicy& policy, const WeightSync& weights,
                     spdlog::logger& log, const DiskPatience& patience)
    : weights_(weights), log_(log), alpha_K_(weights.known_alpha_K()) {
  constexpr int kMibBits = 20;
  const GroupedData& data = policy.data();
  guarded([&] {
    patience([&] {
      writer_.emplace(config.output,
                      SharesHeader{.budget = std::int64_t{config.logging.pair_shares_mib} << kMibBits,
                                   .groups = {data.group_names.begin(), data.group_names.end()},
                                   .files = policy.share_files()},
                      weights.known_steps());
    });
    writer_->set_patience(patience);
  });
}

template <class Use>
void RunShares::guarded(const Use& use) {
  try {
    use();
  } catch (const AttemptEnded&) {  // while it waited for room
    throw;
  } catch (const std::exception& failure) {
    log_.warn("{}; which pairs moved the group weights is not kept from here on", failure.what());
    writer_.reset();
    waiting_.clear();
  }
}

void RunShares::step_done(std::int64_t steps_done, std::vector<GroupShares> groups) {
  if (!writer_) return;
  waiting_.push_back({steps_done, std::move(groups)});
  take_known();
}

void RunShares::write() {
  if (!writer_) return;
  take_known();
  if (writer_) guarded([this] { writer_->write_open(); });
}

// Of a step whose alpha is not known alone: a step before it is known by then.
void RunShares::take_known() {
  if (waiting_.empty() || waiting_.front().step > weights_.known_steps()) return;
  Waiting done = std::move(waiting_.front());
  waiting_.pop_front();
  std::vector<double> alpha_K = weights_.known_alpha_K();
  for (GroupShares& group : done.groups) {
    group.step = done.step;
    group.alpha_before = alpha_K_[group.group];
    group.alpha_after = alpha_K[group.group];
  }
  alpha_K_ = std::move(alpha_K);
  guarded([&] { writer_->add(done.step, std::move(done.groups)); });
}

}  // namespace equipoise

#include "experiments/bandits/bandit_run.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>

#include "common/log_linear/evaluation.h"
#include "common/robust/worst_group.h"
#include "experiments/bandits/duality_gap.h"

namespace equipoise::reproduce {
namespace {

using namespace log_linear;

constexpr int kCheckpointsPerDecade = 12;
constexpr int kGapsPerDecade = 8;  // each is a convex problem of its own

std::vector<Preference> draw(const Problem& problem, const Scenario& scenario, std::uint64_t seed, Split split) {
  GeneratorSettings settings;
  settings.responses = scenario.responses;
  const auto& sizes = split == Split::kTrain ? scenario.train_sizes_K : kEvaluationSizes;
  settings.group_sizes_K.assign(sizes.begin(), sizes.end());
  settings.seed = split_seed(seed, split);
  return generate_preferences(problem, settings);
}

class Bench {
 public:
  Bench(const Scenario& scenario, const BanditOptions& options, std::uint64_t seed)
      : scenario_(scenario),
        options_(options),
        seed_(seed),
        problem_(paper_problem(options.features, seed)),
        train_(make_pair_matrix(problem_, draw(problem_, scenario, seed, Split::kTrain))),
        validation_(make_pair_matrix(problem_, draw(problem_, scenario, seed, Split::kValidation))),
        rewards_(problem_, draw(problem_, scenario, seed, Split::kTest)) {}

  Trajectory trajectory(const RunSettings& run, std::string_view name) const {
    GroupLossEvaluator losses(validation_, run.engine.loss);
    Trajectory checkpoints;
    follow(run, name, kCheckpointsPerDecade,
           [&](const Engine& engine) { checkpoints.push_back(checkpoint(engine, losses)); });
    return checkpoints;
  }

  Checkpoint at_end(const RunSettings& run, std::string_view name) const {
    GroupLossEvaluator losses(validation_, run.engine.loss);
    Engine engine(train_, problem_.initial_theta_D, run.engine);
    engine.run(length(run));
    check_finite(engine, name);
    return checkpoint(engine, losses);
  }

  GapTrajectory gaps(const RunSettings& run, std::string_view name) const {
    GapTrajectory points;
    follow(run, name, kGapsPerDecade, [&](const Engine& engine) {
      if (engine.steps() == 0) return;
      const DualityGap gap = duality_gap(train_, run.engine.loss, engine.average_theta_D(), engine.average_weight_K(),
                                         run.engine.robust.trade_off, run.engine.theta.projection_radius);
      if (!gap.converged)
        throw std::runtime_error(where(name) + ": the inner minimum of the duality gap was not found");
      points.push_back({engine.steps(), gap.primal, gap.dual, gap.gap});
    });
    return points;
  }

 private:
  std::int64_t length(const RunSettings& run) const {
    return options_.most_iterations == 0 ? run.iterations : std::min(run.iterations, options_.most_iterations);
  }

  template <class Look>
  void follow(const RunSettings& run, std::string_view name, int per_decade, Look look) const {
    Engine engine(train_, problem_.initial_theta_D, run.engine);
    for (const std::int64_t iteration : log_spaced_iterations(length(run), per_decade)) {
      engine.run(iteration - engine.steps());
      look(engine);
    }
    check_finite(engine, name);
  }

  Checkpoint checkpoint(const Engine& engine, GroupLossEvaluator& losses) const {
    return {engine.steps(), losses.group_loss_K(engine.theta_D()), rewards_.report(engine.theta_D()).reward_error_K,
            engine.alpha_K()};
  }

  void check_finite(const Engine& engine, std::string_view name) const {
    if (engine.skipped_steps() == 0) return;
    throw std::runtime_error(where(name) + ": the loss was not finite in " + std::to_string(engine.skipped_steps()) +
                             " of " + std::to_string(engine.steps()) + " steps");
  }

  std::string where(std::string_view name) const {
    return std::string(scenario_.name) + ", " + std::string(name) + ", seed " + std::to_string(seed_);
  }

  const Scenario& scenario_;
  const BanditOptions& options_;
  std::uint64_t seed_;
  Problem problem_;
  PairMatrix train_;
  PairMatrix validation_;
  RewardEvaluator rewards_;
};

std::vector<Checkpoint> trade_off_ends(const Bench& bench, const Scenario& scenario, Family family,
                                       const Checkpoint& paper_end) {
  std::vector<Checkpoint> ends;
  for (const double trade_off : kTradeOffs) {
    ends.push_back(trade_off == 1.0 ? paper_end
                                    : bench.at_end(trade_off_settings(scenario, family, trade_off), "trade-off"));
  }
  return ends;
}

}  // namespace

double max_validation_loss(const Checkpoint& checkpoint) { return worst_group_loss(checkpoint.validation_loss_K); }

double mean_validation_loss(const Checkpoint& checkpoint) {
  const std::vector<double>& loss_K = checkpoint.validation_loss_K;
  return std::accumulate(loss_K.begin(), loss_K.end(), 0.0) / static_cast<double>(loss_K.size());
}

double max_reward_error(const Checkpoint& checkpoint) {
  return *std::max_element(checkpoint.reward_error_K.begin(), checkpoint.reward_error_K.end());
}

BanditRun run_bandit(const Scenario& scenario, const BanditOptions& options, std::uint64_t seed) {
  const Bench bench(scenario, options, seed);
  BanditRun run{.seed = seed, .methods = {}, .trade_off = {}, .gaps = {}};
  for (const Method method : kMethods) {
    run.methods.push_back(bench.trajectory(method_settings(scenario, method), method_name(method)));
  }
  for (const Family family : {Family::kDpo, Family::kIpo}) {
    const Trajectory& paper = run.methods[static_cast<std::size_t>(robust_method(family))];
    run.trade_off.push_back(trade_off_ends(bench, scenario, family, paper.back()));
  }
  for (const GapMethod method : kGapMethods) {
    run.gaps.push_back(bench.gaps(gap_settings(scenario, method), gap_method_name(method)));
  }
  return run;
}

namespace {

constexpr std::uint64_t kMostSeeds = 10000;
using log_linear::kLargestSplitSeed;
constexpr std::size_t kMostThreads = 1024;

void check_options(const BanditOptions& options, std::size_t threads) {
  // One seed has no spread, so nothing could be said about differences.
  if (options.seeds < 2 || options.seeds > kMostSeeds) {
    throw std::invalid_argument("seeds is " + std::to_string(options.seeds) + ", expected 2 to 10000");
  }
  if (options.first_seed > kLargestSplitSeed) {
    throw std::invalid_argument("first-seed is " + std::to_string(options.first_seed) + ", expected at most " +
                                std::to_string(kLargestSplitSeed));
  }
  if (options.most_iterations < 0) {
    throw std::invalid_argument("iterations is " + std::to_string(options.most_iterations) +
                                ", expected at least 1, or 0 for the published numbers");
  }
  if (threads < 1 || threads > kMostThreads) {
    throw std::invalid_argument("jobs is " + std::to_string(threads) + ", expected 1 to 1024");
  }
}

// Hands out data sets, the longest scenarios first so that no thread is left with one at the end.
class Queue {
 public:
  Queue(BanditResults& results, const Progress& progress) : results_(results), progress_(progress) {
    const std::span<const Scenario> scenarios = paper_scenarios();
    for (std::size_t s = 0; s < scenarios.size(); ++s) order_.push_back(s);
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return scenarios[a].dpo_iterations > scenarios[b].dpo_iterations;
    });
  }

  void work() {
    const std::size_t seeds = results_.options.seeds;
    for (std::size_t task = next_++; task < all(); task = next_++) {
      try {
        const std::size_t scenario = order_[task / seeds];
        const std::size_t index = task % seeds;
        BanditRun run = run_bandit(paper_scenarios()[scenario], results_.options, results_.options.first_seed + index);
        finish(scenario, index, std::move(run));
      } catch (...) {
        fail(std::current_exception());
      }
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::size_t all() const { return order_.size() * results_.options.seeds; }

  void finish(std::size_t scenario, std::size_t index, BanditRun run) {
    const std::lock_guard lock(mutex_);
    results_.runs[scenario][index] = std::move(run);
    ++done_;
    if (progress_) progress_(done_, all());
  }

  void fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    next_ = all();
  }

  std::vector<std::size_t> order_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  BanditResults& results_;      // runs: under mutex_
  const Progress& progress_;    // under mutex_
  std::size_t done_ = 0;        // under mutex_
  std::exception_ptr failure_;  // under mutex_
};

}  // namespace

BanditResults run_bandits(const BanditOptions& options, std::size_t threads, const Progress& progress) {
  check_options(options, threads);
  BanditResults results{options, {}};
  results.runs.assign(paper_scenarios().size(), std::vector<BanditRun>(options.seeds));
  Queue queue(results, progress);
  {
    std::vector<std::jthread> workers;
    for (std::size_t i = 1; i < threads; ++i) workers.emplace_back([&queue] { queue.work(); });
    queue.work();
  }
  queue.rethrow();
  return results;
}

}  // namespace equipoise::reproduce

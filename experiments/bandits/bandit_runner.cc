#include "experiments/bandits/bandit_runner.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

namespace equipoise::reproduce {
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

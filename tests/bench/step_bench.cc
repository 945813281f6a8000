// Seconds, kernels and copies of a training step on the CPU, by its number of micro-batches: what docs/performance.md
// shows. equipoise_step_bench [rounds]
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/bench/bench_decoder.h"
#include "tests/worker/support/operator_counts.h"
#include "tests/worker/support/owned_pair.h"
#include "worker/collective/cpu_collective.h"
#include "worker/language_model/step.h"

namespace equipoise {
namespace {

constexpr std::int64_t kPairs = 24, kGroups = 4, kPromptTokens = 60, kAnswerTokens = 20;
constexpr std::int64_t kPairTokens = kPromptTokens + 2 * kAnswerTokens;
constexpr std::int32_t kVocabulary = kBenchVocabulary;
constexpr std::array<std::int64_t, 3> kMicroBatches = {1, 4, 12};

// No two share anything.
EncodedPairs random_pairs() {
  std::mt19937 random(1);
  const auto words = [&](std::int64_t count) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
    for (std::int32_t& id : ids) id = std::uniform_int_distribution(3, kVocabulary - 1)(random);
    return ids;
  };
  std::vector<OwnedPair> pairs;
  for (std::int64_t i = 0; i < kPairs; ++i) {
    pairs.push_back({.prompt_ids = words(kPromptTokens),
                     .chosen_ids = words(kAnswerTokens),
                     .rejected_ids = words(kAnswerTokens),
                     .memberships = {{.group = static_cast<std::uint32_t>(i % kGroups), .weight = 1}}});
  }
  return encoded(pairs);
}

class StepBench {
 public:
  explicit StepBench(int rounds) : rounds_(rounds) {}

  void run(Collective& ranks) {
    const Decoder policy = bench_decoder();
    const EncodedPairs pairs = random_pairs();
    const AnswerLogProbs reference =
        compute_log_probs(policy, {.pairs = pairs, .token_budget = 4096, .ranks = ranks, .whose = "the reference"});
    GradientBuckets gradients(policy.trained(), ranks, std::size_t{25} << 20);
    const std::int64_t steps = std::ssize(kMicroBatches) * (rounds_ + 2);
    Optimizer optimizer({}, policy.trained(), steps);
    ShardCursor cursor(
        {.shuffle = false, .num_pairs = kPairs, .global_batch_size = kPairs, .world_size = 1, .end_step = steps});
    RobustSettings robust;
    robust.mode = RobustMode::kGroupRobust;
    robust.step_size = 0.1;
    const std::vector<double> pair_count_K(kGroups, static_cast<double>(kPairs) / kGroups);
    OwnStepWeights weights(GroupWeights(robust, pair_count_K, static_cast<double>(kPairs)));
    const LossConfig loss;
    StepParts parts{.inputs = {.decoder = policy, .loss = loss, .pairs = pairs, .reference = reference},
                    .robust = robust,
                    .group_pair_count_K = pair_count_K,
                    .micro_batch_tokens = kPairs * kPairTokens,
                    .cursor = cursor,
                    .host = ranks,
                    .gradients = gradients,
                    .optimizer = optimizer,
                    .weights = weights};
    for (std::size_t i = 0; i < kMicroBatches.size(); ++i) step(parts, i);  // plans and allocates
    for (int round = 0; round < rounds_; ++round) {
      for (std::size_t i = 0; i < kMicroBatches.size(); ++i) seconds_[i].push_back(step(parts, i));
    }
    for (std::size_t i = 0; i < kMicroBatches.size(); ++i) {
      const OperatorCounter counter;
      step(parts, i);
      print(i, counter.counts());
    }
  }

 private:
  double step(StepParts& parts, std::size_t i) {
    parts.micro_batch_tokens = kPairs / kMicroBatches[i] * kPairTokens;
    const auto start = std::chrono::steady_clock::now();
    train_step(parts, step_++);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  void print(std::size_t i, const OperatorCounts& counts) {
    std::vector<double>& seconds = seconds_[i];
    std::ranges::sort(seconds);
    std::printf("%2lld micro-batches of %lld pairs: %.4f s (%.4f to %.4f), median of %d\n",
                static_cast<long long>(kMicroBatches[i]), static_cast<long long>(kPairs / kMicroBatches[i]),
                seconds[seconds.size() / 2], seconds.front(), seconds.back(), rounds_);
    std::printf(
        "   %lld packed batches, %lld kernels, %lld of them copies; between host and device: %lld lists of "
        "ids, %lld of numbers, %lld back\n",
        static_cast<long long>(counts.different_token_lists()), static_cast<long long>(counts.kernels),
        static_cast<long long>(counts.copies), static_cast<long long>(counts.indices_to_device),
        static_cast<long long>(counts.floats_to_device), static_cast<long long>(counts.floats_to_host));
  }

  int rounds_;
  std::int64_t step_ = 0;
  std::array<std::vector<double>, kMicroBatches.size()> seconds_;
};

}  // namespace
}  // namespace equipoise

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 7;
  equipoise::run_ranks(1, [&](equipoise::Collective& ranks) { equipoise::StepBench(rounds).run(ranks); });
}

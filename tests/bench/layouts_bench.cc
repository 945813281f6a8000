// Pairs per second of a training step's forward and backward pass, by how a batch is laid out: what docs/performance.md
// shows. equipoise_layouts_bench [rounds]
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <random>
#include <string>

#include "tests/bench/bench_decoder.h"
#include "tests/worker/support/owned_pair.h"
#include "tests/worker/support/separate_sequences.h"
#include "worker/model/log_prob.h"

namespace equipoise {
namespace {

constexpr std::int32_t kVocabulary = kBenchVocabulary, kEnd = 1, kFirstWord = 1000;

class RandomTexts {
 public:
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }
  std::vector<std::int32_t> words(std::int64_t least, std::int64_t most) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(between(least, most)));
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(between(kFirstWord, kVocabulary - 1));
    return ids;
  }

 private:
  std::mt19937_64 random_{1};
};

// Four questions of about 150 tokens, six people's opinions on each: one of five letters is chosen, another rejected.
std::vector<OwnedPair> survey() {
  RandomTexts texts;
  std::vector<OwnedPair> pairs;
  for (int question = 0; question < 4; ++question) {
    const auto prompt = texts.words(120, 180);
    for (int person = 0; person < 6; ++person) {
      const auto chosen = static_cast<std::int32_t>(texts.between(0, 4));
      const auto rejected = static_cast<std::int32_t>((chosen + texts.between(1, 4)) % 5);
      pairs.push_back({.prompt_ids = prompt,
                       .chosen_ids = {10 + chosen, kEnd},
                       .rejected_ids = {10 + rejected, kEnd},
                       .memberships = {}});
    }
  }
  return pairs;
}

// Twelve questions of about 60 tokens, two answers of about 100 to each.
std::vector<OwnedPair> chat() {
  RandomTexts texts;
  std::vector<OwnedPair> pairs;
  for (int question = 0; question < 12; ++question) {
    pairs.push_back({.prompt_ids = texts.words(40, 80),
                     .chosen_ids = texts.words(60, 140),
                     .rejected_ids = texts.words(60, 140),
                     .memberships = {}});
  }
  return pairs;
}

// The same lengths, but no two pairs share anything.
std::vector<OwnedPair> unlike(std::vector<OwnedPair> pairs) {
  for (std::size_t b = 0; b < pairs.size(); ++b) pairs[b].prompt_ids.front() = kEnd + 1 + static_cast<std::int32_t>(b);
  return pairs;
}

struct Layout {
  std::string name;
  std::function<PackedBatch()> pack;
  std::vector<double> seconds = {};
  std::int64_t tokens = 0;

  double median() const {
    std::vector<double> sorted = seconds;
    std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2));
    return sorted[sorted.size() / 2];
  }
};

void measure(const Decoder& decoder, Layout& layout) {
  const auto start = std::chrono::steady_clock::now();
  const PackedBatch batch = layout.pack();
  const PairLogProbs log_probs = pair_log_probs(decoder, batch);
  (-torch::log_sigmoid(0.1 * (log_probs.chosen_B - log_probs.rejected_B))).mean().backward();
  layout.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  layout.tokens = batch.token_T.size(0);
  for (const NamedTensor& parameter : decoder.parameters()) parameter.tensor.mutable_grad() = torch::Tensor();
}

// The layouts take turns, so that whatever else the machine does meets them all.
void compare(const Decoder& decoder, const std::string& what, const std::vector<OwnedPair>& owned_pairs, int rounds) {
  const EncodedPairs pairs = encoded(owned_pairs), unlike_pairs = encoded(unlike(owned_pairs));
  std::vector<std::int64_t> all(pairs.size());
  std::iota(all.begin(), all.end(), std::int64_t{0});
  std::array<Layout, 4> layouts = {
      {{"padded", [&] { return separate_sequences(pairs, all, SequencePadding::kToLongest); }},
       {"packed", [&] { return separate_sequences(pairs, all, SequencePadding::kNone); }},
       {"prefix-shared", [&] { return pack_pairs(unlike_pairs, all, torch::kCPU); }},
       {"shared across pairs", [&] { return pack_pairs(pairs, all, torch::kCPU); }}}};
  for (Layout& layout : layouts) measure(decoder, layout);
  for (Layout& layout : layouts) layout.seconds.clear();
  for (int round = 0; round < rounds; ++round) {
    for (Layout& layout : layouts) measure(decoder, layout);
  }
  std::printf("%s: %zu pairs, median of %d\n", what.c_str(), pairs.size(), rounds);
  const auto count = static_cast<double>(pairs.size());
  for (const Layout& layout : layouts) {
    const auto [fastest, slowest] = std::ranges::minmax(layout.seconds);
    std::printf("  %-20s %8.1f pairs/s (%.1f to %.1f)  %6.1f tokens/pair  x %.2f (tokens: x %.2f)\n",
                layout.name.c_str(), count / layout.median(), count / slowest, count / fastest,
                static_cast<double>(layout.tokens) / count, layouts[0].median() / layout.median(),
                static_cast<double>(layouts[0].tokens) / static_cast<double>(layout.tokens));
  }
}

}  // namespace
}  // namespace equipoise

int main(int argc, char** argv) {
  using namespace equipoise;
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 7;
  const Decoder decoder = bench_decoder();
  compare(decoder, "survey-like", survey(), rounds);
  compare(decoder, "chat-like", chat(), rounds);
}

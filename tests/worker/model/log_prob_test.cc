#include "worker/model/log_prob.h"

#include <gtest/gtest.h>

#include "tests/worker/support/golden_model.h"

namespace equipoise {
namespace log_prob_test {

// So many rows that they make several chunks: 2^24 / V = 512 at a time.
constexpr std::int64_t kRows = 1100, kVocabulary = 32768, kHidden = 3;

struct Head {
  torch::Tensor hidden_CH, weight_VH, target_C, upstream_C;
};

Head random_head(std::int64_t rows, std::int64_t vocabulary) {
  torch::manual_seed(7);
  const auto wide = torch::kFloat64;
  return {.hidden_CH = torch::randn({rows, kHidden}, wide).requires_grad_(),
          .weight_VH = torch::randn({vocabulary, kHidden}, wide).requires_grad_(),
          .target_C = torch::randint(vocabulary, {rows}, torch::kInt64),
          .upstream_C = torch::randn({rows}, wide)};
}

torch::Tensor plain(const Head& head) {
  return torch::log_softmax(head.hidden_CH.mm(head.weight_VH.t()), 1).gather(1, head.target_C.unsqueeze(1)).squeeze(1);
}

void expect_equal(const Head& head) {
  const torch::Tensor ours_C = token_log_probs(head.hidden_CH, head.weight_VH, head.target_C), plain_C = plain(head);
  EXPECT_LT(largest_difference(ours_C, plain_C), 1e-12);
  const auto ours = torch::autograd::grad({ours_C}, {head.hidden_CH, head.weight_VH}, {head.upstream_C});
  const auto expected = torch::autograd::grad({plain_C}, {head.hidden_CH, head.weight_VH}, {head.upstream_C});
  EXPECT_LT(largest_difference(ours[0], expected[0]), 1e-11);
  EXPECT_LT(largest_difference(ours[1], expected[1]), 1e-11);
}

TEST(TokenLogProbs, HaveTheGradientOfPlainLogSoftmax) { expect_equal(random_head(5, 11)); }

TEST(TokenLogProbs, HaveTheSameGradientInSeveralChunks) { expect_equal(random_head(kRows, kVocabulary)); }

TEST(TokenLogProbs, HaveTheGradientOfCappedLogits) {
  const Head head = random_head(5, 11);
  const double cap = 0.7;
  const torch::Tensor ours_C = token_log_probs(head.hidden_CH, head.weight_VH, head.target_C, cap);
  const torch::Tensor capped_CV = cap * torch::tanh(head.hidden_CH.mm(head.weight_VH.t()) / cap);
  const torch::Tensor plain_C = torch::log_softmax(capped_CV, 1).gather(1, head.target_C.unsqueeze(1)).squeeze(1);
  EXPECT_LT(largest_difference(ours_C, plain_C), 1e-12);
  const auto ours = torch::autograd::grad({ours_C}, {head.hidden_CH, head.weight_VH}, {head.upstream_C});
  const auto expected = torch::autograd::grad({plain_C}, {head.hidden_CH, head.weight_VH}, {head.upstream_C});
  EXPECT_LT(largest_difference(ours[0], expected[0]), 1e-12);
  EXPECT_LT(largest_difference(ours[1], expected[1]), 1e-12);
}

// Formed from logits that are there for a few rows at a time, whether the head is trained or frozen.
void expect_statistics(const Head& head, std::optional<double> cap) {
  HeadStatistics statistics;
  token_log_probs(head.hidden_CH, head.weight_VH, head.target_C, cap, &statistics);
  torch::Tensor logits_CV = head.hidden_CH.mm(head.weight_VH.t());
  if (cap) logits_CV = *cap * torch::tanh(logits_CV / *cap);
  const torch::Tensor log_p_CV = torch::log_softmax(logits_CV, 1);
  EXPECT_LT(largest_difference(statistics.entropy_C, -(log_p_CV.exp() * log_p_CV).sum(1)), 1e-12);
  EXPECT_LT(largest_difference(statistics.mean_logit_C, logits_CV.mean(1)), 1e-12);
  const torch::Tensor is_first_C = logits_CV.argmax(1).eq(head.target_C).to(torch::kFloat64);
  EXPECT_LT(largest_difference(statistics.is_first_C, is_first_C), 1e-12);
  EXPECT_FALSE(statistics.entropy_C.requires_grad());
}

TEST(TokenLogProbs, ShowEntropyMeanLogitAndLikeliestTokens) {
  expect_statistics(random_head(40, 3), std::nullopt);
  expect_statistics(random_head(40, 3), 0.7);
  Head frozen = random_head(kRows, kVocabulary);
  frozen.weight_VH = frozen.weight_VH.detach();
  expect_statistics(frozen, std::nullopt);
}

TEST(TokenLogProbs, AgreeWithFiniteDifferences) {
  const Head head = random_head(3, 5);
  const auto value = [&](const torch::Tensor& hidden_CH) {
    return (token_log_probs(hidden_CH, head.weight_VH, head.target_C) * head.upstream_C).sum();
  };
  const torch::Tensor gradient = torch::autograd::grad({value(head.hidden_CH)}, {head.hidden_CH})[0];
  constexpr double kStep = 1e-6;
  for (std::int64_t i = 0; i < head.hidden_CH.numel(); ++i) {
    torch::Tensor shift = torch::zeros_like(head.hidden_CH.detach());
    shift.view({-1})[i] = kStep;
    const torch::Tensor difference = value(head.hidden_CH + shift) - value(head.hidden_CH - shift);
    EXPECT_NEAR(difference.item<double>() / (2 * kStep), gradient.view({-1})[i].item<double>(), 1e-8);
  }
}

TEST(TokenLogProbs, GiveAFrozenHeadNoGradient) {
  for (Head head : {random_head(5, 11), random_head(kRows, kVocabulary)}) {
    const auto expected = torch::autograd::grad({plain(head)}, {head.hidden_CH}, {head.upstream_C})[0];
    head.weight_VH = head.weight_VH.detach();
    token_log_probs(head.hidden_CH, head.weight_VH, head.target_C).backward(head.upstream_C);
    EXPECT_LT(largest_difference(head.hidden_CH.grad(), expected), 1e-11);
    EXPECT_FALSE(head.weight_VH.grad().defined());
  }
}

TEST(TokenLogProbs, StayFiniteForLogitsThatOverflowWhenExponentiated) {
  const torch::Tensor hidden = torch::tensor({{1e4}}, torch::kFloat32), weight = torch::tensor({{1.f}, {-1.f}});
  const torch::Tensor log_probs = token_log_probs(hidden, weight, torch::tensor({1}, torch::kInt64));
  EXPECT_EQ(log_probs.item<float>(), -2e4f);
}

TEST(TokenLogProbs, TakeNoRows) {
  const Head head = random_head(0, 11);
  const torch::Tensor log_probs = token_log_probs(head.hidden_CH, head.weight_VH, head.target_C);
  EXPECT_EQ(log_probs.size(0), 0);
  log_probs.sum().backward();
  EXPECT_EQ(head.weight_VH.grad().abs().sum().item<double>(), 0);
}

class GoldenLogProbs : public ::testing::TestWithParam<const char*> {};

// 1e-5 relative: sums of up to 100 float32 terms; transformers' fused and eager attention differ as much.
TEST_P(GoldenLogProbs, AreThoseOfTransformers) {
  const std::string family = GetParam();
  const auto golden = read_json(golden_file("pairs.json", family))["pairs"];
  const PackedBatch batch = pack_all(golden_pairs(family));
  for (const std::string model : {"policy", "reference"}) {
    const Decoder decoder = golden_decoder(model == "policy" ? policy_of(family) : reference_of(family));
    const PairLogProbs ours = pair_log_probs(decoder, batch);
    for (std::size_t b = 0; b < golden.size(); ++b) {
      const double chosen = golden[b][model + "_chosen_logp"], rejected = golden[b][model + "_rejected_logp"];
      const auto row = static_cast<std::int64_t>(b);
      EXPECT_NEAR(ours.chosen_B[row].item<double>(), chosen, 1e-5 * std::abs(chosen)) << model << " " << b;
      EXPECT_NEAR(ours.rejected_B[row].item<double>(), rejected, 1e-5 * std::abs(rejected)) << model << " " << b;
      EXPECT_EQ(batch.answer_tokens_B2[row][0].item<std::int64_t>(), golden[b]["chosen_tokens"]);
      EXPECT_EQ(batch.answer_tokens_B2[row][1].item<std::int64_t>(), golden[b]["rejected_tokens"]);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Families, GoldenLogProbs, ::testing::ValuesIn(kGoldenFamilies),
                         [](const auto& family) { return std::string(family.param); });

TEST(PairLogProbs, AreZeroForAnAnswerThatIsNotThere) {
  const Decoder decoder = golden_decoder(kPolicy);
  const PackedBatch batch =
      pack_all({{.prompt_ids = {2, 5}, .chosen_ids = {7, 1}, .rejected_ids = {}, .memberships = {}}});
  const PairLogProbs log_probs = pair_log_probs(decoder, batch);
  EXPECT_EQ(log_probs.rejected_B.item<float>(), 0);
  EXPECT_LT(log_probs.chosen_B.item<float>(), 0);
}

TEST(PairLogProbs, LeaveOutTheFirstTokenAfterAnEmptyPrompt) {
  const Decoder decoder = golden_decoder(kPolicy, torch::kFloat64);
  const PackedBatch empty =
      pack_all({{.prompt_ids = {}, .chosen_ids = {7, 1}, .rejected_ids = {7}, .memberships = {}}});
  const PackedBatch prompt = pack_all({{.prompt_ids = {7}, .chosen_ids = {1}, .rejected_ids = {}, .memberships = {}}});
  const PairLogProbs log_probs = pair_log_probs(decoder, empty);
  EXPECT_NEAR(log_probs.chosen_B.item<double>(), pair_log_probs(decoder, prompt).chosen_B.item<double>(), 1e-12);
  EXPECT_EQ(log_probs.rejected_B.item<double>(), 0);
}

}  // namespace log_prob_test
}  // namespace equipoise

#include "worker/language_model/pair_forward.h"

#include <gtest/gtest.h>

#include "tests/worker/support/golden_model.h"
#include "worker/data/prompt_trees.h"

namespace equipoise {
namespace pair_forward_test {

using Numbers = std::vector<double>;

Numbers numbers_of(const torch::Tensor& tensor) {
  const torch::Tensor host = tensor.to(torch::kFloat64).contiguous();
  return {host.const_data_ptr<double>(), host.const_data_ptr<double>() + host.numel()};
}

// Six golden pairs in two groups, with a reference that is told apart from every other number.
class SixPairs : public ::testing::Test {
 protected:
  SixPairs() {
    std::vector<OwnedPair> six = owned(golden_pairs());
    six.resize(6);
    for (std::size_t i = 0; i < six.size(); ++i) {
      six[i].memberships = {{.group = static_cast<std::uint32_t>(i % 2), .weight = 1}};
      reference_.chosen_N.push_back(-10 - static_cast<double>(i));
      reference_.rejected_N.push_back(-20 - static_cast<double>(i));
    }
    pairs_ = encoded(six);
    loss_.label_noise = {{"noisy", 0.25}};
  }

  ForwardInputs inputs() const {
    return {.decoder = policy_, .loss = loss_, .pairs = pairs_, .reference = reference_, .label_noise = &noise()};
  }
  const LabelNoise& noise() const {
    static const std::vector<std::string> names = {"clean", "noisy"};
    if (!noise_) noise_.emplace(loss_, names);
    return *noise_;
  }
  PairBatch batch(const ForwardInputs& given, const std::optional<DropoutDraw>& dropout = {}) const {
    const std::vector<std::int64_t> some = {4, 1, 2};
    return make_pair_batch(given, {.indices = some, .trees = trees_of(pairs_, some)}, dropout);
  }

  Decoder policy_ = golden_decoder(kPolicy);
  LossConfig loss_;
  EncodedPairs pairs_;
  AnswerLogProbs reference_;
  mutable std::optional<LabelNoise> noise_;
};

TEST_F(SixPairs, HaveTheirOwnReferenceAndLabelNoiseInABatch) {
  const PairBatch made = batch(inputs());
  EXPECT_EQ(numbers_of(made.reference.chosen_B), (Numbers{-14, -11, -12}));
  EXPECT_EQ(numbers_of(made.reference.rejected_B), (Numbers{-24, -21, -22}));
  EXPECT_EQ(numbers_of(made.label_noise_B), (Numbers{0, 0.25, 0}));
  EXPECT_EQ(made.reference.chosen_B.scalar_type(), torch::kFloat32);
  EXPECT_EQ(made.packed.num_pairs, 3);
}

// Dropout makes the policy another than the reference.
TEST_F(SixPairs, NeedNoReferenceWhereThePolicyIsIt) {
  ForwardInputs at_start = inputs();
  at_start.policy_is_reference = true;
  EXPECT_FALSE(batch(at_start).reference.chosen_B.defined());
  EXPECT_EQ(numbers_of(batch(at_start).label_noise_B), (Numbers{0, 0.25, 0}));
  EXPECT_TRUE(batch(at_start, DropoutDraw{.seed = 1, .step = 1}).reference.chosen_B.defined());
  for (const PairOutcome& outcome : forward_pairs(at_start, batch(at_start), 1).outcomes) {
    EXPECT_EQ(outcome.chosen_reward, 0);
  }
}

TEST_F(SixPairs, HaveTheSameLossesInEveryPass) {
  const ForwardInputs given = inputs();
  const PairBatch made = batch(given);
  const PairForward first = forward_pairs(given, made, 0.5, TokenNumbers::kMeasured);
  const torch::Tensor again_B = forward_losses(given, made, 0.5);
  EXPECT_TRUE(again_B.requires_grad());
  EXPECT_EQ(numbers_of(again_B.detach()), numbers_of(first.loss_B.detach()));
  ASSERT_EQ(first.outcomes.size(), 3u);
  for (std::size_t b = 0; b < 3; ++b) {
    EXPECT_EQ(first.outcomes[b].loss, numbers_of(again_B.detach())[b]);
    EXPECT_EQ(first.outcomes[b].nll, 0);
    EXPECT_TRUE(first.outcomes[b].answers.has_value());
  }
}

}  // namespace pair_forward_test
}  // namespace equipoise

#include "worker/objective/pair_loss.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/worker/support/golden_model.h"

namespace equipoise {
namespace pair_loss_test {

const LossConfig kDpo{.beta = 0.1};
const LossConfig kSmoothed{.beta = 0.1, .label_smoothing = 0.1};
const LossConfig kIpo{.type = LossType::kIpo, .beta = 0.1};
const LossConfig kHinge{.type = LossType::kHinge, .beta = 0.1};
const LossConfig kRobust{.type = LossType::kRobust, .beta = 0.1, .label_smoothing = 0.1};
const LossConfig kIpoByToken{.type = LossType::kIpo, .beta = 0.1, .length_normalized = true};

const std::map<std::string, LossConfig> kVariants = {{"dpo", kDpo},
                                                     {"dpo_ls0.1", kSmoothed},
                                                     {"ipo_sum", kIpo},
                                                     {"ipo_trl", kIpoByToken},
                                                     {"robust_trl_ls0.1", kRobust}};

torch::Tensor pair_loss(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference,
                        const torch::Tensor& answer_tokens_B2) {
  return pair_losses(loss, policy, reference, {.answer_tokens_B2 = answer_tokens_B2, .label_noise_B = {}}).loss_B;
}

// Log-probs as pairs.json of each family has them, so that the loss alone is compared.
class GoldenPairs : public ::testing::TestWithParam<std::string> {
 protected:
  torch::Tensor column(const std::string& name) const {
    std::vector<double> values;
    for (const auto& pair : golden_["pairs"]) values.push_back(pair[name]);
    return torch::tensor(values, torch::kFloat64);
  }
  PairLogProbs log_probs(const std::string& model) const {
    return {.chosen_B = column(model + "_chosen_logp"), .rejected_B = column(model + "_rejected_logp")};
  }
  torch::Tensor answer_tokens_B2() const {
    return torch::stack({column("chosen_tokens"), column("rejected_tokens")}, 1).to(torch::kInt64);
  }
  const nlohmann::json golden_ = read_json("golden/lm/golden/" + GetParam() + "/pairs.json");
};

// float32 log-probs up to 800 have an ulp of 6e-5; (h - 5)^2 near 0 loses the rest, see golden/README.md.
TEST_P(GoldenPairs, HaveTheLossesOfTrlAndOfTheAuthors) {
  ASSERT_TRUE(golden_["losses"].contains("robust_trl_ls0.1") && golden_["losses"].contains("ipo_trl"));
  for (const auto& [name, expected] : golden_["losses"].items()) {
    ASSERT_TRUE(kVariants.contains(name)) << name;
    const torch::Tensor loss_B =
        pair_loss(kVariants.at(name), log_probs("policy"), log_probs("reference"), answer_tokens_B2());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double value = expected[i];
      EXPECT_NEAR(loss_B[static_cast<std::int64_t>(i)].item<double>(), value, 1e-5 * std::abs(value) + 1e-4)
          << name << ", pair " << i;
    }
    const double mean = golden_["mean_loss"][name];
    EXPECT_NEAR(loss_B.mean().item<double>(), mean, 1e-5 * mean) << name;
  }
}

TEST_P(GoldenPairs, HaveTheRewardsOfTrl) {
  const PairRewards rewards = pair_rewards(kDpo, log_probs("policy"), log_probs("reference"));
  EXPECT_LT(largest_difference(rewards.chosen_B, column("chosen_reward")), 1e-5);
  EXPECT_LT(largest_difference(rewards.rejected_B, column("rejected_reward")), 1e-5);
}

PairLogProbs of(double chosen, double rejected) {
  return {.chosen_B = torch::tensor({chosen}, torch::kFloat64),
          .rejected_B = torch::tensor({rejected}, torch::kFloat64)};
}
const torch::Tensor kOneTokenEach = torch::ones({1, 2}, torch::kInt64);

// loss.label_noise of all pairs is TRL's robust loss.
TEST_P(GoldenPairs, HaveTrlsRobustLossByLabelNoiseToo) {
  const torch::Tensor loss_B =
      pair_losses(kDpo, log_probs("policy"), log_probs("reference"),
                  {.answer_tokens_B2 = answer_tokens_B2(), .label_noise_B = torch::full({16}, 0.1, torch::kFloat64)})
          .loss_B;
  const std::vector<double> expected = golden_["losses"]["robust_trl_ls0.1"];
  EXPECT_LT(largest_difference(loss_B, torch::tensor(expected, torch::kFloat64)), 2e-4);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenPairs, ::testing::Values("gemma", "llama", "qwen3"),
                         [](const auto& family) { return family.param; });

// Values of h on both sides of every kink, and everywhere between.
torch::Tensor margins() { return torch::linspace(-60, 60, 241, torch::kFloat64); }

const std::vector<LossConfig> kLossesOfMargin = {kDpo, kSmoothed, kIpo, kHinge, kRobust};

TEST(LossOfMargin, OfHingeIsWhatIsMissingToAMarginOfOneOverBeta) {
  const torch::Tensor h = margins(), loss = loss_of_margin(kHinge, h);
  for (std::int64_t i = 0; i < h.numel(); ++i) {
    EXPECT_DOUBLE_EQ(loss[i].item<double>(), std::max(0.0, 1 - 0.1 * h[i].item<double>()));
  }
}

TEST(LossOfMargin, HasTheGradientOfItsDifferenceQuotients) {
  constexpr double kStep = 1e-5;
  const torch::Tensor noise = torch::full_like(margins(), 0.3);
  for (const LossConfig& loss : kLossesOfMargin) {
    for (const bool is_noisy : {false, true}) {
      const auto value = [&](const torch::Tensor& h) {
        return is_noisy ? loss_of_margin(loss, h, noise) : loss_of_margin(loss, h);
      };
      torch::Tensor h = (margins() + 0.123).requires_grad_();  // beside the kink of hinge
      value(h).sum().backward();
      const torch::Tensor at = h.detach(), quotient = (value(at + kStep) - value(at - kStep)) / (2 * kStep);
      EXPECT_LT(largest_difference(h.grad(), quotient), 1e-6);
    }
  }
}

TEST(LossOfMargin, WithoutLabelNoiseIsThePlainLoss) {
  const torch::Tensor h = margins();
  for (const LossConfig& loss : kLossesOfMargin) {
    EXPECT_TRUE(torch::equal(loss_of_margin(loss, h, torch::zeros_like(h)), loss_of_margin(loss, h)));
  }
  const LossConfig no_noise{.type = LossType::kRobust, .beta = 0.1};
  EXPECT_TRUE(torch::equal(loss_of_margin(no_noise, h), loss_of_margin(kDpo, h)));
}

// Of a flipped label the policy is asked for -h.
TEST(LossOfMargin, OverFlippedLabelsTheCorrectedLossHasTheMeanOfTheRightOnes) {
  const torch::Tensor h = margins();
  for (const LossConfig& loss : {kDpo, kSmoothed, kIpo}) {
    for (const double noise : {0.01, 0.3, 0.49}) {
      const torch::Tensor noise_of_all = torch::full_like(h, noise);
      const torch::Tensor mean =
          (1 - noise) * loss_of_margin(loss, h, noise_of_all) + noise * loss_of_margin(loss, -h, noise_of_all);
      const torch::Tensor expected = loss_of_margin(loss, h);
      EXPECT_LT((mean - expected).abs().div(1 + expected.abs()).max().item<double>(), 1e-11);
    }
  }
}

TEST(PairLoss, IgnoresTheReferenceWhenReferenceFree) {
  LossConfig loss = kDpo;
  loss.reference_free = true;
  // -log sigmoid(0.1 * (-2 - -3)) = log(1 + exp(-0.1))
  EXPECT_DOUBLE_EQ(pair_loss(loss, of(-2, -3), of(-70, -1), kOneTokenEach).item<double>(), std::log1p(std::exp(-0.1)));
  EXPECT_DOUBLE_EQ(pair_rewards(loss, of(-2, -3), of(-70, -1)).chosen_B.item<double>(), -0.2);
}

TEST(PairLoss, IsTheNegativeLogProbOfChosenForSft) {
  const LossConfig loss{.type = LossType::kSft};
  EXPECT_EQ(pair_loss(loss, of(-2, -3), of(0, 0), kOneTokenEach).item<double>(), 2);
  EXPECT_EQ(pair_rewards(loss, of(-2, -3), of(0, 0)).chosen_B.item<double>(), 0);
}

TEST(PairLoss, AddsTheLikelihoodOfChosenPerTokenAsTheSftTerm) {
  LossConfig loss = kDpo;
  loss.sft_weight = 0.5;
  const torch::Tensor tokens_B2 = torch::tensor({{4, 9}}, torch::kInt64);
  PairLogProbs policy = of(-6, -3);
  policy.chosen_B.requires_grad_();
  const PairLosses with = pair_losses(loss, policy, of(0, 0), {.answer_tokens_B2 = tokens_B2, .label_noise_B = {}});
  const double plain = pair_loss(kDpo, of(-6, -3), of(0, 0), tokens_B2).item<double>();
  EXPECT_DOUBLE_EQ(with.loss_B.item<double>(), plain + 0.5 * 6 / 4);
  EXPECT_DOUBLE_EQ(with.nll_B.item<double>(), 6.0 / 4);
  with.loss_B.sum().backward();
  const double of_dpo = -0.1 / (1 + std::exp(0.1 * (-6 + 3)));
  EXPECT_DOUBLE_EQ(policy.chosen_B.grad().item<double>(), of_dpo - 0.5 / 4);
  EXPECT_FALSE(
      pair_losses(kDpo, of(-6, -3), of(0, 0), {.answer_tokens_B2 = tokens_B2, .label_noise_B = {}}).nll_B.defined());
}

TEST(PairLoss, TakesEachPairsOwnLabelNoise) {
  const PairLogProbs policy{.chosen_B = torch::tensor({-1.0, -1.0}, torch::kFloat64),
                            .rejected_B = torch::tensor({-4.0, -4.0}, torch::kFloat64)};
  const PairLogProbs none{.chosen_B = torch::zeros({2}, torch::kFloat64),
                          .rejected_B = torch::zeros({2}, torch::kFloat64)};
  const torch::Tensor loss_B = pair_losses(kIpo, policy, none,
                                           {.answer_tokens_B2 = torch::ones({2, 2}, torch::kInt64),
                                            .label_noise_B = torch::tensor({0.0, 0.25}, torch::kFloat64)})
                                   .loss_B;
  EXPECT_DOUBLE_EQ(loss_B[0].item<double>(), 4);  // (3 - 5)^2
  EXPECT_DOUBLE_EQ(loss_B[1].item<double>(), (0.75 * 4 - 0.25 * 64) / 0.5);
}

TEST(PairLoss, StaysFiniteWhereSigmoidUnderflows) {
  const torch::Tensor loss_B = pair_loss(kDpo, of(-20000, 0), of(0, 0), kOneTokenEach);
  EXPECT_DOUBLE_EQ(loss_B.item<double>(), 2000);
}

TEST(PairLoss, DividesByNoTokenAsByOne) {
  const torch::Tensor none = torch::zeros({1, 2}, torch::kInt64);
  EXPECT_DOUBLE_EQ(pair_loss(kIpoByToken, of(-1, 0), of(0, 0), none).item<double>(), 36);  // (-1 - 5)^2
}

}  // namespace pair_loss_test
}  // namespace equipoise

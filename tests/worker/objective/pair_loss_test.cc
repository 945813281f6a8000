#include "worker/objective/pair_loss.h"

#include <gtest/gtest.h>

#include "tests/worker/golden_model.h"

namespace equipoise {
namespace {

const LossConfig kDpo{.beta = 0.1};
const LossConfig kSmoothed{.beta = 0.1, .label_smoothing = 0.1};
const LossConfig kIpo{.type = LossType::kIpo, .beta = 0.1};
const LossConfig kIpoByToken{.type = LossType::kIpo, .beta = 0.1, .length_normalized = true};

struct Variant {
  const char* name;
  const LossConfig& loss;
};

// Log-probs as pairs.json has them, so that the loss alone is compared.
class GoldenPairs : public ::testing::TestWithParam<Variant> {
 protected:
  GoldenPairs() : golden_(read_json(golden_file("pairs.json"))) {}
  torch::Tensor column(const char* name) const {
    std::vector<double> values;
    for (const auto& pair : golden_["pairs"]) values.push_back(pair[name]);
    return torch::tensor(values, torch::kFloat64);
  }
  PairLogProbs log_probs(const std::string& model) const {
    return {.chosen_B = column((model + "_chosen_logp").c_str()),
            .rejected_B = column((model + "_rejected_logp").c_str())};
  }
  torch::Tensor answer_tokens_B2() const {
    return torch::stack({column("chosen_tokens"), column("rejected_tokens")}, 1).to(torch::kInt64);
  }
  nlohmann::json golden_;
};

// float32 log-probs up to 800 have an ulp of 6e-5; (h - 5)^2 near 0 loses the rest, see golden/README.md.
TEST_P(GoldenPairs, HaveTheLossOfTrlAndOfTheAuthors) {
  const torch::Tensor loss_B =
      pair_loss(GetParam().loss, log_probs("policy"), log_probs("reference"), answer_tokens_B2());
  const auto& expected = golden_["losses"][GetParam().name];
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double value = expected[i];
    EXPECT_NEAR(loss_B[static_cast<std::int64_t>(i)].item<double>(), value, 1e-5 * std::abs(value) + 1e-4) << i;
  }
  EXPECT_NEAR(loss_B.mean().item<double>(), golden_["mean_loss"][GetParam().name],
              1e-5 * golden_["mean_loss"][GetParam().name].get<double>());
}
INSTANTIATE_TEST_SUITE_P(Variants, GoldenPairs,
                         ::testing::Values(Variant{"dpo", kDpo}, Variant{"dpo_ls0.1", kSmoothed},
                                           Variant{"ipo_sum", kIpo}, Variant{"ipo_trl", kIpoByToken}),
                         [](const auto& variant) {
                           std::string name = variant.param.name;
                           std::erase(name, '.');
                           return name;
                         });

TEST_F(GoldenPairs, HaveTheRewardsOfTrl) {
  const PairRewards rewards = pair_rewards(kDpo, log_probs("policy"), log_probs("reference"));
  EXPECT_LT(largest_difference(rewards.chosen_B, column("chosen_reward")), 1e-5);
  EXPECT_LT(largest_difference(rewards.rejected_B, column("rejected_reward")), 1e-5);
}

PairLogProbs of(double chosen, double rejected) {
  return {.chosen_B = torch::tensor({chosen}, torch::kFloat64),
          .rejected_B = torch::tensor({rejected}, torch::kFloat64)};
}
const torch::Tensor kOneTokenEach = torch::ones({1, 2}, torch::kInt64);

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

TEST(PairLoss, StaysFiniteWhereSigmoidUnderflows) {
  const torch::Tensor loss_B = pair_loss(kDpo, of(-20000, 0), of(0, 0), kOneTokenEach);
  EXPECT_DOUBLE_EQ(loss_B.item<double>(), 2000);
}

TEST(PairLoss, DividesByNoTokenAsByOne) {
  const torch::Tensor none = torch::zeros({1, 2}, torch::kInt64);
  EXPECT_DOUBLE_EQ(pair_loss(kIpoByToken, of(-1, 0), of(0, 0), none).item<double>(), 36);  // (-1 - 5)^2
}

}  // namespace
}  // namespace equipoise

#include "worker/language_model/evaluation.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <array>
#include <cmath>
#include <optional>

#include "tests/worker/support/owned_pair.h"
#include "worker/collective/cpu_collective.h"
#include "worker/language_model/pair_weights.h"
#include "worker/reference/answer_log_probs.h"

namespace equipoise {
namespace evaluation_test {

constexpr char kPolicy[] = "golden/lm/models/gemma/policy";

// 7 pairs in 2 groups, with answers of 1 to 4 tokens.
std::vector<OwnedPair> some_pairs() {
  std::vector<OwnedPair> pairs;
  for (std::int32_t i = 0; i < 7; ++i) {
    OwnedPair pair{.prompt_ids = {2, 40 + i, 50},
                   .memberships = {{.group = static_cast<std::uint32_t>(i % 2), .weight = 1}}};
    for (std::int32_t t = 0; t <= i % 4; ++t) pair.chosen_ids.push_back(100 + 7 * i + t);
    for (std::int32_t t = 0; t <= i % 3; ++t) pair.rejected_ids.push_back(300 + 5 * i + t);
    pairs.push_back(pair);
  }
  return pairs;
}

EvaluationSums evaluated(const std::vector<OwnedPair>& owned, const LossConfig& loss,
                         const std::vector<std::int64_t>& pairs_F, int world_size) {
  std::vector<EvaluationSums> result;
  const EncodedPairs pairs = encoded(owned);
  run_ranks(world_size, [&](Collective& collective) {
    const Decoder policy = Decoder::load(kPolicy, torch::kFloat64, torch::kCPU);
    const std::vector<double> weight_N =
        pair_weights(pairs, std::array{static_cast<std::int64_t>(pairs.size())}).weight_N;
    const ForwardInputs inputs{.decoder = policy, .loss = loss, .pairs = pairs, .reference = {}, .weight_N = weight_N};
    EvaluationSums sums = evaluate_files(inputs, 2, 24, pairs_F, collective);
    if (collective.info().rank == 0) result.push_back(std::move(sums));
  });
  return result.at(0);
}

// What is not there is not there in both.
void expect_near(std::optional<double> a, std::optional<double> b, int measure) {
  ASSERT_EQ(a.has_value(), b.has_value()) << measure;
  EXPECT_NEAR(a.value_or(0), b.value_or(0), 1e-12) << measure;
}

void expect_same(const BatchSums& a, const BatchSums& b) {
  EXPECT_EQ(a.pairs(), b.pairs());
  for (int m = 0; m < static_cast<int>(Measure::kMeasures); ++m) {
    const auto measure = static_cast<Measure>(m);
    const auto mean = [&](const BatchSums& sums) {
      return sums.has(measure) ? std::optional(sums.mean(measure)) : std::nullopt;
    };
    expect_near(mean(a), mean(b), m);
    expect_near(a.error(measure), b.error(measure), m);
    for (std::size_t g = 0; g < 2; ++g) {
      const auto group_mean = [&](const BatchSums& sums) {
        return sums.group_has(measure, g) ? std::optional(sums.group_mean(measure, g)) : std::nullopt;
      };
      expect_near(group_mean(a), group_mean(b), m);
      expect_near(a.group_error(measure, g), b.group_error(measure, g), m);
    }
  }
}

// Log-probs of the same weights from passes over other batches differ by rounding, which is no preference.
TEST(EvaluateFiles, APolicyThatIsTheReferenceStillPrefersNothing) {
  const std::vector<OwnedPair> owned = some_pairs();
  const EncodedPairs pairs = encoded(owned);
  const LossConfig loss{};
  const Decoder policy = Decoder::load(kPolicy, torch::kFloat64, torch::kCPU);
  run_ranks(1, [&](Collective& collective) {
    AnswerLogProbs reference =
        compute_log_probs(policy, {.pairs = pairs, .token_budget = 24, .ranks = collective, .whose = "the reference"});
    for (double& value : reference.chosen_N) value -= 1e-9;
    ForwardInputs inputs{.decoder = policy, .loss = loss, .pairs = pairs, .reference = reference};
    const auto all_sums = [&] { return evaluate_files(inputs, 2, 24, {}, collective).all; };
    EXPECT_EQ(all_sums().mean(Measure::kCorrect), 1) << "the rounding counts";
    inputs.policy_is_reference = true;
    const BatchSums sums = all_sums();
    EXPECT_EQ(sums.mean(Measure::kCorrect), 0);
    EXPECT_EQ(sums.mean(Measure::kMargin), 0);
    EXPECT_NEAR(sums.mean(Measure::kLoss), std::log(2), 1e-15);
  });
}

std::array<LossConfig, 2> dpo_and_sft_by_tokens() {
  std::array<LossConfig, 2> losses;
  losses[0].reference_free = true;
  losses[1].type = LossType::kSft;
  losses[1].sft_average = SftAverage::kToken;
  return losses;
}

// SFT by tokens divides by those of the pairs evaluated: of the file's for the file.
TEST(EvaluateFiles, SaysOfEachFileWhatItsOwnEvaluationSays) {
  const std::vector<OwnedPair> pairs = some_pairs();
  const std::vector<OwnedPair> first(pairs.begin(), pairs.begin() + 3), second(pairs.begin() + 3, pairs.end());
  for (const LossConfig& loss : dpo_and_sft_by_tokens()) {
    const EvaluationSums together = evaluated(pairs, loss, {3, 4}, 2);
    ASSERT_EQ(together.files.size(), 2u);
    expect_same(together.all, evaluated(pairs, loss, {}, 1).all);
    expect_same(together.files[0], evaluated(first, loss, {}, 1).all);
    expect_same(together.files[1], evaluated(second, loss, {}, 1).all);
  }
}

// Every third pair counts twice: it is there twice, or has twice the weight of the others. The means are the same, of
// each file too; standard errors are not, which take two pairs for more than one.
TEST(EvaluateFiles, WeighsPairsAsTheDataSays) {
  std::vector<OwnedPair> weighed = some_pairs(), twice;
  std::vector<std::int64_t> twice_F = {0, 0};
  for (std::size_t i = 0; i < weighed.size(); ++i) {
    const int copies = i % 3 == 1 ? 2 : 1;
    weighed[i].weight = 5 * copies;
    for (int copy = 0; copy < copies; ++copy) twice.push_back(some_pairs()[i]);
    twice_F[i < 3 ? 0 : 1] += copies;
  }
  for (const LossConfig& loss : dpo_and_sft_by_tokens()) {
    const EvaluationSums ours = evaluated(weighed, loss, {3, 4}, 2), expected = evaluated(twice, loss, twice_F, 1);
    for (const auto& [a, b] : {std::pair(&ours.all, &expected.all), std::pair(&ours.files[0], &expected.files[0]),
                               std::pair(&ours.files[1], &expected.files[1])}) {
      for (const Measure measure : {Measure::kLoss, Measure::kChosenLogp, Measure::kLogpCorrect, Measure::kEntropy}) {
        EXPECT_NEAR(a->mean(measure), b->mean(measure), 1e-12);
        for (std::size_t g = 0; g < 2; ++g) EXPECT_NEAR(a->group_mean(measure, g), b->group_mean(measure, g), 1e-12);
      }
    }
  }
}

// Losses that are all alike have a mean without error, whatever the pairs weigh: it is a mean by weight.
TEST(EvaluateFiles, HasErrorsOfMeansByWeight) {
  std::vector<OwnedPair> pairs = some_pairs();
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].weight = 1 + static_cast<double>(i);
  const EncodedPairs data = encoded(pairs);
  const auto weight_N = pair_weights(data, std::array<std::int64_t, 1>{7}).weight_N;
  AnswerLogProbs reference{.chosen_N = std::vector<double>(7), .rejected_N = std::vector<double>(7)};
  const LossConfig dpo{};
  const Decoder policy = Decoder::load(kPolicy, torch::kFloat64, torch::kCPU);
  run_ranks(1, [&](Collective& collective) {
    const ForwardInputs inputs{.decoder = policy,
                               .loss = dpo,
                               .pairs = data,
                               .reference = reference,
                               .policy_is_reference = true,
                               .weight_N = weight_N};
    const EvaluationSums sums = evaluate_files(inputs, 2, 24, std::array<std::int64_t, 2>{3, 4}, collective);
    for (const BatchSums* each : {&sums.all, &sums.files[0], &sums.files[1]}) {
      EXPECT_NEAR(each->mean(Measure::kLoss), std::log(2), 1e-12);
      EXPECT_NEAR(each->error(Measure::kLoss).value(), 0, 1e-12);
    }
  });
}

// In each part the mean is 1, whatever the weights' unit is.
TEST(PairWeights, HaveNoUnit) {
  std::vector<OwnedPair> pairs = some_pairs();
  EXPECT_TRUE(pair_weights(encoded(pairs), std::array<std::int64_t, 1>{7}).weight_N.empty());
  for (std::size_t i = 0; i < pairs.size(); ++i)
    pairs[i].weight = i < 2 ? 100 * (1.0 + 2.0 * static_cast<double>(i)) : 4;
  const PairWeights weights = pair_weights(encoded(pairs), std::array<std::int64_t, 2>{2, 5});
  EXPECT_EQ(weights.weight_N, (std::vector<double>{0.5, 1.5, 1, 1, 1, 1, 1}));
  EXPECT_EQ(weights.factor_P, (std::vector<double>{1.0 / 200, 0.25}));
}

TEST(EvaluateFiles, IsTheSameOnAnyNumberOfRanks) {
  LossConfig loss;
  loss.reference_free = true;
  const EvaluationSums alone = evaluated(some_pairs(), loss, {3, 4}, 1);
  for (const int world_size : {2, 4, 9}) {
    const EvaluationSums shared = evaluated(some_pairs(), loss, {3, 4}, world_size);
    expect_same(shared.all, alone.all);
    expect_same(shared.files[1], alone.files[1]);
  }
  EXPECT_TRUE(alone.all.error(Measure::kChosenLogp).has_value());
}

TEST(BestParameters, ComeBackAsTheyWereKept) {
  const std::vector<NamedTensor> parameters = {{"a", torch::ones({3}).requires_grad_()}};
  torch::Tensor tensor = parameters[0].tensor;
  BestParameters best;
  best.put_back(parameters);  // nothing is kept: nothing changes
  EXPECT_EQ(tensor[0].item<double>(), 1);
  best.keep(parameters);
  tensor.data().fill_(2);
  best.put_back(parameters);
  EXPECT_EQ(tensor[0].item<double>(), 1);
  tensor.data().fill_(3);
  best.keep(parameters);
  tensor.data().fill_(4);
  best.put_back(parameters);
  EXPECT_EQ(tensor[0].item<double>(), 3);
}

}  // namespace evaluation_test
}  // namespace equipoise

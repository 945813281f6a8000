// Every family over packed pairs whose prompts and answers are computed once, against one padded sequence an answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/family_configs.h"
#include "tests/worker/support/golden_model.h"
#include "tests/worker/support/random_model.h"
#include "tests/worker/support/separate_sequences.h"
#include "worker/model/log_prob.h"

namespace equipoise {
namespace families_test {

using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

// Prompts and answers shorter and longer than every window and of several classes of lengths. Pairs 0 to 4 share
// nothing; one answer is not there, one prompt is empty. Then pairs share prompts and answers: opinions of one letter,
// the same pair once more and turned round, and long answers, one of which begins with another.
EncodedPairs mixed_pairs() {
  torch::manual_seed(2);
  std::vector<OwnedPair> pairs;
  for (const auto& [prompt, chosen, rejected] :
       std::vector<std::array<std::int64_t, 3>>{{14, 9, 3}, {3, 1, 12}, {20, 1, 1}, {0, 6, 5}, {7, 5, 0}}) {
    pairs.push_back({.prompt_ids = random_ids(prompt),
                     .chosen_ids = random_ids(chosen),
                     .rejected_ids = random_ids(rejected),
                     .memberships = {}});
  }
  const auto question = random_ids(41), text = random_ids(11);
  for (const auto& [chosen, rejected] : {std::pair{5, 6}, {6, 7}, {7, 5}, {5, 6}, {6, 5}, {8, 8}}) {
    pairs.push_back(
        {.prompt_ids = question, .chosen_ids = {chosen, 1}, .rejected_ids = {rejected, 1}, .memberships = {}});
  }
  std::vector<std::vector<std::int32_t>> answers = {random_ids(25), random_ids(18), random_ids(2)};
  answers.push_back(answers[0]);
  answers.back().resize(17);
  for (const auto& [chosen, rejected] : {std::pair{0, 1}, {1, 2}, {3, 0}}) {
    pairs.push_back({.prompt_ids = text,
                     .chosen_ids = answers[static_cast<std::size_t>(chosen)],
                     .rejected_ids = answers[static_cast<std::size_t>(rejected)],
                     .memberships = {}});
  }
  pairs.push_back({.prompt_ids = text, .chosen_ids = {}, .rejected_ids = answers[2], .memberships = {}});
  pairs.push_back({.prompt_ids = {}, .chosen_ids = pairs[3].chosen_ids, .rejected_ids = {3, 4}, .memberships = {}});
  return encoded(pairs);
}

// As where only chosen answers are trained on.
EncodedPairs without_rejected(const EncodedPairs& pairs) {
  EncodedPairs chosen;
  for (const EncodedPair pair : pairs) chosen.add({.prompt_ids = pair.prompt_ids, .chosen_ids = pair.chosen_ids});
  return chosen;
}

// The textbook's way: log softmax of all logits of padded rows, read at the answers' tokens.
torch::Tensor padded_log_probs(const Decoder& decoder, const EncodedPairs& pairs) {
  const PackedBatch batch = separate_sequences(pairs, all_of(pairs), SequencePadding::kToLongest);
  const torch::Tensor log_prob_TV = torch::log_softmax(decoder.logits(decoder.hidden_states(batch)), 1);
  const torch::Tensor log_prob_C = log_prob_TV.index({batch.source_C.row_N, batch.target_C});
  return torch::zeros({2 * batch.num_pairs}, log_prob_C.options())
      .index_add(0, batch.answer_C, log_prob_C)
      .view({-1, 2});
}

// DPO without a reference, and its gradients.
struct Outcome {
  torch::Tensor log_prob_B2, loss;
  std::vector<torch::Tensor> gradients;
};
Outcome outcome_of(const Decoder& decoder, const torch::Tensor& log_prob_B2) {
  const torch::Tensor margin_B = log_prob_B2.select(1, 0) - log_prob_B2.select(1, 1);
  Outcome outcome{.log_prob_B2 = log_prob_B2, .loss = -torch::log_sigmoid(0.1 * margin_B).mean(), .gradients = {}};
  outcome.loss.backward();
  for (const NamedTensor& parameter : decoder.parameters()) {
    outcome.gradients.push_back(parameter.tensor.grad().clone());
    parameter.tensor.mutable_grad() = torch::Tensor();
  }
  return outcome;
}

Outcome shared_outcome(const Decoder& decoder, const EncodedPairs& pairs) {
  const PairLogProbs log_probs = pair_log_probs(decoder, pack_all(pairs));
  return outcome_of(decoder, torch::stack({log_probs.chosen_B, log_probs.rejected_B}, 1));
}

Outcome padded_outcome(const Decoder& decoder, const EncodedPairs& pairs) {
  return outcome_of(decoder, padded_log_probs(decoder, pairs));
}

void expect_equal(const Decoder& decoder, const Outcome& ours, const Outcome& padded, double tolerance) {
  const double scale = padded.log_prob_B2.abs().max().item<double>();
  EXPECT_LT(largest_difference(ours.log_prob_B2, padded.log_prob_B2), tolerance * scale);
  EXPECT_LT(largest_difference(ours.loss, padded.loss), tolerance * padded.loss.item<double>());
  for (std::size_t i = 0; i < padded.gradients.size(); ++i) {
    const double largest = padded.gradients[i].abs().max().item<double>();
    EXPECT_GT(largest, 0) << decoder.parameters()[i].name;
    EXPECT_LT(largest_difference(ours.gradients[i], padded.gradients[i]), tolerance * largest)
        << decoder.parameters()[i].name;
  }
}

class DecoderFamily : public ::testing::TestWithParam<FamilyConfig> {
 protected:
  DecoderFamily() { write_random_model(folder_, GetParam().config); }
  Decoder load(torch::Dtype dtype) const { return Decoder::load(folder_.path(), dtype, torch::kCPU); }
  TempFolder folder_;
};

constexpr std::pair<torch::Dtype, double> kTolerances[] = {{torch::kFloat64, 1e-11}, {torch::kFloat32, 1e-5}};

TEST_P(DecoderFamily, ComputesSharedPromptsAndAnswersAsIfNothingWereShared) {
  const EncodedPairs pairs = mixed_pairs();
  ASSERT_LT(pack_all(pairs).token_T.size(0) * 2,
            separate_sequences(pairs, all_of(pairs), SequencePadding::kNone).token_T.size(0));
  for (const auto& [dtype, tolerance] : kTolerances) {
    SCOPED_TRACE(dtype);
    const Decoder decoder = load(dtype);
    expect_equal(decoder, shared_outcome(decoder, pairs), padded_outcome(decoder, pairs), tolerance);
  }
}

TEST_P(DecoderFamily, ComputesPairsWithoutRejectedAnswersAsIfNothingWereShared) {
  const EncodedPairs pairs = without_rejected(mixed_pairs());
  for (const auto& [dtype, tolerance] : kTolerances) {
    SCOPED_TRACE(dtype);
    const Decoder decoder = load(dtype);
    expect_equal(decoder, shared_outcome(decoder, pairs), padded_outcome(decoder, pairs), tolerance);
  }
}

// Among others or alone, a pair has the same log-probs.
TEST_P(DecoderFamily, GivesAPairTheSameWhateverSharesItsBatch) {
  const Decoder decoder = load(torch::kFloat64);
  const EncodedPairs pairs = mixed_pairs();
  const torch::NoGradGuard no_grad;
  const PairLogProbs together = pair_log_probs(decoder, pack_all(pairs));
  for (const std::int64_t b : all_of(pairs)) {
    const PairLogProbs alone = pair_log_probs(decoder, pack_pairs(pairs, std::span(&b, 1), torch::kCPU));
    EXPECT_NEAR(alone.chosen_B.item<double>(), together.chosen_B[b].item<double>(), 1e-9) << b;
    EXPECT_NEAR(alone.rejected_B.item<double>(), together.rejected_B[b].item<double>(), 1e-9) << b;
  }
}

// An 8-bit mantissa: what is summed in float32 stays within a few parts in a hundred, what is not does not.
TEST_P(DecoderFamily, GivesFloat32LogProbsFromBfloat16) {
  const Outcome narrow = shared_outcome(load(torch::kBFloat16), mixed_pairs());
  const Outcome wide = shared_outcome(load(torch::kFloat32), mixed_pairs());
  EXPECT_EQ(narrow.log_prob_B2.scalar_type(), torch::kFloat32);
  const double scale = wide.log_prob_B2.abs().max().item<double>();
  EXPECT_LT(largest_difference(narrow.log_prob_B2, wide.log_prob_B2), 0.05 * scale);
  for (const torch::Tensor& gradient : narrow.gradients) EXPECT_TRUE(gradient.isfinite().all().item<bool>());
}

TEST_P(DecoderFamily, IsWrittenAsItWasRead) {
  const Decoder decoder = load(torch::kFloat32);
  save_model(decoder, folder_.path(), folder_ / "final");
  const SafetensorsFile before = SafetensorsFile::open(folder_ / "model.safetensors");
  const SafetensorsFile after = SafetensorsFile::open(folder_ / "final/model.safetensors");
  ASSERT_EQ(after.tensors().size(), before.tensors().size());
  for (const TensorView& tensor : before.tensors()) {
    ASSERT_NE(after.find(tensor.name), nullptr) << tensor.name;
    EXPECT_TRUE(golden_tensor(after, tensor.name).equal(golden_tensor(before, tensor.name))) << tensor.name;
  }
  EXPECT_EQ(read_json(folder_ / "final/config.json"), GetParam().config);
}

INSTANTIATE_TEST_SUITE_P(Families, DecoderFamily, ::testing::ValuesIn(family_configs()),
                         [](const auto& family) { return family.param.name; });

// With one layer and a window of 3, the second rejected token is predicted at position 4 from positions 2 to 4, the
// first two of them in the prompt, though the chosen answer lies between them in the packed row.
TEST(SlidingWindow, CountsPositionsAcrossTheSharedPrompt) {
  TempFolder folder;
  write_random_model(folder, tiny_config("mistral", {{"num_hidden_layers", 1}, {"sliding_window", 3}}));
  const Decoder decoder = Decoder::load(folder.path(), torch::kFloat64, torch::kCPU);
  const auto rejected = [&](const std::vector<std::int32_t>& prompt, const std::vector<std::int32_t>& answer) {
    const OwnedPair pair{.prompt_ids = prompt, .chosen_ids = {5, 6, 7}, .rejected_ids = answer, .memberships = {}};
    return pair_log_probs(decoder, pack_all(std::vector{pair})).rejected_B.item<double>();
  };
  const auto second = [&](const std::vector<std::int32_t>& prompt) {
    return rejected(prompt, {8, 9}) - rejected(prompt, {8});
  };
  EXPECT_NEAR(second({60, 61, 3, 4}), second({1, 2, 3, 4}), 1e-12);
  EXPECT_GT(std::abs(second({1, 2, 60, 4}) - second({1, 2, 3, 4})), 1e-3);
  EXPECT_GT(std::abs(second({1, 2, 3, 60}) - second({1, 2, 3, 4})), 1e-3);
}

TEST(RotaryPositions, AreRefusedWhereTheyWouldDependOnTheBatch) {
  TempFolder folder;
  write_random_model(folder, tiny_config("llama", {{"max_position_embeddings", 10},
                                                   {"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}}));
  const Decoder decoder = Decoder::load(folder.path(), torch::kFloat32, torch::kCPU);
  const auto hidden_of = [&](std::size_t length) {
    return decoder.hidden_states(pack_all({{.prompt_ids = std::vector<std::int32_t>(length, 1),
                                            .chosen_ids = {},
                                            .rejected_ids = {},
                                            .memberships = {}}}));
  };
  EXPECT_EQ(hidden_of(10).size(0), 10);
  EXPECT_THAT([&] { hidden_of(11); },
              Throws<std::invalid_argument>(Property(
                  &std::invalid_argument::what,
                  HasSubstr("a sequence has 11 tokens, but the model's rotary positions (rope_type dynamic)"))));
}

}  // namespace families_test
}  // namespace equipoise

#include "worker/model/sequence_log_prob.h"

#include <gtest/gtest.h>

#include "tests/worker/golden_model.h"

namespace equipoise {
namespace sequence_log_prob_test {

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

}  // namespace sequence_log_prob_test
}  // namespace equipoise

#include "worker/model/sequence_log_prob.h"

#include <gtest/gtest.h>

#include "tests/worker/golden_model.h"

namespace equipoise {
namespace {

// 1e-5 relative: sums of up to 100 float32 terms; transformers' fused and eager attention differ as much.
TEST(PairLogProbs, AreThoseOfTransformers) {
  const auto golden = read_json(golden_file("pairs.json"))["pairs"];
  const PackedBatch batch = pack_all(golden_pairs());
  for (const std::string model : {"policy", "reference"}) {
    const PairLogProbs ours = pair_log_probs(golden_decoder(model == "policy" ? kPolicy : kReference), batch);
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

// Every answer alone behind its own prompt: nothing packed, nothing shared, nothing padded.
TEST(PairLogProbs, DoNotDependOnPackingOrOnTheSharedPrompt) {
  const Decoder decoder = golden_decoder(kPolicy, torch::kFloat64);
  const std::vector<EncodedPair> pairs = golden_pairs();
  const PairLogProbs packed = pair_log_probs(decoder, pack_all(pairs));
  for (std::size_t b = 0; b < pairs.size(); ++b) {
    EncodedPair chosen_alone = pairs[b], rejected_alone = pairs[b];
    chosen_alone.rejected_ids.clear();
    rejected_alone.chosen_ids = pairs[b].rejected_ids;
    rejected_alone.rejected_ids.clear();
    const auto row = static_cast<std::int64_t>(b);
    const double chosen = pair_log_probs(decoder, pack_all({chosen_alone})).chosen_B.item<double>();
    const double rejected = pair_log_probs(decoder, pack_all({rejected_alone})).chosen_B.item<double>();
    EXPECT_NEAR(packed.chosen_B[row].item<double>(), chosen, 1e-10);
    EXPECT_NEAR(packed.rejected_B[row].item<double>(), rejected, 1e-10);
  }
}

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

}  // namespace
}  // namespace equipoise

// Forward passes over one micro-batch: log-probs, losses and the numbers to report.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/config/job_config.h"
#include "worker/client/rank_progress.h"
#include "worker/data/packed_batch.h"
#include "worker/language_model/batch_sums.h"
#include "worker/model/decoder.h"
#include "worker/model/log_prob.h"
#include "worker/objective/labels.h"
#include "worker/reference/answer_log_probs.h"

namespace equipoise {

// Everything a forward pass reads and nothing it changes.
struct ForwardInputs {
  const Decoder& decoder;
  const LossConfig& loss;
  const EncodedPairs& pairs;
  const AnswerLogProbs& reference;  // of all pairs; empty when no reference is used
  const LabelNoise* label_noise = nullptr;
  // The policy has not moved from the reference: rewards are 0 then, exactly, where two passes over a pair that share
  // no batch would differ by their rounding and make the larger one look preferred. Passes with dropout do not use it.
  bool policy_is_reference = false;
  std::span<const double> weight_N = {};  // v_i of all pairs (pair_weights.h); empty: all are 1
  RankProgress* progress = nullptr;       // told of each pass over a batch; null: nobody is

  double weight(std::int64_t pair) const { return weight_N.empty() ? 1 : weight_N[static_cast<std::size_t>(pair)]; }
};

// Factor of every pair's loss. SFT with sft_average token: |B| / answer tokens of the batch, so that the mean over
// pairs is the mean over tokens; else 1. `indices` are the whole global batch, `weight` what a pair of it weighs:
// asked for where it counts alone.
double loss_scale(const ForwardInputs& inputs, std::span<const std::int64_t> indices,
                  const std::function<double(std::int64_t pair)>& weight);

// The type and the device of losses, and of all that is computed with them.
torch::TensorOptions loss_options(const Decoder& decoder);

// B pairs and all that every pass over them reads beside ForwardInputs, on the decoder's device: made once, whatever
// number of passes there is. Ids and layouts are small beside the activations of one pass.
struct PairBatch {
  std::vector<std::int64_t> indices;  // positions in ForwardInputs::pairs
  PackedBatch packed;
  PairLogProbs reference;       // [B] each; undefined where none is used, or the policy's own are taken
  torch::Tensor label_noise_B;  // [B]  undefined: none is corrected
};

// One copy to the device of what is packed, one of the pairs' numbers. With `dropout` the decoder's adapter drops
// inputs, in every pass the same: training steps only.
PairBatch make_pair_batch(const ForwardInputs& inputs, MicroBatch pairs,
                          const std::optional<DropoutDraw>& dropout = {});

struct PairForward {
  torch::Tensor loss_B;  // [B], with graph where gradients are on
  std::vector<PairOutcome> outcomes;
};

// Whether outcomes have what the answers' tokens show (TokenSums): a few more passes over each chunk of logits.
enum class TokenNumbers { kNone, kMeasured };

// `batch` is made of `inputs`; every loss is multiplied by `scale`. All numbers come to the host in one copy.
PairForward forward_pairs(const ForwardInputs& inputs, const PairBatch& batch, double scale,
                          TokenNumbers token_numbers = TokenNumbers::kNone);

// The losses of forward_pairs() alone, [B], for their gradient: nothing comes to the host.
torch::Tensor forward_losses(const ForwardInputs& inputs, const PairBatch& batch, double scale);

// The part of `indices` that belongs to a rank; sizes differ by at most one. It is contiguous in by_prompt(), and in
// its order: pairs that share a prompt are on one rank where they can be.
std::vector<std::int64_t> rank_part(const EncodedPairs& pairs, std::span<const std::int64_t> indices, RankInfo info);

}  // namespace equipoise

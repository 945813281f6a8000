// Forward pass over one micro-batch: log-probs, losses and the numbers to report.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/config/job_config.h"
#include "worker/language_model/batch_sums.h"
#include "worker/model/decoder.h"
#include "worker/objective/label_noise.h"
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

  double weight(std::int64_t pair) const { return weight_N.empty() ? 1 : weight_N[static_cast<std::size_t>(pair)]; }
};

// Factor of every pair's loss. SFT with sft_average token: |B| / answer tokens of the batch, so that the mean over
// pairs is the mean over tokens; else 1. `indices` are the whole global batch, `weight` what a pair of it weighs:
// asked for where it counts alone.
double loss_scale(const ForwardInputs& inputs, std::span<const std::int64_t> indices,
                  const std::function<double(std::int64_t pair)>& weight);

struct PairForward {
  torch::Tensor loss_B;  // [B], with graph where gradients are on
  std::vector<PairOutcome> outcomes;
};

// Whether outcomes have what the answers' tokens show (TokenSums): a few more passes over each chunk of logits.
enum class TokenNumbers { kNone, kMeasured };

// `indices` are positions in inputs.pairs; every loss is multiplied by `scale`. With `dropout` the decoder's adapter
// drops inputs: training steps only.
PairForward forward_pairs(const ForwardInputs& inputs, std::span<const std::int64_t> indices, double scale,
                          const std::optional<DropoutDraw>& dropout = {},
                          TokenNumbers token_numbers = TokenNumbers::kNone);

// The part of `indices` that belongs to a rank; sizes differ by at most one. It is contiguous in by_prompt(): pairs
// that share a prompt are on one rank where they can be.
std::vector<std::int64_t> rank_part(const EncodedPairs& pairs, std::span<const std::int64_t> indices, RankInfo info);

}  // namespace equipoise

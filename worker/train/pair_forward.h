// Forward pass over one micro-batch: log-probs, losses and the numbers to report.
#pragma once

#include <vector>

#include "common/config/job_config.h"
#include "worker/model/decoder.h"
#include "worker/objective/label_noise.h"
#include "worker/reference/answer_log_probs.h"
#include "worker/train/batch_sums.h"

namespace equipoise {

// Everything a forward pass reads and nothing it changes.
struct ForwardInputs {
  const Decoder& decoder;
  const LossConfig& loss;
  const EncodedPairs& pairs;
  const AnswerLogProbs& reference;  // of all pairs; empty when no reference is used
  const LabelNoise* label_noise = nullptr;
};

// Factor of every pair's loss. SFT with sft_average token: |B| / answer tokens of the batch, so that the mean over
// pairs is the mean over tokens; else 1. `indices` are the whole global batch, `weight_B` what each weighs (empty: 1).
double loss_scale(const ForwardInputs& inputs, std::span<const std::int64_t> indices,
                  std::span<const double> weight_B = {});

struct PairForward {
  torch::Tensor loss_B;  // [B], with graph where gradients are on
  std::vector<PairOutcome> outcomes;
};

// `indices` are positions in inputs.pairs; every loss is multiplied by `scale`.
PairForward forward_pairs(const ForwardInputs& inputs, std::span<const std::int64_t> indices, double scale);

// The contiguous part of [0, count) that belongs to a rank; sizes differ by at most one.
std::vector<std::int64_t> rank_slice(std::int64_t count, RankInfo info);

}  // namespace equipoise

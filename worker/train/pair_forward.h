// Forward pass over one micro-batch: log-probs, losses and the numbers to report.
#pragma once

#include <vector>

#include "common/config/job_config.h"
#include "worker/model/decoder.h"
#include "worker/train/batch_sums.h"

namespace equipoise {

// log pi_ref of both answers of every pair of a dataset, summed over tokens; empty when no reference is used.
struct ReferenceLogProbs {
  std::vector<double> chosen_N;
  std::vector<double> rejected_N;
};

// Everything a forward pass reads and nothing it changes.
struct ForwardInputs {
  const Decoder& decoder;
  const LossConfig& loss;
  std::span<const EncodedPair> pairs;
  const ReferenceLogProbs& reference;
};

// Factor of every pair's loss. SFT with sft_average token: |B| / answer tokens of the batch, so that the mean over
// pairs is the mean over tokens; else 1. `indices` are the whole global batch.
double loss_scale(const ForwardInputs& inputs, std::span<const std::int64_t> indices);

struct PairForward {
  torch::Tensor loss_B;  // [B], with graph where gradients are on
  std::vector<PairOutcome> outcomes;
};

// `indices` are positions in inputs.pairs; every loss is multiplied by `scale`.
PairForward forward_pairs(const ForwardInputs& inputs, std::span<const std::int64_t> indices, double scale);

// Computes log pi_ref over all pairs, shared out over the ranks: each takes a contiguous part.
// Throws std::invalid_argument if one is not finite.
ReferenceLogProbs compute_reference(const Decoder& reference, std::span<const EncodedPair> pairs,
                                    std::int64_t micro_batch_tokens, Collective& collective);

// The contiguous part of [0, count) that belongs to a rank; sizes differ by at most one.
std::vector<std::int64_t> rank_slice(std::int64_t count, RankInfo info);

}  // namespace equipoise

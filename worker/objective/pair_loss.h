// The loss of each pair.
//   h = (log pi(y+|x) - log pi(y-|x)) - (log pi_ref(y+|x) - log pi_ref(y-|x))
//   DPO  l = -(1-eps) * log sigmoid(beta h) - eps * log sigmoid(-beta h)     Rafailov et al. 2023; eps: label smoothing
//   IPO  l = (h - 1/(2 beta))^2                                             Azar et al. 2023
//   SFT  l = -log pi(y+|x)
// length_normalized: each log pi is divided by its number of answer tokens, as TRL does for IPO.
#pragma once

#include <torch/types.h>

#include "common/config/job_config.h"
#include "worker/model/sequence_log_prob.h"

namespace equipoise {

// answer_tokens_B2  [B, 2]  used when loss.length_normalized. `reference` is ignored when loss.reference_free or SFT;
// its tensors carry no graph. Returns [B], differentiable with respect to `policy`.
torch::Tensor pair_loss(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference,
                        const torch::Tensor& answer_tokens_B2);

// beta * (log pi - log pi_ref) of each answer, without graph: TRL's rewards/chosen and rewards/rejected. The reference
// counts as 0 when loss.reference_free; SFT has no rewards, all are 0.
struct PairRewards {
  torch::Tensor chosen_B;
  torch::Tensor rejected_B;
};
PairRewards pair_rewards(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference);

}  // namespace equipoise

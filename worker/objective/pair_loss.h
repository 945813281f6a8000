// The loss of each pair.
//   h = (log pi(y+|x) - log pi(y-|x)) - (log pi_ref(y+|x) - log pi_ref(y-|x))
//   DPO     l = -(1-eps) log sigmoid(beta h) - eps log sigmoid(-beta h)     Rafailov et al. 2023; eps: label smoothing
//   IPO     l = (h - 1/(2 beta))^2                                          Azar et al. 2023
//   hinge   l = max(0, 1 - beta h)                                          Zhao et al. 2023
//   robust  DPO with eps = 0, corrected for label noise nu = label_smoothing   Chowdhury et al. 2024
//   SFT     l = -log pi(y+|x)
// length_normalized: each log pi is divided by its number of answer tokens, as TRL does for IPO.
//
// A loss of h is one function, in the table of pair_loss.cc. Corrected for label noise nu it is
//   ((1-nu) l(h) - nu l(-h)) / (1-2 nu)
// whose mean over labels that are flipped with probability nu is l on the right ones.
#pragma once

#include <torch/types.h>

#include "common/config/job_config.h"
#include "worker/model/log_prob.h"

namespace equipoise {

// l(h), elementwise and differentiable. Not SFT, which has no h.
torch::Tensor loss_of_margin(const LossConfig& loss, const torch::Tensor& h);
// The same, corrected for label noise nu in [0, 0.5) of each.
torch::Tensor loss_of_margin(const LossConfig& loss, const torch::Tensor& h, const torch::Tensor& label_noise);

// What a pair's loss needs besides log-probs.
struct PairTraits {
  torch::Tensor answer_tokens_B2;  // [B, 2]  used when loss.length_normalized or loss.sft_weight > 0
  torch::Tensor label_noise_B;     // [B]  undefined: none. Ignored with loss.type hinge, robust and SFT
};

struct PairLosses {
  torch::Tensor loss_B;  // [B], differentiable with respect to the policy; with the SFT term where there is one
  torch::Tensor nll_B;   // [B], without graph: -log pi(y+|x) per token of the chosen answer; undefined without SFT term
};

// `reference` is ignored when loss.reference_free or SFT; its tensors carry no graph. With loss.sft_weight w > 0 each
// pair's loss has w * nll added.
PairLosses pair_losses(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference,
                       const PairTraits& traits);

// beta * (log pi - log pi_ref) of each answer, without graph: TRL's rewards/chosen and rewards/rejected. The reference
// counts as 0 when loss.reference_free; SFT has no rewards, all are 0.
struct PairRewards {
  torch::Tensor chosen_B;
  torch::Tensor rejected_B;
};
PairRewards pair_rewards(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference);

}  // namespace equipoise

#include "worker/objective/pair_loss.h"

namespace equipoise {
namespace {

// log pi(y+|x) - log pi(y-|x)
torch::Tensor log_ratio(const LossConfig& loss, const PairLogProbs& log_probs, const torch::Tensor& answer_tokens_B2) {
  if (!loss.length_normalized) return log_probs.chosen_B - log_probs.rejected_B;
  const torch::Tensor tokens_B2 = answer_tokens_B2.clamp_min(1).to(log_probs.chosen_B.scalar_type());
  return log_probs.chosen_B / tokens_B2.select(1, 0) - log_probs.rejected_B / tokens_B2.select(1, 1);
}

torch::Tensor dpo_loss(const LossConfig& loss, const torch::Tensor& h_B) {
  const torch::Tensor logit_B = loss.beta * h_B;
  const torch::Tensor loss_B = -(1 - loss.label_smoothing) * torch::log_sigmoid(logit_B);
  if (loss.label_smoothing == 0) return loss_B;
  return loss_B - loss.label_smoothing * torch::log_sigmoid(-logit_B);
}

torch::Tensor reward(const LossConfig& loss, const torch::Tensor& policy_B, const torch::Tensor& reference_B) {
  if (loss.type == LossType::kSft) return torch::zeros_like(policy_B.detach());
  if (loss.reference_free) return loss.beta * policy_B.detach();
  return loss.beta * (policy_B.detach() - reference_B);
}

}  // namespace

torch::Tensor pair_loss(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference,
                        const torch::Tensor& answer_tokens_B2) {
  if (loss.type == LossType::kSft) return -policy.chosen_B;
  torch::Tensor h_B = log_ratio(loss, policy, answer_tokens_B2);
  if (!loss.reference_free) h_B = h_B - log_ratio(loss, reference, answer_tokens_B2);
  if (loss.type == LossType::kDpo) return dpo_loss(loss, h_B);
  return (h_B - 1 / (2 * loss.beta)).square();
}

PairRewards pair_rewards(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference) {
  return {.chosen_B = reward(loss, policy.chosen_B, reference.chosen_B),
          .rejected_B = reward(loss, policy.rejected_B, reference.rejected_B)};
}

}  // namespace equipoise

#include "worker/objective/pair_loss.h"

#include "common/base/error.h"

namespace equipoise {
namespace {

torch::Tensor dpo(const LossConfig& loss, const torch::Tensor& h) {
  const torch::Tensor logit = loss.beta * h;
  const torch::Tensor plain = -(1 - loss.label_smoothing) * torch::log_sigmoid(logit);
  if (loss.label_smoothing == 0) return plain;
  return plain - loss.label_smoothing * torch::log_sigmoid(-logit);
}

torch::Tensor ipo(const LossConfig& loss, const torch::Tensor& h) { return (h - 1 / (2 * loss.beta)).square(); }

torch::Tensor hinge(const LossConfig& loss, const torch::Tensor& h) { return torch::relu(1 - loss.beta * h); }

torch::Tensor robust(const LossConfig& loss, const torch::Tensor& h) {
  const LossConfig plain{.beta = loss.beta};
  return loss_of_margin(plain, h, torch::full_like(h, loss.label_smoothing));
}

using LossOfMargin = torch::Tensor (*)(const LossConfig&, const torch::Tensor& h);

LossOfMargin function_of(LossType type) {
  switch (type) {
    case LossType::kDpo:
      return dpo;
    case LossType::kIpo:
      return ipo;
    case LossType::kHinge:
      return hinge;
    case LossType::kRobust:
      return robust;
    case LossType::kSft:
      break;
  }
  return nullptr;
}

torch::Tensor tokens_of(const torch::Tensor& answer_tokens_B2, std::int64_t answer, const torch::Tensor& like) {
  return answer_tokens_B2.select(1, answer).clamp_min(1).to(like.scalar_type());
}

// log pi(y+|x) - log pi(y-|x)
torch::Tensor log_ratio(const LossConfig& loss, const PairLogProbs& log_probs, const torch::Tensor& answer_tokens_B2) {
  if (!loss.length_normalized) return log_probs.chosen_B - log_probs.rejected_B;
  return log_probs.chosen_B / tokens_of(answer_tokens_B2, 0, log_probs.chosen_B) -
         log_probs.rejected_B / tokens_of(answer_tokens_B2, 1, log_probs.chosen_B);
}

torch::Tensor reward(const LossConfig& loss, const torch::Tensor& policy_B, const torch::Tensor& reference_B) {
  if (loss.type == LossType::kSft) return torch::zeros_like(policy_B.detach());
  if (loss.reference_free) return loss.beta * policy_B.detach();
  return loss.beta * (policy_B.detach() - reference_B);
}

}  // namespace

torch::Tensor loss_of_margin(const LossConfig& loss, const torch::Tensor& h) {
  const LossOfMargin function = function_of(loss.type);
  EQUIPOISE_CHECK(function != nullptr);
  return function(loss, h);
}

torch::Tensor loss_of_margin(const LossConfig& loss, const torch::Tensor& h, const torch::Tensor& label_noise) {
  return ((1 - label_noise) * loss_of_margin(loss, h) - label_noise * loss_of_margin(loss, -h)) / (1 - 2 * label_noise);
}

PairLosses pair_losses(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference,
                       const PairTraits& traits) {
  if (loss.type == LossType::kSft) return {.loss_B = -policy.chosen_B, .nll_B = {}};
  torch::Tensor h_B = log_ratio(loss, policy, traits.answer_tokens_B2);
  if (!loss.reference_free) h_B = h_B - log_ratio(loss, reference, traits.answer_tokens_B2);
  const bool is_noisy = traits.label_noise_B.defined() && traits_of(loss.type).takes_label_noise;
  PairLosses losses{.loss_B = is_noisy ? loss_of_margin(loss, h_B, traits.label_noise_B) : loss_of_margin(loss, h_B),
                    .nll_B = {}};
  if (loss.sft_weight == 0) return losses;
  const torch::Tensor nll_B = -policy.chosen_B / tokens_of(traits.answer_tokens_B2, 0, policy.chosen_B);
  losses.loss_B = losses.loss_B + loss.sft_weight * nll_B;
  losses.nll_B = nll_B.detach();
  return losses;
}

PairRewards pair_rewards(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference) {
  return {.chosen_B = reward(loss, policy.chosen_B, reference.chosen_B),
          .rejected_B = reward(loss, policy.rejected_B, reference.rejected_B)};
}

}  // namespace equipoise

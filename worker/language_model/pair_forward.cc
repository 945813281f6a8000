#include "worker/language_model/pair_forward.h"

#include "worker/data/prompt_trees.h"
#include "worker/objective/pair_loss.h"

namespace equipoise {
namespace {

std::vector<double> to_host(const torch::Tensor& values_B) {
  const torch::Tensor host = values_B.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  return {host.const_data_ptr<double>(), host.const_data_ptr<double>() + host.numel()};
}

torch::Tensor gather(const std::vector<double>& values_N, std::span<const std::int64_t> indices,
                     const torch::Tensor& like) {
  std::vector<double> values_B;
  values_B.reserve(indices.size());
  for (const std::int64_t index : indices) values_B.push_back(values_N[static_cast<std::size_t>(index)]);
  return torch::tensor(values_B, torch::kFloat64).to(like.device(), like.scalar_type());
}

PairLogProbs reference_of(const ForwardInputs& inputs, std::span<const std::int64_t> indices,
                          const PairLogProbs& policy, bool has_dropout) {
  if (inputs.reference.chosen_N.empty()) {
    return {.chosen_B = torch::zeros_like(policy.chosen_B), .rejected_B = torch::zeros_like(policy.rejected_B)};
  }
  if (inputs.policy_is_reference && !has_dropout) {
    return {.chosen_B = policy.chosen_B.detach(), .rejected_B = policy.rejected_B.detach()};
  }
  return {.chosen_B = gather(inputs.reference.chosen_N, indices, policy.chosen_B),
          .rejected_B = gather(inputs.reference.rejected_N, indices, policy.rejected_B)};
}

torch::Tensor label_noise_of(const ForwardInputs& inputs, std::span<const std::int64_t> indices,
                             const torch::Tensor& like) {
  if (inputs.label_noise == nullptr || !inputs.label_noise->is_corrected()) return {};
  std::vector<double> noise_B;
  for (const std::int64_t index : indices) {
    noise_B.push_back(inputs.label_noise->of(inputs.pairs[static_cast<std::size_t>(index)].memberships));
  }
  return torch::tensor(noise_B, torch::kFloat64).to(like.device(), like.scalar_type());
}

void add_token_sums(const PairTokenSums& sums, std::vector<PairOutcome>& outcomes) {
  const auto tokens_B2 = to_host(sums.tokens_B2), entropy_B2 = to_host(sums.entropy_B2);
  const auto mean_logit_B2 = to_host(sums.mean_logit_B2), is_first_B2 = to_host(sums.is_first_B2);
  for (std::size_t b = 0; b < outcomes.size(); ++b) {
    outcomes[b].answers = {.chosen_tokens = tokens_B2[2 * b],
                           .rejected_tokens = tokens_B2[2 * b + 1],
                           .entropy = entropy_B2[2 * b] + entropy_B2[2 * b + 1],
                           .chosen_logits = mean_logit_B2[2 * b],
                           .rejected_logits = mean_logit_B2[2 * b + 1],
                           .chosen_first = is_first_B2[2 * b]};
  }
}

double sequence_tokens(const EncodedPair& pair) {
  const std::size_t prompts = pair.rejected_ids.empty() ? 1 : 2;
  return static_cast<double>(prompts * pair.prompt_ids.size() + pair.chosen_ids.size() + pair.rejected_ids.size());
}

}  // namespace

double loss_scale(const ForwardInputs& inputs, std::span<const std::int64_t> indices,
                  const std::function<double(std::int64_t pair)>& weight) {
  if (inputs.loss.type != LossType::kSft || inputs.loss.sft_average != SftAverage::kToken) return 1;
  double answer_tokens = 0;
  for (const std::int64_t index : indices) {
    const EncodedPair pair = inputs.pairs[static_cast<std::size_t>(index)];
    answer_tokens += weight(index) * static_cast<double>(pair.chosen_ids.size());
  }
  return answer_tokens > 0 ? static_cast<double>(indices.size()) / answer_tokens : 1;
}

PairForward forward_pairs(const ForwardInputs& inputs, std::span<const std::int64_t> indices, double scale,
                          const std::optional<DropoutDraw>& dropout, TokenNumbers token_numbers) {
  const torch::Device device = inputs.decoder.head_weight().device();
  const PackedBatch batch = pack_pairs(inputs.pairs, indices, device, dropout);
  PairTokenSums token_sums;
  const bool measures = token_numbers == TokenNumbers::kMeasured;
  const PairLogProbs policy = pair_log_probs(inputs.decoder, batch, measures ? &token_sums : nullptr);
  const PairLogProbs reference = reference_of(inputs, indices, policy, dropout.has_value());
  const PairTraits traits{.answer_tokens_B2 = batch.answer_tokens_B2,
                          .label_noise_B = label_noise_of(inputs, indices, policy.chosen_B)};
  const PairLosses losses = pair_losses(inputs.loss, policy, reference, traits);
  PairForward result{.loss_B = scale * losses.loss_B, .outcomes = {}};
  const PairRewards rewards = pair_rewards(inputs.loss, policy, reference);

  const auto loss_B = to_host(result.loss_B);
  const auto chosen_reward_B = to_host(rewards.chosen_B), rejected_reward_B = to_host(rewards.rejected_B);
  const auto nll_B = losses.nll_B.defined() ? to_host(losses.nll_B) : std::vector<double>(indices.size());
  const auto chosen_logp_B = to_host(policy.chosen_B), rejected_logp_B = to_host(policy.rejected_B);
  for (std::size_t b = 0; b < indices.size(); ++b) {
    const EncodedPair pair = inputs.pairs[static_cast<std::size_t>(indices[b])];
    result.outcomes.push_back({.loss = loss_B[b],
                               .chosen_reward = chosen_reward_B[b],
                               .rejected_reward = rejected_reward_B[b],
                               .chosen_logp = chosen_logp_B[b],
                               .rejected_logp = rejected_logp_B[b],
                               .nll = nll_B[b],
                               .tokens = static_cast<double>(pair.num_tokens()),
                               .sequence_tokens = sequence_tokens(pair)});
  }
  if (measures) add_token_sums(token_sums, result.outcomes);
  return result;
}

std::vector<std::int64_t> rank_part(const EncodedPairs& pairs, std::span<const std::int64_t> indices, RankInfo info) {
  const std::vector<std::int64_t> ordered = by_prompt(pairs, indices);
  const auto count = static_cast<std::int64_t>(ordered.size());
  return {ordered.begin() + count * info.rank / info.world_size,
          ordered.begin() + count * (info.rank + 1) / info.world_size};
}

}  // namespace equipoise

#include "worker/train/pair_forward.h"

#include <numeric>

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
                          const PairLogProbs& policy) {
  if (inputs.reference.chosen_N.empty()) {
    return {.chosen_B = torch::zeros_like(policy.chosen_B), .rejected_B = torch::zeros_like(policy.rejected_B)};
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

}  // namespace

double loss_scale(const ForwardInputs& inputs, std::span<const std::int64_t> indices,
                  std::span<const double> weight_B) {
  if (inputs.loss.type != LossType::kSft || inputs.loss.sft_average != SftAverage::kToken) return 1;
  double answer_tokens = 0;
  for (std::size_t b = 0; b < indices.size(); ++b) {
    const EncodedPair pair = inputs.pairs[static_cast<std::size_t>(indices[b])];
    answer_tokens += (weight_B.empty() ? 1 : weight_B[b]) * static_cast<double>(pair.chosen_ids.size());
  }
  return answer_tokens > 0 ? static_cast<double>(indices.size()) / answer_tokens : 1;
}

PairForward forward_pairs(const ForwardInputs& inputs, std::span<const std::int64_t> indices, double scale) {
  const torch::Device device = inputs.decoder.head_weight().device();
  const PackedBatch batch = pack_pairs(inputs.pairs, indices, device);
  const PairLogProbs policy = pair_log_probs(inputs.decoder, batch);
  const PairLogProbs reference = reference_of(inputs, indices, policy);
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
                               .tokens = static_cast<double>(pair.num_tokens())});
  }
  return result;
}

std::vector<std::int64_t> rank_slice(std::int64_t count, RankInfo info) {
  const std::int64_t first = count * info.rank / info.world_size;
  const std::int64_t last = count * (info.rank + 1) / info.world_size;
  std::vector<std::int64_t> indices(static_cast<std::size_t>(last - first));
  std::iota(indices.begin(), indices.end(), first);
  return indices;
}

}  // namespace equipoise

#include "worker/language_model/pair_forward.h"

#include <array>
#include <utility>

#include "worker/data/prompt_trees.h"
#include "worker/model/host_numbers.h"
#include "worker/model/wide_type.h"
#include "worker/objective/pair_loss.h"

namespace equipoise {
namespace {

PairLogProbs reference_of(const ForwardInputs& inputs, const PairBatch& batch, const PairLogProbs& policy) {
  if (batch.reference.chosen_B.defined()) return batch.reference;
  if (inputs.reference.chosen_N.empty()) {
    return {.chosen_B = torch::zeros_like(policy.chosen_B), .rejected_B = torch::zeros_like(policy.rejected_B)};
  }
  return {.chosen_B = policy.chosen_B.detach(), .rejected_B = policy.rejected_B.detach()};
}

struct PairPass {
  PairLogProbs policy, reference;
  PairLosses losses;  // multiplied by the scale
};

PairPass pass_over(const ForwardInputs& inputs, const PairBatch& batch, double scale, PairTokenSums* token_sums) {
  PairPass pass{.policy = pair_log_probs(inputs.decoder, batch.packed, token_sums), .reference = {}, .losses = {}};
  pass.reference = reference_of(inputs, batch, pass.policy);
  const PairTraits traits{.answer_tokens_B2 = batch.packed.answer_tokens_B2, .label_noise_B = batch.label_noise_B};
  pass.losses = pair_losses(inputs.loss, pass.policy, pass.reference, traits);
  pass.losses.loss_B = scale * pass.losses.loss_B;
  return pass;
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

torch::TensorOptions loss_options(const Decoder& decoder) {
  const torch::Tensor& weight = decoder.head_weight();
  return torch::TensorOptions().device(weight.device()).dtype(wide_type(weight.scalar_type()));
}

PairBatch make_pair_batch(const ForwardInputs& inputs, MicroBatch pairs, const std::optional<DropoutDraw>& dropout) {
  const torch::TensorOptions options = loss_options(inputs.decoder);
  PairBatch batch{.indices = std::move(pairs.indices),
                  .packed = pack_trees(pairs.trees, options.device(), dropout),
                  .reference = {},
                  .label_noise_B = {}};
  std::vector<double> numbers;  // of all pairs of the batch, one kind after the other
  const auto add = [&](const auto& number_of) {
    for (const std::int64_t index : batch.indices) numbers.push_back(number_of(static_cast<std::size_t>(index)));
  };
  const bool has_reference = !inputs.reference.chosen_N.empty() && (!inputs.policy_is_reference || dropout.has_value());
  const bool has_noise = inputs.label_noise != nullptr && inputs.label_noise->is_corrected();
  if (has_reference) add([&](std::size_t pair) { return inputs.reference.chosen_N[pair]; });
  if (has_reference) add([&](std::size_t pair) { return inputs.reference.rejected_N[pair]; });
  if (has_noise) add([&](std::size_t pair) { return inputs.label_noise->of(inputs.pairs[pair].memberships); });
  if (numbers.empty()) return batch;
  const torch::Tensor number_RB =
      torch::tensor(numbers, torch::kFloat64).view({-1, batch.packed.num_pairs}).to(options);
  if (has_reference) batch.reference = {.chosen_B = number_RB[0], .rejected_B = number_RB[1]};
  if (has_noise) batch.label_noise_B = number_RB[-1];
  return batch;
}

PairForward forward_pairs(const ForwardInputs& inputs, const PairBatch& batch, double scale,
                          TokenNumbers token_numbers) {
  if (inputs.progress != nullptr) inputs.progress->advance();
  PairTokenSums sums;
  const bool measures = token_numbers == TokenNumbers::kMeasured;
  const PairPass pass = pass_over(inputs, batch, scale, measures ? &sums : nullptr);
  const PairRewards rewards = pair_rewards(inputs.loss, pass.policy, pass.reference);
  const auto [loss_B, chosen_reward_B, rejected_reward_B, chosen_logp_B, rejected_logp_B, nll_B, tokens_B2, entropy_B2,
              mean_logit_B2, is_first_B2] = on_host(std::array{
      pass.losses.loss_B, rewards.chosen_B, rewards.rejected_B, pass.policy.chosen_B, pass.policy.rejected_B,
      pass.losses.nll_B, sums.tokens_B2, sums.entropy_B2, sums.mean_logit_B2, sums.is_first_B2});
  PairForward result{.loss_B = pass.losses.loss_B, .outcomes = {}};
  for (std::size_t b = 0; b < batch.indices.size(); ++b) {
    const EncodedPair pair = inputs.pairs[static_cast<std::size_t>(batch.indices[b])];
    result.outcomes.push_back({.loss = loss_B[b],
                               .chosen_reward = chosen_reward_B[b],
                               .rejected_reward = rejected_reward_B[b],
                               .chosen_logp = chosen_logp_B[b],
                               .rejected_logp = rejected_logp_B[b],
                               .nll = nll_B.empty() ? 0 : nll_B[b],
                               .tokens = static_cast<double>(pair.num_tokens()),
                               .sequence_tokens = sequence_tokens(pair)});
    if (!measures) continue;
    result.outcomes.back().answers = {.chosen_tokens = tokens_B2[2 * b],
                                      .rejected_tokens = tokens_B2[2 * b + 1],
                                      .entropy = entropy_B2[2 * b] + entropy_B2[2 * b + 1],
                                      .chosen_logits = mean_logit_B2[2 * b],
                                      .rejected_logits = mean_logit_B2[2 * b + 1],
                                      .chosen_first = is_first_B2[2 * b]};
  }
  return result;
}

torch::Tensor forward_losses(const ForwardInputs& inputs, const PairBatch& batch, double scale) {
  if (inputs.progress != nullptr) inputs.progress->advance();
  return pass_over(inputs, batch, scale, nullptr).losses.loss_B;
}

std::vector<std::int64_t> rank_part(const EncodedPairs& pairs, std::span<const std::int64_t> indices, RankInfo info) {
  const std::vector<std::int64_t> ordered = by_prompt(pairs, indices);
  const auto count = static_cast<std::int64_t>(ordered.size());
  return {ordered.begin() + count * info.rank / info.world_size,
          ordered.begin() + count * (info.rank + 1) / info.world_size};
}

}  // namespace equipoise

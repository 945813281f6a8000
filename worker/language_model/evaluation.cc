#include "worker/language_model/evaluation.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/base/error.h"

namespace equipoise {

void BestParameters::keep(const std::vector<NamedTensor>& parameters) {
  const torch::NoGradGuard no_grad;
  if (kept_.empty()) {
    for (const NamedTensor& parameter : parameters) {
      kept_.push_back(torch::empty_like(parameter.tensor, parameter.tensor.options().device(torch::kCPU)));
    }
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) kept_[i].copy_(parameters[i].tensor);
}

std::vector<NamedTensor> BestParameters::kept(const std::vector<NamedTensor>& parameters) const {
  std::vector<NamedTensor> named;
  for (std::size_t i = 0; i < kept_.size(); ++i) named.push_back({parameters[i].name, kept_[i]});
  return named;
}

void BestParameters::put_back(const std::vector<NamedTensor>& parameters) const {
  if (kept_.empty()) return;
  EQUIPOISE_CHECK(kept_.size() == parameters.size());
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < kept_.size(); ++i) torch::Tensor(parameters[i].tensor).copy_(kept_[i]);
}

namespace {

// A file's pairs among all pairs, and what takes the place of the scale that its losses have been given.
struct FilePart {
  std::int64_t end = 0;
  double rescale = 1;
};

std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(end - begin));
  std::iota(indices.begin(), indices.end(), begin);
  return indices;
}

std::vector<FilePart> file_parts(const ForwardInputs& inputs, std::span<const std::int64_t> pairs_F, double scale) {
  std::vector<FilePart> parts;
  std::int64_t begin = 0;
  for (const std::int64_t pairs : pairs_F) {
    const auto indices = range(begin, begin + pairs);
    // A mean of 1 in each file, as they have over all pairs.
    double sum = 0;
    for (const std::int64_t index : indices) sum += inputs.weight(index);
    const double factor = static_cast<double>(pairs) / sum;
    const auto weight = [&](std::int64_t index) { return inputs.weight(index) * factor; };
    parts.push_back({.end = begin + pairs, .rescale = loss_scale(inputs, indices, weight) / scale});
    begin += pairs;
  }
  return parts;
}

std::size_t file_of(std::span<const FilePart> parts, std::int64_t pair) {
  const auto part = std::ranges::upper_bound(parts, pair, {}, &FilePart::end);
  return static_cast<std::size_t>(part - parts.begin());
}

}  // namespace

EvaluationSums evaluate_files(const ForwardInputs& inputs, std::size_t num_groups, std::int64_t micro_batch_tokens,
                              std::span<const std::int64_t> pairs_F, Collective& host) {
  const torch::NoGradGuard no_grad;
  const auto count = static_cast<std::int64_t>(inputs.pairs.size());
  const auto all = range(0, count);
  const double scale = loss_scale(inputs, all, [&](std::int64_t index) { return inputs.weight(index); });
  const auto parts = file_parts(inputs, pairs_F, scale);
  const BatchSums none(num_groups, LossMean::kOverWeights);
  EvaluationSums sums{.all = none, .files = std::vector(parts.size(), none)};
  const auto add = [&](std::int64_t index, PairOutcome outcome) {
    const auto memberships = inputs.pairs[static_cast<std::size_t>(index)].memberships;
    const double weight = inputs.weight(index);
    sums.all.add(outcome, memberships, weight);
    if (parts.empty()) return;
    const std::size_t file = file_of(parts, index);
    outcome.loss *= parts[file].rescale;
    sums.files[file].add(outcome, memberships, weight);
  };
  const auto mine = rank_part(inputs.pairs, all, host.info());
  for_each_micro_batch(inputs.pairs, mine, micro_batch_tokens, [&](MicroBatch pairs) {
    const PairBatch batch = make_pair_batch(inputs, std::move(pairs));
    const PairForward forward = forward_pairs(inputs, batch, scale, TokenNumbers::kMeasured);
    for (std::size_t b = 0; b < batch.indices.size(); ++b) add(batch.indices[b], forward.outcomes[b]);
  });
  const auto reduce = [&](BatchSums& each) {
    each.all_reduce(host);
    each.reduce_errors(host);
  };
  reduce(sums.all);
  std::ranges::for_each(sums.files, reduce);
  return sums;
}

}  // namespace equipoise

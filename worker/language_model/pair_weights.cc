#include "worker/language_model/pair_weights.h"

#include <algorithm>

namespace equipoise {

PairWeights pair_weights(const EncodedPairs& pairs, std::span<const std::int64_t> pairs_P) {
  PairWeights weights{.weight_N = {}, .factor_P = std::vector<double>(pairs_P.size(), 1)};
  const auto columns = pairs.columns();
  if (std::ranges::all_of(columns, [](const PairColumns& some) { return some.weight_N.empty(); })) return weights;
  weights.weight_N.reserve(pairs.size());
  for (const EncodedPair pair : pairs) weights.weight_N.push_back(pair.weight);
  std::size_t begin = 0;
  for (std::size_t p = 0; p < pairs_P.size(); ++p) {
    const std::span part = std::span(weights.weight_N).subspan(begin, static_cast<std::size_t>(pairs_P[p]));
    begin += part.size();
    double sum = 0;
    for (const double weight : part) sum += weight;
    if (part.empty()) continue;
    weights.factor_P[p] = static_cast<double>(part.size()) / sum;
    for (double& weight : part) weight *= weights.factor_P[p];
  }
  return weights;
}

}  // namespace equipoise

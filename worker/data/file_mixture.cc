#include "worker/data/file_mixture.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/error.h"

namespace equipoise {

FileMixture::FileMixture(std::vector<std::int64_t> pairs_F, std::span<const double> weight_F)
    : pairs_F_(std::move(pairs_F)), share_F_(weight_F.begin(), weight_F.end()) {
  EQUIPOISE_CHECK(pairs_F_.size() == share_F_.size());
  for (std::size_t f = 0; f < pairs_F_.size(); ++f) {
    if (pairs_F_[f] > 0) continue;
    throw std::invalid_argument("file " + std::to_string(f) + " of the mixture has no pairs, expected at least one");
  }
  // The largest first: a sum of huge weights stays finite, and tiny ones count.
  const double largest = std::ranges::max(share_F_);
  for (double& share : share_F_) share /= largest;
  const double sum = std::accumulate(share_F_.begin(), share_F_.end(), 0.0);
  for (double& share : share_F_) share /= sum;
}

double FileMixture::multiplicity(std::size_t file) const {
  const auto pairs = static_cast<double>(std::accumulate(pairs_F_.begin(), pairs_F_.end(), std::int64_t{0}));
  return pairs * share_F_[file] / static_cast<double>(pairs_F_[file]);
}

std::vector<double> FileMixture::group_sizes(std::span<const std::vector<double>> count_FK) const {
  EQUIPOISE_CHECK(count_FK.size() == pairs_F_.size());
  std::vector<double> size_K;
  for (std::size_t f = 0; f < count_FK.size(); ++f) {
    size_K.resize(std::max(size_K.size(), count_FK[f].size()));
    for (std::size_t g = 0; g < count_FK[f].size(); ++g) size_K[g] += multiplicity(f) * count_FK[f][g];
  }
  return size_K;
}

Strata FileMixture::strata() const {
  Strata strata{.stratum_N = {}, .share_K = share_F_};
  for (std::size_t f = 0; f < pairs_F_.size(); ++f) {
    strata.stratum_N.insert(strata.stratum_N.end(), static_cast<std::size_t>(pairs_F_[f]),
                            static_cast<std::uint32_t>(f));
  }
  return strata;
}

}  // namespace equipoise

#include "common/dataset/strata.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("training.group_shares " + what); }

std::vector<double> group_sizes(std::span<const std::span<const Membership>> memberships_N, std::size_t num_groups) {
  std::vector<double> size_K(num_groups);
  for (const auto memberships : memberships_N) {
    for (const Membership& membership : memberships) size_K[membership.group] += membership.weight;
  }
  return size_K;
}

void check_shares(const std::vector<char>& is_stratum_K, const std::vector<std::string>& group_names,
                  const std::map<std::string, double>& group_shares) {
  for (const auto& [name, share] : group_shares) {
    const auto group = std::ranges::find(group_names, name);
    if (group == group_names.end()) refuse("names group " + quoted_text(name) + ", which the training data has not");
    if (is_stratum_K[static_cast<std::size_t>(group - group_names.begin())] != 0) continue;
    refuse("names group " + quoted_text(name) +
           ", but each of its pairs is in a smaller group too, whose share counts");
  }
  for (std::size_t g = 0; g < group_names.size(); ++g) {
    if (is_stratum_K[g] == 0 || group_shares.contains(group_names[g])) continue;
    refuse("has no share for group " + quoted_text(group_names[g]) + " of the training data");
  }
}

}  // namespace

std::vector<std::uint32_t> smallest_groups(std::span<const std::span<const Membership>> memberships_N,
                                           std::size_t num_groups) {
  const std::vector<double> size_K = group_sizes(memberships_N, num_groups);
  std::vector<std::uint32_t> stratum_N;
  stratum_N.reserve(memberships_N.size());
  for (const auto memberships : memberships_N) {
    const auto smaller = [&](const Membership& a, const Membership& b) {
      return size_K[a.group] != size_K[b.group] ? size_K[a.group] < size_K[b.group] : a.group > b.group;
    };
    stratum_N.push_back(std::ranges::min_element(memberships, smaller)->group);
  }
  return stratum_N;
}

Strata make_strata(std::vector<std::uint32_t> stratum_N, const std::vector<std::string>& group_names,
                   const std::map<std::string, double>& group_shares) {
  std::vector<char> is_stratum_K(group_names.size());
  for (const std::uint32_t stratum : stratum_N) is_stratum_K[stratum] = 1;
  if (!group_shares.empty()) check_shares(is_stratum_K, group_names, group_shares);
  Strata strata{.stratum_N = std::move(stratum_N), .share_K = std::vector<double>(group_names.size())};
  for (std::size_t g = 0; g < group_names.size(); ++g) {
    if (is_stratum_K[g] == 0) continue;
    strata.share_K[g] = group_shares.empty() ? 1 : group_shares.at(group_names[g]);
  }
  const double sum = std::accumulate(strata.share_K.begin(), strata.share_K.end(), 0.0);
  for (double& share : strata.share_K) share /= sum;
  return strata;
}

}  // namespace equipoise

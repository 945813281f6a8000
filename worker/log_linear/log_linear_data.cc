#include "worker/log_linear/log_linear_data.h"

#include <algorithm>
#include <span>
#include <stdexcept>

#include "common/base/quoted_text.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;
using log_linear::PairMatrix;
using log_linear::Problem;

PairMatrix read_pairs(const fs::path& path, const Problem& problem) {
  return log_linear::make_pair_matrix(problem, log_linear::read_preferences(path, problem));
}

void check_every_group_has_pairs(const fs::path& path, const PairMatrix& matrix) {
  const std::vector<double> count_K = matrix.group_counts();
  const auto empty = std::find(count_K.begin(), count_K.end(), 0.0);
  if (empty == count_K.end()) return;
  throw std::invalid_argument(path.string() + " has no pairs of group " + std::to_string(empty - count_K.begin()) +
                              ", expected some of each of the " + std::to_string(count_K.size()) +
                              " groups in policy.log_linear.reward");
}

void replace_counts(const std::map<std::string, double>& group_counts, LogLinearData& data) {
  if (group_counts.empty()) return;
  for (std::size_t g = 0; g < data.group_names.size(); ++g) {
    const auto count = group_counts.find(data.group_names[g]);
    if (count == group_counts.end()) {
      throw std::invalid_argument("data.group_counts has no count for group " + quoted_text(data.group_names[g]));
    }
    data.pair_count_K[g] = count->second;
  }
  for (const auto& [name, count] : group_counts) {
    if (std::find(data.group_names.begin(), data.group_names.end(), name) != data.group_names.end()) continue;
    throw std::invalid_argument("data.group_counts names group " + quoted_text(name) +
                                ", which the training data does not have");
  }
}

Digest digest_of(const PairMatrix& matrix) {
  Sha256 sha;
  sha.update(std::as_bytes(std::span(&matrix.dim, 1)));
  sha.update(std::as_bytes(std::span(matrix.group_N)));
  sha.update(std::as_bytes(std::span(matrix.x_ND)));
  return sha.finish();
}

}  // namespace

LogLinearData load_log_linear_data(const JobConfig& config) {
  const Problem& problem = config.log_linear->problem;
  LogLinearData data;
  data.train = read_pairs(config.data.train, problem);
  check_every_group_has_pairs(config.data.train, data.train);
  if (config.data.validation) {
    data.validation = read_pairs(*config.data.validation, problem);
    check_every_group_has_pairs(*config.data.validation, *data.validation);
  }
  if (config.data.test) data.test = log_linear::read_preferences(*config.data.test, problem);
  data.pair_count_K = data.train.group_counts();
  for (std::size_t g = 0; g < problem.groups(); ++g) data.group_names.push_back(std::to_string(g));
  replace_counts(config.data.group_counts, data);
  data.digest = digest_of(data.train);
  return data;
}

}  // namespace equipoise

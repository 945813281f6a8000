#include "worker/log_linear/log_linear_data.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "common/config/group_settings.h"
#include "worker/objective/labels.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;
using log_linear::PairMatrix;
using log_linear::Problem;

void check_every_group_has_pairs(const fs::path& path, const PairMatrix& matrix) {
  const std::vector<double> count_K = matrix.group_counts();
  const auto empty = std::find(count_K.begin(), count_K.end(), 0.0);
  if (empty == count_K.end()) return;
  throw std::invalid_argument(path.string() + " has no pairs of group " + std::to_string(empty - count_K.begin()) +
                              ", expected some of each of the " + std::to_string(count_K.size()) +
                              " groups in policy.log_linear.reward");
}

// Of files with the same fields the first is noted.
std::vector<log_linear::Preference> noted(const fs::path& path, const Problem& problem,
                                          std::vector<std::string>& notes) {
  log_linear::NotedPreferences file = log_linear::read_noted_preferences(path, problem);
  for (const std::string& note : file.notes) {
    const auto says_so = [&](const std::string& said) { return said.ends_with(note); };
    if (std::ranges::none_of(notes, says_so)) notes.push_back(path.string() + ": " + note);
  }
  return std::move(file.preferences);
}

struct ReadPairs {
  PairMatrix matrix;
  std::vector<double> chosen_share_N;
};

ReadPairs read_pairs(const fs::path& path, const Problem& problem, std::vector<std::string>& notes) {
  const std::vector<log_linear::Preference> preferences = noted(path, problem, notes);
  ReadPairs pairs{.matrix = log_linear::make_pair_matrix(problem, preferences), .chosen_share_N = {}};
  for (const log_linear::Preference& preference : preferences) pairs.chosen_share_N.push_back(preference.chosen_share);
  check_every_group_has_pairs(path, pairs.matrix);
  return pairs;
}

std::vector<double> floors(const JobConfig& config, const ReadPairs& pairs) {
  if (config.robust.baseline != Baseline::kLabelEntropy) return {};
  MeanLabelFloors floors(config.loss, pairs.matrix.groups);
  for (std::size_t i = 0; i < pairs.chosen_share_N.size(); ++i) {
    const Membership membership{.group = pairs.matrix.group_N[i], .weight = 1};
    floors.add(pairs.chosen_share_N[i], std::span(&membership, 1));
  }
  return floors.mean_K();
}

Digest digest_of(const PairMatrix& matrix, std::span<const double> chosen_share_N) {
  Sha256 sha;
  sha.update(std::as_bytes(std::span(&matrix.dim, 1)));
  sha.update(std::as_bytes(std::span(matrix.group_N)));
  sha.update(std::as_bytes(std::span(matrix.x_ND)));
  const bool is_unanimous = std::ranges::all_of(chosen_share_N, [](double share) { return share == 1; });
  if (!is_unanimous) sha.update(std::as_bytes(chosen_share_N));
  return sha.finish();
}

}  // namespace

LogLinearData load_log_linear_data(const JobConfig& config) {
  const Problem& problem = config.log_linear->problem;
  LogLinearData data;
  ReadPairs train = read_pairs(config.data.train, problem, data.notes);
  data.train_floor_K = floors(config, train);
  data.digest = digest_of(train.matrix, train.chosen_share_N);
  data.train = std::move(train.matrix);
  if (config.data.validation) {
    ReadPairs validation = read_pairs(*config.data.validation, problem, data.notes);
    data.validation_floor_K = floors(config, validation);
    data.validation_digest = digest_of(validation.matrix, validation.chosen_share_N);
    data.validation = std::move(validation.matrix);
  }
  if (config.data.test) data.test = noted(*config.data.test, problem, data.notes);
  data.counted_K = data.train.group_counts();
  for (std::size_t g = 0; g < problem.groups(); ++g) data.group_names.push_back(std::to_string(g));
  check_several_groups(config.robust.settings.mode, data.group_names,
                       "give policy.log_linear.reward a row for each group, or train with robust.mode none");
  data.pair_count_K = group_counts_for(config.data, data.group_names, data.counted_K);
  data.num_pairs = population_size(data.pair_count_K, data.counted_K, static_cast<double>(data.train.pairs()));
  if (sampling_for(config.training, data.group_names.size(), static_cast<std::int64_t>(data.train.pairs())) ==
      Sampling::kStratified) {
    data.strata = make_strata(data.train.group_N, data.group_names, config.training.group_shares);
  }
  return data;
}

}  // namespace equipoise

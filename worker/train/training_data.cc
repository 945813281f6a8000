#include "worker/train/training_data.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "common/dataset/preference_pair.h"
#include "worker/objective/label_floor.h"

namespace equipoise {
namespace {

EncodedDataset load_file(const std::filesystem::path& path, const JobConfig& config, const ModelTokenizer& tokenizer,
                         std::vector<std::string> known_groups, int threads) {
  const bool is_sft = config.loss.type == LossType::kSft;
  const PreferenceData data = read_preference_file(path, is_sft ? Rejected::kOptional : Rejected::kRequired,
                                                   std::move(known_groups), config.data.group_separator);
  return encode_pairs(data, tokenizer, config.data.max_length, threads, is_sft ? Answers::kChosen : Answers::kBoth);
}

void replace_group_counts(EncodedDataset& train, const std::map<std::string, double>& group_counts) {
  if (group_counts.empty()) return;
  for (std::size_t g = 0; g < train.group_names.size(); ++g) {
    const auto count = group_counts.find(train.group_names[g]);
    if (count == group_counts.end()) {
      throw std::invalid_argument("data.group_counts has no count for group \"" + train.group_names[g] +
                                  "\" of the training data");
    }
    train.pair_count_K[g] = count->second;
  }
  if (group_counts.size() == train.group_names.size()) return;
  for (const auto& [name, count] : group_counts) {
    if (std::find(train.group_names.begin(), train.group_names.end(), name) == train.group_names.end()) {
      throw std::invalid_argument("data.group_counts names group \"" + name + "\", which is not in the training data");
    }
  }
}

void check_groups_have_pairs(const EncodedDataset& train, const JobConfig& config) {
  for (std::size_t g = 0; g < train.group_names.size(); ++g) {
    if (train.pair_count_K[g] > 0) continue;
    throw std::invalid_argument(
        config.data.train.string() + ": group \"" + train.group_names[g] +
        "\" has no pair whose prompt is shorter than data.max_length = " + std::to_string(config.data.max_length));
  }
}

Strata strata_of(const EncodedDataset& train, const std::map<std::string, double>& group_shares) {
  std::vector<std::span<const Membership>> memberships_N;
  for (const EncodedPair& pair : train.pairs) memberships_N.emplace_back(pair.memberships);
  return make_strata(smallest_groups(memberships_N, train.group_names.size()), train.group_names, group_shares);
}

std::vector<double> label_floors(const EncodedDataset& dataset, const JobConfig& config) {
  if (config.robust.baseline != Baseline::kLabelEntropy) return {};
  MeanLabelFloors floors(config.loss, dataset.group_names.size());
  for (const EncodedPair& pair : dataset.pairs) floors.add(pair.chosen_share, pair.memberships);
  return floors.mean_K();
}

}  // namespace

TrainingData load_training_data(const JobConfig& config, const ModelTokenizer& tokenizer, int threads) {
  TrainingData data;
  data.train = load_file(config.data.train, config, tokenizer, {}, threads);
  check_groups_have_pairs(data.train, config);
  replace_group_counts(data.train, config.data.group_counts);
  data.digest = dataset_digest(data.train);
  data.train_floor_K = label_floors(data.train, config);
  if (config.training.sampling == Sampling::kStratified) {
    data.strata = strata_of(data.train, config.training.group_shares);
  }
  if (config.data.validation) {
    data.validation = load_file(*config.data.validation, config, tokenizer, data.train.group_names, threads);
    data.validation_floor_K = label_floors(data.validation, config);
  }
  return data;
}

EncodedDataset load_evaluation_data(const JobConfig& config, const ModelTokenizer& tokenizer, int threads) {
  return load_file(config.data.train, config, tokenizer, {}, threads);
}

}  // namespace equipoise

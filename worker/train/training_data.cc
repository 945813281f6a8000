#include "worker/train/training_data.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "common/base/cache_folder.h"
#include "worker/data/dataset_loader.h"
#include "worker/objective/label_floor.h"

namespace equipoise {
namespace {

DatasetLoader loader_of(const JobConfig& config, int threads) {
  const DataConfig& data = config.data;
  return DatasetLoader({.model = config.model.path,
                        .chat_template = config.model.chat_template,
                        .encode = {.max_length = data.max_length,
                                   .max_prompt_length = data.max_prompt_length,
                                   .truncation = data.truncation,
                                   .tokenization = data.tokenization,
                                   .answers = config.loss.type == LossType::kSft ? Answers::kChosen : Answers::kBoth,
                                   .chat_templates = nullptr},
                        .group_separator = data.group_separator,
                        .cache = data.token_cache ? cache_folder() : std::filesystem::path(),
                        .threads = threads});
}

// The data; how it was read goes to `files`.
EncodedDataset read(DatasetLoader& loader, const std::filesystem::path& file,
                    const std::vector<std::string>& known_groups, std::vector<FileReading>& files) {
  LoadedDataset loaded = loader.load(file, known_groups);
  files.push_back({.file = std::move(loaded.file),
                   .from_cache = loaded.from_cache,
                   .seconds = loaded.seconds,
                   .notes = std::move(loaded.notes)});
  return std::move(loaded.data);
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
        "\" has no pair that is not too long for data.max_length = " + std::to_string(config.data.max_length));
  }
}

Strata strata_of(const EncodedDataset& train, const std::map<std::string, double>& group_shares) {
  std::vector<std::span<const Membership>> memberships_N;
  for (const EncodedPair pair : train.pairs) memberships_N.emplace_back(pair.memberships);
  return make_strata(smallest_groups(memberships_N, train.group_names.size()), train.group_names, group_shares);
}

std::vector<double> label_floors(const EncodedDataset& dataset, const JobConfig& config) {
  if (config.robust.baseline != Baseline::kLabelEntropy) return {};
  MeanLabelFloors floors(config.loss, dataset.group_names.size());
  for (const EncodedPair pair : dataset.pairs) floors.add(pair.chosen_share, pair.memberships);
  return floors.mean_K();
}

}  // namespace

TrainingData load_training_data(const JobConfig& config, int threads) {
  TrainingData data;
  DatasetLoader loader = loader_of(config, threads);
  data.train = read(loader, config.data.train, {}, data.files);
  check_groups_have_pairs(data.train, config);
  replace_group_counts(data.train, config.data.group_counts);
  data.digest = dataset_digest(data.train);
  data.train_floor_K = label_floors(data.train, config);
  if (config.training.sampling == Sampling::kStratified) {
    data.strata = strata_of(data.train, config.training.group_shares);
  }
  if (config.data.validation) {
    data.validation = read(loader, *config.data.validation, data.train.group_names, data.files);
    data.validation_floor_K = label_floors(data.validation, config);
  }
  return data;
}

EncodedDataset load_evaluation_data(const JobConfig& config, int threads) {
  return loader_of(config, threads).load(config.data.train, {}).data;
}

}  // namespace equipoise

#include "worker/language_model/training_data.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/cache_folder.h"
#include "common/base/message_text.h"
#include "common/base/sha256.h"
#include "common/config/data_config.h"
#include "common/config/group_settings.h"
#include "common/dataset/preference_reader.h"
#include "worker/data/dataset_loader.h"
#include "worker/data/file_mixture.h"
#include "worker/language_model/file_agreement.h"
#include "worker/language_model/pair_weights.h"
#include "worker/objective/labels.h"

namespace equipoise {
namespace {

DatasetLoader loader_of(const JobConfig& config, int threads, std::function<void()> on_progress = {}) {
  const DataConfig& data = config.data;
  return DatasetLoader({.model = config.model.path,
                        .chat_template = config.model.chat_template,
                        .adapter = config.model.adapter,
                        .encode = {.max_length = data.max_length,
                                   .max_prompt_length = data.max_prompt_length,
                                   .truncation = data.truncation,
                                   .tokenization = data.tokenization,
                                   .answers = config.loss.type == LossType::kSft ? Answers::kChosen : Answers::kBoth,
                                   .chat_templates = nullptr},
                        .group_separator = data.group_separator,
                        .cache = data.token_cache ? cache_folder() : std::filesystem::path(),
                        .threads = threads,
                        .on_progress = std::move(on_progress)});
}

GroupSource group_source(const DataFile& file) {
  if (file.group) return {.columns = {"group"}, .constant = *file.group};
  return {.columns = file.group_columns, .constant = {}};
}

// Files one after the other.
struct ReadFiles {
  EncodedDataset data;
  std::vector<std::int64_t> pairs_F;
  std::vector<std::vector<double>> count_FK;  // N_g; a file does not know the groups that later ones bring
  std::vector<FileReading> readings;
  std::vector<FileFields> fields;
  std::vector<FileNote> notes = {};
  std::vector<double> weight_N = {};  // v_i; empty: all are 1
};

void note_fields(const LoadedDataset& loaded, std::vector<FileNote>& notes) {
  for (std::string& note : field_notes(loaded.data.fields)) notes.push_back({loaded.file, std::move(note)});
}

ReadFiles read(DatasetLoader& loader, const std::vector<DataFile>& files, std::vector<std::string> known_groups) {
  ReadFiles read;
  for (const DataFile& file : files) {
    LoadedDataset loaded = loader.load(file.path, known_groups, group_source(file));
    note_fields(loaded, read.notes);
    read.readings.push_back({.file = std::move(loaded.file),
                             .from_cache = loaded.from_cache,
                             .seconds = loaded.seconds,
                             .notes = std::move(loaded.notes),
                             .counts = count_file(loaded.data)});
    read.fields.push_back(
        file_fields(file.path.string(), loaded.data.fields, file.group_columns, file.group.has_value()));
    read.pairs_F.push_back(static_cast<std::int64_t>(loaded.data.size()));
    read.count_FK.push_back(loaded.data.pair_count_K);
    known_groups = loaded.data.group_names;
    if (read.readings.size() == 1) {
      read.data = std::move(loaded.data);
    } else {
      read.data.append(std::move(loaded.data));
    }
  }
  for (auto& count_K : read.count_FK) count_K.resize(read.data.group_names.size());
  return read;
}

// What could say the groups of a file whose pairs all have the same.
std::string group_hint(const DataFile& file) {
  constexpr int kRows = 1000;  // enough to meet every field
  GroupSource source = group_source(file);
  PreferenceReader reader(file.path, {.rejected = Rejected::kOptional,
                                      .group_columns = std::move(source.columns),
                                      .group = std::move(source.constant)});
  PreferencePair pair;
  for (int row = 0; row < kRows && reader.next(pair); ++row) continue;
  std::string columns;
  for (const std::string& name : reader.fields().unused) columns += (columns.empty() ? "" : ", ") + quoted_text(name);
  const std::string others = columns.empty() ? "" : " (other fields of the data: " + columns + ")";
  return "name the columns that say a pair's group in data.group_columns" + others + ", or train with robust.mode none";
}

// Divides weights and what they add up to by their mean: in each file, or over all of them.
void weigh(ReadFiles& read, bool file_by_file) {
  const std::vector<std::int64_t> all = {static_cast<std::int64_t>(read.data.size())};
  PairWeights weights = pair_weights(read.data.pairs, file_by_file ? read.pairs_F : all);
  read.weight_N = std::move(weights.weight_N);
  if (read.weight_N.empty()) return;
  const bool is_over_all = !file_by_file && read.readings.size() > 1;
  const std::string note = std::string("pairs count by their field \"weight\", divided by its mean") +
                           (is_over_all ? " over all files" : "");
  for (const FileReading& file : read.readings) read.notes.push_back({file.file, note});
  std::ranges::fill(read.data.pair_count_K, 0);
  for (std::size_t f = 0; f < read.count_FK.size(); ++f) {
    for (std::size_t g = 0; g < read.count_FK[f].size(); ++g) {
      read.count_FK[f][g] *= weights.factor_P[file_by_file ? f : 0];
      read.data.pair_count_K[g] += read.count_FK[f][g];
    }
  }
}

// What a user should know of the fields of all files stands once, with the first of them.
void tell_notes(ReadFiles& train, const ReadFiles& validation) {
  std::vector<FileNote> notes = train.notes;
  notes.insert(notes.end(), validation.notes.begin(), validation.notes.end());
  for (std::string& line : notes_of_files(notes)) train.readings.front().notes.push_back(std::move(line));
}

std::optional<FileMixture> mixture_of(const std::vector<DataFile>& files, const ReadFiles& read, int max_length) {
  if (!files.front().weight) return std::nullopt;
  std::vector<double> weight_F;
  for (std::size_t f = 0; f < files.size(); ++f) {
    weight_F.push_back(*files[f].weight);
    if (read.pairs_F[f] > 0) continue;
    throw std::invalid_argument(files[f].path.string() + ": no pair is short enough for data.max_length = " +
                                std::to_string(max_length) + ", expected some of a file with a weight");
  }
  return FileMixture(read.pairs_F, weight_F);
}

// The file named is the first that has the group.
void check_groups_have_pairs(const ReadFiles& read, int max_length) {
  for (std::size_t g = 0; g < read.data.group_names.size(); ++g) {
    if (read.data.pair_count_K[g] > 0) continue;
    const auto knows = [&](const FileReading& file) { return file.counts.group_names.size() > g; };
    throw std::invalid_argument(
        std::ranges::find_if(read.readings, knows)->file + ": group " + quoted_text(read.data.group_names[g]) +
        " has no pair that is not too long for data.max_length = " + std::to_string(max_length));
  }
}

Strata strata_of(const EncodedDataset& train, const std::map<std::string, double>& group_shares) {
  std::vector<std::span<const Membership>> memberships_N;
  for (const EncodedPair pair : train.pairs) memberships_N.push_back(pair.memberships);
  return make_strata(smallest_groups(memberships_N, train.group_names.size()), train.group_names, group_shares);
}

// Of pairs that count as often as the mixture says, by their weights.
std::vector<double> label_floors(const EncodedDataset& dataset, std::span<const double> weight_N,
                                 const JobConfig& config, const std::optional<FileMixture>& mixture) {
  if (config.robust.baseline != Baseline::kLabelEntropy) return {};
  MeanLabelFloors floors(config.loss, dataset.group_names.size());
  std::size_t file = 0;
  std::int64_t left = mixture ? mixture->pairs_F()[0] : 0;  // pairs of the file to come
  std::size_t i = 0;
  for (const EncodedPair pair : dataset.pairs) {
    if (mixture && left-- == 0) left = mixture->pairs_F()[++file] - 1;
    const double weight = weight_N.empty() ? 1 : weight_N[i++];
    floors.add(pair.chosen_share, pair.memberships, weight * (mixture ? mixture->multiplicity(file) : 1));
  }
  return floors.mean_K();
}

std::array<std::byte, 32> digest_of(const EncodedDataset& train, const std::optional<FileMixture>& mixture) {
  const auto digest = dataset_digest(train);
  if (!mixture) return digest;
  Sha256 sha;
  sha.update(digest);
  sha.update(std::as_bytes(std::span(mixture->pairs_F())));
  return sha.finish();
}

ReadFiles read_validation(DatasetLoader& loader, const JobConfig& config, const ReadFiles& train) {
  const auto files = validation_files(config.data);
  if (files.empty()) return {};
  ReadFiles validation = read(loader, files, train.data.group_names);
  weigh(validation, /*file_by_file=*/false);
  return validation;
}

void take_validation(ReadFiles validation, const JobConfig& config, TrainingData& data) {
  if (validation.readings.empty()) return;
  data.validation = std::move(validation.data);
  data.validation_weight_N = std::move(validation.weight_N);
  data.validation_floor_K = label_floors(data.validation, data.validation_weight_N, config, std::nullopt);
  data.validation_files = std::move(validation.readings);
  if (config.data.validation) return;
  for (const DataFile& file : validation_files(config.data)) data.validation_names.push_back(file.name);
  data.validation_pairs_F = std::move(validation.pairs_F);
  data.validation_counts_FK = std::move(validation.count_FK);
}

// Whether some pair is not in every group, or in one more than in another. Most data says so with its first pair.
bool do_groups_differ(const EncodedDataset& data) {
  if (data.group_names.size() < 2) return true;
  for (const EncodedPair pair : data.pairs) {
    if (pair.memberships.size() < data.group_names.size()) return true;
    for (const Membership& membership : pair.memberships) {
      if (membership.weight != pair.memberships.front().weight) return true;
    }
  }
  return false;
}

}  // namespace

TrainingData load_training_data(const JobConfig& config, int threads, std::function<void()> on_progress) {
  TrainingData data;
  DatasetLoader loader = loader_of(config, threads, std::move(on_progress));
  const auto files = training_files(config.data);
  ReadFiles train = read(loader, files, {});
  ReadFiles validation = read_validation(loader, config, train);
  check_files_agree(config, train.fields, validation.fields);
  check_groups_have_pairs(train, config.data.max_length);
  const RobustMode mode = config.robust.settings.mode;
  if (mode != RobustMode::kNone && train.data.group_names.size() == 1) {
    check_several_groups(mode, train.data.group_names, group_hint(files.front()));
  }
  check_groups_differ(mode, train.data.group_names, mode == RobustMode::kNone || do_groups_differ(train.data));
  const auto mixture = mixture_of(files, train, config.data.max_length);
  weigh(train, /*file_by_file=*/mixture.has_value());
  tell_notes(train, validation);
  for (std::string& note : group_notes(train.data, validation.data)) {
    train.readings.front().notes.push_back(std::move(note));
  }
  data.train = std::move(train.data);
  data.train_weight_N = std::move(train.weight_N);
  data.train_files = std::move(train.readings);
  if (mixture) data.train.pair_count_K = mixture->group_sizes(train.count_FK);
  data.counted_K = data.train.pair_count_K;
  data.train.pair_count_K = group_counts_for(config.data, data.train.group_names, data.counted_K);
  data.num_pairs = population_size(data.train.pair_count_K, data.counted_K, static_cast<double>(data.train.size()));
  data.digest = digest_of(data.train, mixture);
  data.train_floor_K = label_floors(data.train, data.train_weight_N, config, mixture);
  if (mixture) data.strata = mixture->strata();
  if (sampling_for(config.training, data.num_groups(), static_cast<std::int64_t>(data.train.size())) ==
      Sampling::kStratified) {
    data.strata = strata_of(data.train, config.training.group_shares);
  }
  take_validation(std::move(validation), config, data);
  return data;
}

EvaluationData load_evaluation_data(const JobConfig& config, int threads) {
  const DataFile file = training_files(config.data).front();
  LoadedDataset loaded = loader_of(config, threads).load(file.path, {}, group_source(file));
  std::vector<FileNote> on_fields;
  note_fields(loaded, on_fields);
  EvaluationData data{.pairs = std::move(loaded.data), .notes = notes_of_files(on_fields)};
  data.notes.insert(data.notes.end(), loaded.notes.begin(), loaded.notes.end());
  return data;
}

}  // namespace equipoise

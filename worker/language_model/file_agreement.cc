#include "worker/language_model/file_agreement.h"

#include <array>

#include "common/dataset/group_names.h"

namespace equipoise {
namespace {

constexpr std::array<std::string_view, 1> kGroup = {"group"};
constexpr std::array<std::string_view, 1> kShare = {"chosen_share"};
constexpr std::array<std::string_view, 2> kNumbers = {"weight", "ref_chosen_logps"};

}  // namespace

void check_files_agree(const JobConfig& config, std::span<const FileFields> train,
                       std::span<const FileFields> validation) {
  std::vector<FileFields> all(train.begin(), train.end());
  all.insert(all.end(), validation.begin(), validation.end());
  check_same_fields(all, kGroup);
  check_same_fields(train, kNumbers);
  check_same_fields(validation, kNumbers);
  if (config.robust.baseline == Baseline::kLabelEntropy) check_same_fields(all, kShare);
}

std::vector<std::string> group_notes(const EncodedDataset& train, const EncodedDataset& validation) {
  std::vector<std::string> notes =
      notes_on_similar_groups(validation.pairs.empty() ? train.group_names : validation.group_names);
  if (validation.pairs.empty()) return notes;
  const std::size_t K = train.group_names.size();
  const std::vector<std::string> others(validation.group_names.begin() + static_cast<std::ptrdiff_t>(K),
                                        validation.group_names.end());
  if (!others.empty()) {
    notes.push_back("the validation has groups that training does not have: " + list_of_groups(others));
  }
  std::vector<std::string> lacking;
  for (std::size_t g = 0; g < K; ++g) {
    if (!(validation.pair_count_K[g] > 0)) lacking.push_back(train.group_names[g]);
  }
  if (!lacking.empty())
    notes.push_back("the validation has no pairs of groups of training: " + list_of_groups(lacking));
  return notes;
}

}  // namespace equipoise

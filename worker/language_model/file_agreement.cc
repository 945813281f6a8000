#include "worker/language_model/file_agreement.h"

#include <array>
#include <map>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::array<std::string_view, 1> kGroup = {"group"};
constexpr std::array<std::string_view, 1> kShare = {"chosen_share"};
constexpr std::array<std::string_view, 2> kNumbers = {"weight", "ref_chosen_logps"};

std::string list_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  std::string list;
  for (std::size_t i = 0; i < names.size() && i < kMost; ++i) list += (i > 0 ? ", " : "") + quoted_text(names[i]);
  return list + (names.size() > kMost ? " and " + std::to_string(names.size() - kMost) + " more" : "");
}

std::string without_spaces_and_capitals(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (c != ' ') letters += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return letters;
}

void note_similar_names(const std::vector<std::string>& names, std::vector<std::string>& notes) {
  std::map<std::string, std::vector<std::string>> alike;
  for (const std::string& name : names) alike[without_spaces_and_capitals(name)].push_back(name);
  for (const auto& [letters, group] : alike) {
    if (group.size() < 2) continue;
    notes.push_back("groups " + list_of(group) + " differ in spaces or capital letters alone and are apart");
    if (notes.size() == 3) return;
  }
}

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
  std::vector<std::string> notes;
  note_similar_names(validation.pairs.empty() ? train.group_names : validation.group_names, notes);
  if (validation.pairs.empty()) return notes;
  const std::size_t K = train.group_names.size();
  const std::vector<std::string> others(validation.group_names.begin() + static_cast<std::ptrdiff_t>(K),
                                        validation.group_names.end());
  if (!others.empty()) {
    notes.push_back("the validation has groups that training does not have: " + list_of(others));
  }
  std::vector<std::string> lacking;
  for (std::size_t g = 0; g < K; ++g) {
    if (!(validation.pair_count_K[g] > 0)) lacking.push_back(train.group_names[g]);
  }
  if (!lacking.empty()) notes.push_back("the validation has no pairs of groups of training: " + list_of(lacking));
  return notes;
}

}  // namespace equipoise

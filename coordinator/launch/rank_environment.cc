#include "coordinator/launch/rank_environment.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>

namespace equipoise::coordinator {
namespace {

constexpr std::array<std::string_view, 4> kPassedPrefixes = {"NCCL_", "EQUIPOISE_", "CUDA_", "OMP_"};
constexpr const char* kList = "mca_base_env_list";
constexpr const char* kListDelimiter = "mca_base_env_list_delimiter";

std::string_view name_of(std::string_view variable) { return variable.substr(0, variable.find('=')); }

bool is_plain_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// NAME or NAME=value, as the operator's list has them.
std::vector<std::string> items_of_list(const McaParameters& mca) {
  const auto value = [&](const char* name, const std::string& absent) {
    if (const auto set = mca.of_environment.find(name); set != mca.of_environment.end()) return set->second;
    const auto set = mca.of_files.find(name);
    return set == mca.of_files.end() ? absent : set->second;
  };
  const std::string list = value(kList, ""), delimiter = value(kListDelimiter, ";");
  std::vector<std::string> items(1);
  for (const char c : list) {
    if (delimiter.find(c) == std::string::npos) {
      items.back() += c;
    } else {
      items.emplace_back();
    }
  }
  std::erase_if(items, [](const std::string& item) { return !is_plain_name(name_of(item)); });
  return items;
}

void remove_list(const McaParameters& mca, RankEnvironment& result) {
  for (const char* name : {kList, kListDelimiter}) {
    if (mca.of_environment.contains(name)) result.removed.push_back(std::string("OMPI_MCA_") + name);
  }
}

}  // namespace

RankEnvironment rank_environment(std::span<const std::string> environment, const McaParameters& mca,
                                 std::span<const std::string> named, Allocation allocation) {
  RankEnvironment result;
  std::set<std::string> wanted(named.begin(), named.end());
  std::set<std::string> passed{kAttemptTokenVariable};
  for (const std::string& item : items_of_list(mca)) {
    wanted.insert(std::string(name_of(item)));
    if (item.find('=') == std::string::npos) continue;
    result.added.push_back(item);
    passed.insert(std::string(name_of(item)));
  }
  for (const std::string& variable : environment) {
    const std::string name(name_of(variable));
    const bool has_prefix =
        std::ranges::any_of(kPassedPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (is_plain_name(name) && (has_prefix || wanted.contains(name))) passed.insert(name);
  }
  result.passed.assign(passed.begin(), passed.end());
  result.removed = variables_hidden_from_mpirun(allocation);
  remove_list(mca, result);
  // With it mpirun goes on without a rank that has died, and ends with 0.
  result.removed.emplace_back("OMPI_MCA_orte_enable_recovery");
  if (allocation == Allocation::kUsed) return result;
  // A batch system's ways to find and start ranks, which fail outside of its jobs.
  for (const char* name : {"OMPI_MCA_ess", "OMPI_MCA_plm", "OMPI_MCA_ras"}) result.removed.emplace_back(name);
  return result;
}

}  // namespace equipoise::coordinator

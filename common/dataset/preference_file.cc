#include <utility>

#include "common/dataset/preference_pair.h"
#include "common/dataset/preference_reader.h"

namespace equipoise {

PreferenceData read_preference_file(const std::filesystem::path& path, Rejected rejected,
                                    std::vector<std::string> known_groups, std::string_view group_separator) {
  PreferenceReader reader(
      path,
      {.rejected = rejected, .known_groups = std::move(known_groups), .group_separator = std::string(group_separator)});
  PreferenceData data;
  for (PreferencePair pair; reader.next(pair);) data.pairs.push_back(pair);
  data.group_names = reader.group_names();
  data.source = path.string();
  return data;
}

}  // namespace equipoise

#include "client/command_line/preference_flags.h"

namespace equipoise {

namespace {

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = list.find(',', begin)) != std::string::npos; begin = end + 1) {
    parts.push_back(list.substr(begin, end - begin));
  }
  parts.push_back(list.substr(begin));
  return parts;
}

}  // namespace

std::vector<std::string> GroupFlags::columns() const { return parts_of(group_columns); }

void add_group_flags(CLI::App& verb, GroupFlags& flags) {
  verb.add_option("--group", flags.group, "The group of all pairs, whatever the files say")->type_name("NAME");
  verb.add_option("--group-columns", flags.group_columns, "Fields that say the group; several are crossed")
      ->type_name("NAME,...")
      ->capture_default_str();
  verb.add_option("--group-separator", flags.group_separator, "Levels of group names: \"/\" puts A/B into A as well")
      ->type_name("TEXT");
}

PreferenceReadSettings PreferenceFlags::settings() const {
  return {.rejected = sft ? Rejected::kOptional : Rejected::kRequired,
          .group_separator = groups.group_separator,
          .group_columns = groups.columns(),
          .group = groups.group};
}

void add_preference_flags(CLI::App& verb, PreferenceFlags& flags) {
  verb.add_option("FILE", flags.files,
                  "JSONL, Parquet, an Arrow stream, or a folder that `datasets` saved; FOLDER/SPLIT")
      ->type_name("")
      ->required();
  add_group_flags(verb, flags.groups);
  verb.add_flag("--sft", flags.sft, "Pairs may lack \"rejected\"");
}

}  // namespace equipoise

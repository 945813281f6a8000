#include "client/convert/given_settings.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "common/base/bounded_file.h"
#include "common/base/message_text.h"
#include "common/config/yaml_message.h"

namespace equipoise {
namespace {

constexpr std::uintmax_t kMostSettingsBytes = std::uintmax_t{1} << 20;  // settings, not data

std::string with_underscores(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

bool is_null(const YAML::Node& value) {
  return value.IsNull() || (value.IsScalar() && (value.Scalar() == "None" || value.Scalar() == "null"));
}

void give(const std::string& name, const YAML::Node& value, const std::string& place, GivenSettings& given) {
  if (is_null(value)) {
    given.erase(name);
    // Without a length TRL cuts nothing, which a job cannot say: the one setting whose null is not its absence.
    if (name == "max_length") given[name] = {YAML::Node("null"), place};
  } else {
    given[name] = {value, place};
  }
}

bool is_flag(const std::string& word) { return word.size() > 2 && word.starts_with("--"); }

// A list or a mapping in JSON, which is YAML; else the word as it is, whatever YAML could read in "a: b" or "#1".
YAML::Node word_value(const std::string& flag, const std::string& word) {
  const bool has_parts = word.starts_with('[') || word.starts_with('{');
  return has_parts ? parse_yaml(YamlSource::text(flag), word) : YAML::Node(word);
}

YAML::Node flag_value(const std::string& flag, const std::vector<std::string>& words) {
  if (words.empty()) return YAML::Node("true");
  if (words.size() == 1) return word_value(flag, words.front());
  YAML::Node list(YAML::NodeType::Sequence);
  for (const std::string& word : words) list.push_back(word_value(flag, word));
  return list;
}

}  // namespace

void read_given_file(const std::filesystem::path& file, GivenSettings& given) {
  const YamlSource source = YamlSource::file(file.string());
  const std::string text = read_bounded_file(file, kMostSettingsBytes, "a configuration");
  const YAML::Node document = parse_yaml(source, text);
  if (!document.IsMap()) source.refuse(document.Mark(), "expected a mapping of settings such as learning_rate: 1e-6");
  std::set<std::string> seen;
  for (const auto& entry : document) {
    if (!entry.first.IsScalar()) source.refuse(entry.first.Mark(), "a key is no name, expected one such as beta");
    const std::string name = with_underscores(entry.first.Scalar());
    if (!seen.insert(name).second) source.refuse(entry.first.Mark(), quoted_text(name) + " is given twice");
    give(name, entry.second, file.string() + ":" + std::to_string(entry.first.Mark().line + 1), given);
  }
}

void read_given_flags(std::span<const std::string> flags, const TrainerTable& table, GivenSettings& given) {
  for (std::size_t i = 0; i < flags.size();) {
    if (!is_flag(flags[i])) {
      throw std::invalid_argument(quoted_text(flags[i]) + " is no flag of " + std::string(table.title) +
                                  ", expected one such as --beta 0.1");
    }
    const std::size_t equals = flags[i].find('=');
    const std::string flag = flags[i].substr(0, equals);
    std::string name = with_underscores(flag.substr(2));
    std::vector<std::string> words;
    if (equals != std::string::npos) words.push_back(flags[i].substr(equals + 1));
    for (++i; equals == std::string::npos && i < flags.size() && !is_flag(flags[i]); ++i) words.push_back(flags[i]);
    YAML::Node value = flag_value(flag, words);
    const bool denies = name.starts_with("no_") && table.find(name) == nullptr && words.empty();
    if (denies) {
      name.erase(0, 3);
      value = YAML::Node("false");
    }
    give(name, value, flag, given);
  }
}

GivenSettings default_settings(const TrainerTable& table) {
  GivenSettings given;
  for (const auto& entry : parse_yaml(YamlSource::text("defaults"), std::string(table.defaults))) {
    given[entry.first.Scalar()] = {entry.second, ""};
  }
  return given;
}

}  // namespace equipoise

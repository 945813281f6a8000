#include "common/dataset/preference_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/base/number_text.h"
#include "common/base/quoted_text.h"

namespace equipoise {
namespace {

using Json = nlohmann::ordered_json;

const std::string& checked_text(const char* field, const std::string& text) {
  if (is_utf8(text)) return text;
  throw std::invalid_argument(std::string("field \"") + field + "\" is " + quoted_text(text) +
                              ", expected Unicode text");
}

Json checked_json(const char* field, const std::string& text) {
  Json json = Json::parse(checked_text(field, text), nullptr, false);
  if (!json.is_discarded()) return json;
  throw std::invalid_argument(std::string("field \"") + field + "\" is " + quoted_text(text) + ", expected JSON");
}

void add_messages(const PreferencePair& pair, Json& line) {
  line["prompt"] = checked_json("prompt", pair.prompt);
  line["chosen"] = checked_json("chosen", pair.chosen);
  if (!pair.rejected.empty()) line["rejected"] = checked_json("rejected", pair.rejected);
  if (!pair.tools.empty()) line["tools"] = checked_json("tools", pair.tools);
  if (pair.template_variables.empty()) return;
  line["chat_template_kwargs"] = checked_json("chat_template_kwargs", pair.template_variables);
}

const std::string& name_of(const Membership& membership, std::span<const std::string> group_names) {
  if (membership.group >= group_names.size()) {
    throw std::invalid_argument("a pair is in group " + std::to_string(membership.group) + ", expected one below " +
                                std::to_string(group_names.size()));
  }
  return checked_text("group", group_names[membership.group]);
}

Json group_json(const std::vector<Membership>& memberships, std::span<const std::string> group_names) {
  if (memberships.empty()) throw std::invalid_argument("a pair is in no group, expected at least one");
  const bool whole = std::all_of(memberships.begin(), memberships.end(), [](auto m) { return m.weight == 1; });
  if (whole && memberships.size() == 1) return name_of(memberships[0], group_names);
  Json group = whole ? Json::array() : Json::object();
  for (const Membership& membership : memberships) {
    const std::string& name = name_of(membership, group_names);
    if (whole) group.push_back(name);
    if (!whole) group[name] = membership.weight;
  }
  return group;
}

}  // namespace

std::string preference_line(const PreferencePair& pair, std::span<const std::string> group_names) {
  Json line;
  if (pair.form == AnswerForm::kText) {
    line["prompt"] = checked_text("prompt", pair.prompt);
    line["chosen"] = checked_text("chosen", pair.chosen);
    line["rejected"] = checked_text("rejected", pair.rejected);
  } else {
    add_messages(pair, line);
  }
  line["group"] = group_json(pair.memberships, group_names);
  if (!(pair.chosen_share > 0 && pair.chosen_share <= 1)) {
    throw std::invalid_argument("field \"chosen_share\" is " + number_text(pair.chosen_share) +
                                ", expected a number in (0, 1]");
  }
  if (pair.chosen_share != 1) line["chosen_share"] = pair.chosen_share;
  return line.dump();
}

void write_preference_file(const PreferenceData& data, const std::filesystem::path& path) {
  DurableFile file(path);
  for (const PreferencePair& pair : data.pairs) file.write(preference_line(pair, data.group_names) + "\n");
  file.commit();
}

}  // namespace equipoise

#include "client/data/preference_writer.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

using Json = nlohmann::ordered_json;

const std::string& checked_text(const char* field, const std::string& text) {
  if (simdjson::validate_utf8(text)) return text;
  throw std::invalid_argument(std::string("field \"") + field + "\" is " + quoted_text(text) +
                              ", expected Unicode text");
}

Json checked_json(const char* field, const std::string& text) {
  Json json = Json::parse(checked_text(field, text), nullptr, false);
  if (!json.is_discarded()) return json;
  throw std::invalid_argument(std::string("field \"") + field + "\" is " + quoted_text(text) + ", expected JSON");
}

// Of a byte that stands for itself 0, else what follows the backslash; 'u' is followed by four digits.
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> escapes{};
  for (std::size_t control = 0; control < 0x20; ++control) escapes[control] = 'u';
  for (const auto& [byte, letter] : {std::pair('\b', 'b'), {'\t', 't'}, {'\n', 'n'}, {'\f', 'f'}, {'\r', 'r'}}) {
    escapes[static_cast<unsigned char>(byte)] = letter;
  }
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  return escapes;
}();

void append_json_text(std::string_view value, std::string& text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  text += '"';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto byte = static_cast<unsigned char>(value[i]);
    const char escape = kEscapes[byte];
    if (escape == 0) continue;
    text.append(value, begin, i - begin);
    text += '\\';
    text += escape;
    if (escape == 'u') text.append("00").append({kDigits[byte >> 4], kDigits[byte & 15]});
    begin = i + 1;
  }
  text.append(value, begin);
  text += '"';
}

void append_texts(const PreferencePair& pair, Rejected rejected, std::string& text) {
  text += R"({"prompt":)";
  append_json_text(checked_text("prompt", pair.prompt), text);
  text += R"(,"chosen":)";
  append_json_text(checked_text("chosen", pair.chosen), text);
  if (rejected == Rejected::kOptional && pair.rejected.empty()) return;
  text += R"(,"rejected":)";
  append_json_text(checked_text("rejected", pair.rejected), text);
}

void append_messages(const PreferencePair& pair, std::string& text) {
  text += R"({"prompt":)" + checked_json("prompt", pair.prompt).dump();
  text += R"(,"chosen":)" + checked_json("chosen", pair.chosen).dump();
  if (!pair.rejected.empty()) text += R"(,"rejected":)" + checked_json("rejected", pair.rejected).dump();
  if (!pair.tools.empty()) text += R"(,"tools":)" + checked_json("tools", pair.tools).dump();
  if (pair.template_variables.empty()) return;
  text += R"(,"chat_template_kwargs":)" + checked_json("chat_template_kwargs", pair.template_variables).dump();
}

const std::string& name_of(const Membership& membership, std::span<const std::string> group_names) {
  if (membership.group >= group_names.size()) {
    throw std::invalid_argument("a pair is in group " + std::to_string(membership.group) + ", expected one below " +
                                std::to_string(group_names.size()));
  }
  return checked_text("group", group_names[membership.group]);
}

void append_groups(const std::vector<Membership>& memberships, std::span<const std::string> group_names,
                   std::string& text) {
  if (memberships.empty()) throw std::invalid_argument("a pair is in no group, expected at least one");
  const bool whole = std::all_of(memberships.begin(), memberships.end(), [](auto m) { return m.weight == 1; });
  if (whole && memberships.size() == 1) return append_json_text(name_of(memberships[0], group_names), text);
  text += whole ? '[' : '{';
  for (const Membership& membership : memberships) {
    if (&membership != &memberships.front()) text += ',';
    append_json_text(name_of(membership, group_names), text);
    if (!whole) text += ':' + Json(membership.weight).dump();
  }
  text += whole ? ']' : '}';
}

void check_numbers(const PreferencePair& pair) {
  if (!(pair.chosen_share > 0 && pair.chosen_share <= 1)) {
    throw std::invalid_argument("field \"chosen_share\" is " + number_text(pair.chosen_share) +
                                ", expected a number in (0, 1]");
  }
  if (pair.weight > 0 && std::isfinite(pair.weight)) return;
  throw std::invalid_argument("field \"weight\" is " + number_text(pair.weight) + ", expected a number above 0");
}

void append_numbers(const PreferencePair& pair, std::string& text) {
  check_numbers(pair);
  const auto append = [&](const char* field, double number) { text += field + Json(number).dump(); };
  if (pair.says_share || pair.chosen_share != 1) append(R"(,"chosen_share":)", pair.chosen_share);
  if (pair.says_weight || pair.weight != 1) append(R"(,"weight":)", pair.weight);
  if (!pair.reference) return;
  append(R"(,"ref_chosen_logps":)", pair.reference->chosen);
  append(R"(,"ref_rejected_logps":)", pair.reference->rejected);
}

}  // namespace

void append_preference_line(const PreferencePair& pair, std::span<const std::string> group_names, Rejected rejected,
                            std::string& text) {
  if (pair.form == AnswerForm::kText) append_texts(pair, rejected, text);
  if (pair.form == AnswerForm::kMessages) append_messages(pair, text);
  text += R"(,"group":)";
  append_groups(pair.memberships, group_names, text);
  append_numbers(pair, text);
  text += "}\n";
}

std::string preference_line(const PreferencePair& pair, std::span<const std::string> group_names) {
  std::string line;
  append_preference_line(pair, group_names, Rejected::kRequired, line);
  line.pop_back();
  return line;
}

void write_lines(const PreferenceData& data, DurableFile& file) {
  // A field is on all lines or on none.
  const bool shares = std::ranges::any_of(data.pairs, [](const auto& pair) { return pair.chosen_share != 1; });
  const bool weights = std::ranges::any_of(data.pairs, [](const auto& pair) { return pair.weight != 1; });
  for (PreferencePair pair : data.pairs) {
    pair.says_share = pair.says_share || shares;
    pair.says_weight = pair.says_weight || weights;
    file.write(preference_line(pair, data.group_names) + "\n");
  }
}

}  // namespace equipoise

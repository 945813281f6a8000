#include "client/table/json_document.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/base/error.h"

namespace equipoise {
namespace {

using DocumentJson = nlohmann::ordered_json;
using ErrorHandler = DocumentJson::error_handler_t;

// Whether YAML reads the bare word as this text, and nobody takes it for anything else.
bool is_plain_word(std::string_view text) {
  constexpr std::array<std::string_view, 9> kReserved = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_part = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '/';
  };
  if (text.empty() || (!is_letter(text.front()) && text.front() != '/')) return false;
  if (!std::ranges::all_of(text, is_part)) return false;
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::ranges::find(kReserved, lower) == kReserved.end();
}

struct YamlEscape {
  std::string_view character, escape;
};

// Line ends and marks of YAML that JSON leaves as they are. U+0080 to U+009F are told by their first byte.
constexpr std::array kYamlEscapes = {YamlEscape{"\x7f", "\\x7f"},           YamlEscape{"\u2028", "\\u2028"},
                                     YamlEscape{"\u2029", "\\u2029"},       YamlEscape{"\ufeff", "\\ufeff"},
                                     YamlEscape{"\xef\xbf\xbe", "\\ufffe"}, YamlEscape{"\xef\xbf\xbf", "\\uffff"}};

// A text in double quotes is the same in both, but for characters that YAML does not take.
std::string yaml_text(const std::string& text) {
  if (is_plain_word(text)) return text;
  const std::string quoted = DocumentJson(text).dump(-1, ' ', /*ensure_ascii=*/false, ErrorHandler::replace);
  std::string yaml;
  for (std::size_t i = 0; i < quoted.size();) {
    const std::string_view rest = std::string_view(quoted).substr(i);
    const auto second = static_cast<unsigned char>(rest.size() > 1 ? rest[1] : 0);
    const auto* const known =
        std::ranges::find_if(kYamlEscapes, [&](const YamlEscape& one) { return rest.starts_with(one.character); });
    if (known != kYamlEscapes.end()) {
      yaml += known->escape;
      i += known->character.size();
    } else if (rest.front() == '\xc2' && second < 0xa0) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      yaml.append("\\x").append({kDigits[second / 16], kDigits[second % 16]});
      i += 2;
    } else {
      yaml += quoted[i++];
    }
  }
  return yaml;
}

// Readers of YAML 1.1 take 1e-07 for a text.
std::string yaml_number(const DocumentJson& value) {
  std::string text = value.dump();
  const std::size_t exponent = text.find('e');
  if (value.is_number_float() && exponent != std::string::npos && text.find('.') == std::string::npos) {
    text.insert(exponent, ".0");
  }
  return text;
}

bool is_nested(const DocumentJson& value) { return value.is_structured() && !value.empty(); }

std::string yaml_scalar(const DocumentJson& value) {
  if (value.is_string()) return yaml_text(value.get_ref<const std::string&>());
  return yaml_number(value);  // true, null, [] and {} too
}

// `indent` blanks stand before every line but the first.
void add_yaml(const DocumentJson& value, std::size_t indent, std::string& yaml) {
  if (!is_nested(value)) {
    yaml += yaml_scalar(value) + "\n";
    return;
  }
  bool is_first = true;
  for (const auto& [key, item] : value.items()) {
    if (!is_first) yaml.append(indent, ' ');
    is_first = false;
    if (value.is_array()) {
      yaml += "- ";
      add_yaml(item, indent + 2, yaml);
      continue;
    }
    yaml += yaml_text(key) + ":";
    if (!is_nested(item)) {
      yaml += " " + yaml_scalar(item) + "\n";
      continue;
    }
    const std::size_t inner = item.is_array() ? indent : indent + 2;
    yaml += "\n";
    yaml.append(inner, ' ');
    add_yaml(item, inner, yaml);
  }
}

}  // namespace

std::string json_document(const DocumentJson& value) {
  return value.dump(2, ' ', /*ensure_ascii=*/false, ErrorHandler::replace) + "\n";
}

std::string yaml_of_json(const std::string& json) {
  const DocumentJson value = DocumentJson::parse(json, nullptr, /*allow_exceptions=*/false);
  EQUIPOISE_CHECK(!value.is_discarded());
  std::string yaml;
  add_yaml(value, 0, yaml);
  return yaml;
}

}  // namespace equipoise

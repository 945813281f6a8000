#include "client/convert/trainer_settings.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "common/base/error.h"

namespace equipoise {
namespace {

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view fate(SettingRule rule) { return rule == SettingRule::kRefused ? "refused" : "no effect"; }

// The rows that an axolotl's or LLaMA-Factory's setting has in a job are those of its name in TRL.
std::string place_in_job(const TrainerSetting& setting) {
  if (setting.rule != SettingRule::kRenamed) return std::string(setting.ours);
  const TrainerSetting* const in_trl = trainer_table(Trainer::kTrl).find(setting.ours);
  EQUIPOISE_CHECK(in_trl != nullptr);
  return std::string(in_trl->ours.empty() ? fate(in_trl->rule) : in_trl->ours);
}

// "`a`, `b`"
std::string as_code(std::string_view names) {
  std::string text;
  for (const std::string_view name : words_of(names)) {
    if (!text.empty()) text += ", ";
    text.append("`").append(name).append("`");
  }
  return text;
}

std::string value_texts(const TrainerSetting& setting) {
  std::string text;
  for (const std::string_view pair : words_of(setting.values)) {
    if (!text.empty()) text += ", ";
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      text.append("`").append(pair).append("`");
    } else if (equals + 1 == pair.size()) {
      text.append("`").append(pair.substr(0, equals)).append("` as if not given");
    } else if (pair.substr(0, equals) == pair.substr(equals + 1)) {
      text.append("`").append(pair.substr(0, equals)).append("`");
    } else {
      text.append("`").append(pair.substr(0, equals)).append("` is `").append(pair.substr(equals + 1)).append("`");
    }
  }
  if (text.empty()) return text;
  return setting.rule == SettingRule::kRefused ? "unless it is " + text : text;
}

}  // namespace

std::span<const TrainerTable> trainer_tables() {
  static const std::array<TrainerTable, 3> kTables = {trl_table(), axolotl_table(), llama_factory_table()};
  return kTables;
}

const TrainerTable& trainer_table(Trainer trainer) { return trainer_tables()[static_cast<std::size_t>(trainer)]; }

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::optional<std::string_view> translated(std::string_view values, std::string_view value) {
  for (const std::string_view pair : words_of(values)) {
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (!same_word(pair.substr(0, equals), value)) continue;
    return equals == pair.size() ? pair : pair.substr(equals + 1);
  }
  return std::nullopt;
}

const TrainerSetting* TrainerTable::find(std::string_view searched) const {
  for (const std::span<const TrainerSetting> part : settings) {
    for (const TrainerSetting& setting : part) {
      const std::vector<std::string_view> names = words_of(setting.names);
      if (std::ranges::find(names, searched) != names.end()) return &setting;
    }
  }
  return nullptr;
}

std::string_view own_name(const TrainerTable& table, std::string_view trl_name) {
  for (const std::span<const TrainerSetting> part : table.settings) {
    for (const TrainerSetting& setting : part) {
      if (setting.rule == SettingRule::kRenamed && setting.ours == trl_name) return words_of(setting.names).front();
    }
  }
  return trl_name;
}

std::string settings_markdown(const TrainerTable& table) {
  std::string text;
  text.append("| ").append(table.title).append(" | in a job | |\n| --- | --- | --- |\n");
  for (const std::span<const TrainerSetting> part : table.settings) {
    for (const TrainerSetting& setting : part) {
      const std::string place = place_in_job(setting);
      const bool is_key = !place.empty() && place.find(' ') == std::string::npos && place != "refused";
      std::string more = value_texts(setting);
      if (!more.empty() && !setting.note.empty()) more += "; ";
      more += setting.note;
      text += "| " + as_code(setting.names) + " | ";
      text += is_key ? "`" + place + "`" : place.empty() ? std::string(fate(setting.rule)) : place;
      text += more.empty() ? " | |\n" : " | " + more + " |\n";
    }
  }
  return text;
}

}  // namespace equipoise

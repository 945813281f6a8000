#include "client/convert/conversion.h"

#include <algorithm>

#include "client/convert/trl_job.h"
#include "common/base/message_text.h"
#include "common/base/nearest_name.h"
#include "common/config/job_config.h"

namespace equipoise {
namespace {

std::vector<std::string> known_names(const TrainerTable& table) {
  std::vector<std::string> names;
  for (const auto& part : table.settings) {
    for (const TrainerSetting& setting : part) {
      for (const std::string_view name : words_of(setting.names)) names.emplace_back(name);
    }
  }
  return names;
}

// "[]" of an empty list, "{}" of an empty mapping; empty where it is more than one value.
std::string short_text(const YAML::Node& value) {
  if (value.IsScalar()) return value.Scalar();
  if (value.size() > 0) return "";
  return value.IsSequence() ? "[]" : "{}";
}

// The words of YAML 1.1, which Python's reader takes for the same.
std::string truth_word(const std::string& text) {
  const auto word = translated("yes=true on=true no=false off=false", text);
  return word ? std::string(*word) : text;
}

// The value of `setting` by our names; nothing where it counts as not given, or is refused.
std::optional<YAML::Node> translated_value(const TrainerSetting& setting, const std::string& name,
                                           const GivenSetting& given, TrlJob& job) {
  if (setting.values.empty()) return given.value;
  const std::string text = short_text(given.value);
  auto ours = translated(setting.values, text);
  if (!ours) ours = translated(setting.values, truth_word(text));
  if (!ours) {
    std::string choice;
    for (const std::string_view pair : words_of(setting.values)) {
      choice.append(choice.empty() ? "" : ", ").append(pair.substr(0, pair.find('=')));
    }
    job.fault(name, "is " + (text.empty() ? "no single value" : quoted_text(text)) + ", expected one of: " + choice);
    return std::nullopt;
  }
  if (ours->empty()) return std::nullopt;
  return YAML::Node(std::string(*ours));
}

// "{pad_token}" in `values`: a mapping of this key alone.
bool has_harmless_key(std::string_view values, const YAML::Node& given) {
  if (!given.IsMap() || given.size() != 1 || !given.begin()->first.IsScalar()) return false;
  return translated(values, "{" + given.begin()->first.Scalar() + "}").has_value();
}

bool is_harmless(const TrainerSetting& setting, const GivenSetting& given) {
  if (has_harmless_key(setting.values, given.value)) return true;
  const std::string text = short_text(given.value);
  return translated(setting.values, text).has_value() || translated(setting.values, truth_word(text)).has_value() ||
         (given.value.IsScalar() && text.empty());
}

bool is_shared_with_trl(const TrainerTable& table, std::span<const TrainerSetting> part) {
  return table.trainer != Trainer::kTrl && part.data() == transformers_settings().data();
}

// Two settings of a configuration that mean one of TRL's, with different values. The method (rl: dpo) says only which
// loss holds where no other setting does, and a list of an adapter's layers is a part of all of them.
bool contradict(const GivenSetting& earlier, const YAML::Node& value, std::string_view trl_name) {
  if (earlier.name.empty() || earlier.name == "rl" || earlier.name == "stage") return false;
  const TrainerSetting* const in_trl = trainer_table(Trainer::kTrl).find(trl_name);
  const bool counts =
      in_trl != nullptr && in_trl->rule != SettingRule::kIgnored && in_trl->rule != SettingRule::kRefused;
  return counts && trl_name != "lora_target_modules" && YAML::Dump(earlier.value) != YAML::Dump(value);
}

// What each given setting says by itself. Renamed ones go to `renamed`.
void apply(const TrainerTable& table, const GivenSettings& given, GivenSettings& renamed, TrlJob& job) {
  for (const auto& part : table.settings) {
    if (is_shared_with_trl(table, part)) continue;  // with TRL's own table
    for (const TrainerSetting& setting : part) {
      for (const std::string_view word : words_of(setting.names)) {
        const std::string name(word);
        const auto found = given.find(name);
        if (found == given.end()) continue;
        const bool is_default = found->second.place.empty();
        switch (setting.rule) {
          case SettingRule::kComputed:
            break;
          case SettingRule::kIgnored:
            if (!is_default) job.note(name, "has no effect: " + std::string(setting.note));
            break;
          case SettingRule::kRefused:
            if (!is_harmless(setting, found->second)) {
              job.fault(name, "refused: " + std::string(setting.note));
            } else if (has_harmless_key(setting.values, found->second.value)) {
              job.note(name, "has no effect: " + std::string(setting.note));
            }
            break;
          case SettingRule::kCopied:
            if (const auto value = translated_value(setting, name, found->second, job)) {
              job.set(name, setting.ours, *value);
            }
            break;
          case SettingRule::kRenamed:
            if (const auto value = translated_value(setting, name, found->second, job)) {
              GivenSetting& in_trl = renamed[std::string(setting.ours)];
              if (contradict(in_trl, *value, setting.ours)) {
                job.fault(name, "is given beside " + in_trl.name + ", which says the same: expected one of them");
              }
              in_trl = {*value, found->second.place, name};
            }
            break;
        }
      }
    }
  }
}

void refuse_unknown(const TrainerTable& table, const GivenSettings& given, Conversion& result) {
  const std::vector<std::string> names = known_names(table);
  for (const auto& [name, setting] : given) {
    if (setting.place.empty() || table.find(name) != nullptr) continue;
    const std::string similar = similar_name(name, names);
    result.faults.push_back(setting.place + ": " + quoted_text(name) + " is no setting of " + std::string(table.title) +
                            (similar.empty() ? "" : ", the nearest is " + similar));
  }
}

// Those of `given` that TRL's table has, over the defaults.
GivenSettings over_defaults(const TrainerTable& table, const GivenSettings& given, GivenSettings renamed) {
  GivenSettings settings = default_settings(table);
  for (const auto& [name, setting] : given) {
    const TrainerSetting* const known = table.find(name);
    const bool is_computed = known != nullptr && known->rule == SettingRule::kComputed;
    if (is_computed || known == trainer_table(Trainer::kTrl).find(name)) settings[name] = setting;
  }
  for (const auto& [name, setting] : renamed) settings[name] = setting;
  return settings;
}

std::vector<std::string> without_program(std::vector<std::string> flags) {
  for (const char* const word : {"trl", "dpo"}) {
    if (!flags.empty() && flags.front() == word) flags.erase(flags.begin());
  }
  return flags;
}

// The `--config FILE` of TRL's command line is taken out of `flags`.
std::filesystem::path take_config(std::vector<std::string>& flags) {
  constexpr std::string_view kFlag = "--config", kWithFile = "--config=";
  std::filesystem::path file;
  for (auto flag = flags.begin(); flag != flags.end();) {
    const bool has_file = flag->starts_with(kWithFile);
    if (!has_file && *flag != kFlag) {
      ++flag;
      continue;
    }
    if (!file.empty()) throw std::invalid_argument("--config is given twice, expected one file");
    const auto end = flag + (has_file || flag + 1 == flags.end() ? 1 : 2);
    file = has_file ? flag->substr(kWithFile.size()) : flag + 1 == end ? "" : *(flag + 1);
    if (file.empty()) throw std::invalid_argument("--config: expected a file, as in --config dpo.yaml");
    flag = flags.erase(flag, end);
  }
  return file;
}

// A null length is TRL's "nothing is cut".
void check_length(const GivenSettings& given, Conversion& result) {
  for (const char* const name : {"max_length", "sequence_len", "cutoff_len"}) {
    const auto found = given.find(name);
    if (found == given.end() || !found->second.value.IsScalar() || found->second.value.Scalar() != "null") continue;
    result.faults.push_back(found->second.place + ": " + name + ": expected a number: there is always a longest pair");
  }
}

// Sections of others that have settings of their own.
void read_trl_section(const GivenSettings& given, GivenSettings& renamed, TrlJob& job) {
  const auto section = given.find("trl");
  if (section == given.end()) return;
  if (!section->second.value.IsMap()) return job.fault("trl", "expected a mapping such as {beta: 0.1}");
  for (const auto& entry : section->second.value) {
    if (entry.second.IsNull()) continue;
    if (entry.first.IsScalar() && entry.first.Scalar() == "beta") {
      renamed["beta"] = {entry.second, section->second.place, "trl.beta"};
    } else {
      job.fault("trl", "has more than beta: that is of GRPO");
    }
  }
}

// Sections that no other trainer has.
bool is_job(const GivenSettings& given) {
  const auto has_section = [&given](const char* name) {
    const auto found = given.find(name);
    return found != given.end() && found->second.value.IsMap();
  };
  return (has_section("model") || has_section("policy")) && has_section("data");
}

}  // namespace

Trainer guessed_trainer(const GivenSettings& given) {
  const auto has = [&given](const char* name) { return given.contains(name); };
  if (has("base_model") || has("sequence_len") || has("rl")) return Trainer::kAxolotl;
  if (has("stage") || has("finetuning_type") || has("cutoff_len") || has("pref_beta")) return Trainer::kLlamaFactory;
  return Trainer::kTrl;
}

Conversion convert_settings(const ConversionRequest& request) {
  const TrainerTable& table = trainer_table(request.trainer);
  std::vector<std::string> flags = without_program(request.flags);
  const std::filesystem::path config = take_config(flags);
  if (!config.empty() && !request.file.empty()) {
    throw std::invalid_argument("--config " + config.string() + " and " + request.file.string() +
                                ": expected one of the two");
  }
  const bool has_file = !config.empty() || !request.file.empty();
  if (!has_file && flags.empty()) throw std::invalid_argument("expected a file, or flags after --");
  GivenSettings given;
  if (has_file) read_given_file(config.empty() ? request.file : config, given);
  if (is_job(given)) {
    const std::filesystem::path& file = config.empty() ? request.file : config;
    throw std::invalid_argument(file.string() + ": is a job of Equipoise already: equipoise train " + file.string());
  }
  read_given_flags(flags, table, given);

  Conversion result;
  refuse_unknown(table, given, result);
  check_length(given, result);
  if (auto found = given.find("max_length");
      found != given.end() && found->second.value.IsScalar() && found->second.value.Scalar() == "null") {
    given.erase(found);
  }
  GivenSettings renamed;
  TrlJob first(request, given, result);
  if (request.trainer != Trainer::kTrl) apply(table, given, renamed, first);
  if (request.trainer == Trainer::kAxolotl) read_trl_section(given, renamed, first);
  const std::string_view method = request.trainer == Trainer::kAxolotl ? "rl" : "stage";
  if (request.trainer != Trainer::kTrl && !given.contains(std::string(method))) {
    result.faults.push_back(std::string(method) + ": is not given, expected " + std::string(method) + ": dpo");
  }
  const GivenSettings settings = over_defaults(table, given, std::move(renamed));
  TrlJob job(request, settings, result);
  GivenSettings none;
  apply(trainer_table(Trainer::kTrl), settings, none, job);
  job.compute();
  for (const std::string_view difference : table.differences) result.notes.emplace_back(difference);
  return result;
}

}  // namespace equipoise

// What TRL, axolotl and LLaMA-Factory call their settings, and what becomes of each in a job: the tables behind
// `equipoise convert` and docs/convert.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

enum class Trainer : std::uint8_t { kTrl, kAxolotl, kLlamaFactory };

enum class SettingRule : std::uint8_t {
  kCopied,    // to the key `ours` of a job
  kComputed,  // to `ours`, together with other settings: trl_job.cc
  kRenamed,   // it is what TRL calls `ours`
  kIgnored,   // nothing in a job depends on it
  kRefused,   // a job cannot do it
};

struct TrainerSetting {
  std::string_view names;  // with spaces between them
  SettingRule rule;
  std::string_view ours;  // empty where it is ignored or refused
  // Copied, renamed: "theirs=ours", others are refused; empty: any value as it is. "theirs=" counts as not given.
  // Refused: values that a job has anyway, and that are no reason to refuse; "{key}" is a mapping of this key alone.
  std::string_view values;
  std::string_view note;  // what differs, or what to do
};

struct TrainerTable {
  Trainer trainer;
  std::string_view name;      // "trl", as --from has it
  std::string_view title;     // "TRL 1.16"
  std::string_view defaults;  // YAML by TRL's names: what holds where nothing is given
  std::vector<std::span<const TrainerSetting>> settings;
  std::span<const std::string_view> differences;  // whatever the settings are

  // The row of `name`; nullptr: the trainer has no such setting.
  const TrainerSetting* find(std::string_view name) const;
};

// The three, TRL first. Valid until the program ends.
std::span<const TrainerTable> trainer_tables();
const TrainerTable& trainer_table(Trainer trainer);

// The second part of "bf16=bfloat16 auto=" for "bf16"; nothing where `value` is none of the first parts. Case does not
// count.
std::optional<std::string_view> translated(std::string_view values, std::string_view value);

// What the trainer calls the setting that TRL calls `trl_name`; the same where it has no name of its own.
std::string_view own_name(const TrainerTable& table, std::string_view trl_name);

// The words of `text`, between spaces.
std::vector<std::string_view> words_of(std::string_view text);

// The table as Markdown: a row a setting, of docs/convert.md.
std::string settings_markdown(const TrainerTable& table);

// In trl_settings.cc, axolotl_settings.cc and llama_factory_settings.cc.
TrainerTable trl_table();
TrainerTable axolotl_table();
TrainerTable llama_factory_table();
std::span<const TrainerSetting> transformers_settings();

}  // namespace equipoise

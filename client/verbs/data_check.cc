#include <memory>

#include "client/command_line/preference_flags.h"
#include "client/command_line/verb.h"
#include "client/data/preference_import.h"
#include "client/report/preference_table.h"

namespace equipoise {
namespace {

void check(const PreferenceFlags& flags, const Console& console) {
  const PreferenceCounts counts = check_preferences(flags.paths(), flags.settings());
  console.out << preference_table(counts, console.colors, console.glyphs) << "\n";
  for (std::size_t i = 0; i < flags.files.size(); ++i) {
    console.out << counts.pairs_of_file[i] << " pairs: " << flags.files[i] << "\n";
  }
  for (const std::string& note : counts.notes) console.out << note << "\n";
}

}  // namespace

void add_data_check_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<PreferenceFlags>();
  CLI::App* verb = parent.add_subcommand("check", "Read preference files and count their pairs by group");
  add_preference_flags(*verb, *flags);
  verb->footer("  equipoise data check train.jsonl validation.parquet --group-columns country,age");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { check(*flags, console); }; });
}

}  // namespace equipoise

#include <algorithm>
#include <limits>
#include <memory>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/report/run_comparison.h"

namespace equipoise {
namespace {

// Runs of one name are told apart by their paths.
void make_names_differ(std::vector<RunMetrics>& runs, const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  for (const RunMetrics& run : runs) names.push_back(run.name);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (std::count(names.begin(), names.end(), names[i]) > 1) runs[i].name = paths[i];
  }
}

struct CompareFlags {
  std::vector<std::string> paths;
  TableFormat format = TableFormat::kText;
};

void compare(const CompareFlags& flags, const Console& console) {
  std::vector<RunMetrics> runs;
  for (const std::string& path : flags.paths) runs.push_back(read_run_metrics(path));
  make_names_differ(runs, flags.paths);
  if (flags.format != TableFormat::kText) {
    console.out << run_comparison_markup(runs, flags.format);
    return;
  }
  const bool wraps = console.kind == OutputKind::kTerminal;
  const std::size_t columns = wraps ? console.columns() : std::numeric_limits<std::size_t>::max();
  console.out << run_comparison(runs, columns, console.colors, console.glyphs);
}

}  // namespace

void add_compare_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* verb = parent.add_subcommand("compare", "Every group's validation before and after, runs side by side");
  verb->add_option("RUN", flags->paths, "Folders of runs, or their metrics.jsonl")->type_name("")->required();
  add_format_flag(*verb, flags->format);
  verb->footer("  equipoise compare runs/dpo runs/gr-dpo");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { compare(*flags, console); }; });
}

}  // namespace equipoise

#include <algorithm>
#include <limits>
#include <memory>

#include "client/command_line/result_output.h"
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
  ResultFlags result;
};

void compare(const CompareFlags& flags, const Console& console) {
  std::vector<RunMetrics> runs;
  for (const std::string& path : flags.paths) runs.push_back(read_run_metrics(path));
  make_names_differ(runs, flags.paths);
  const bool wraps = console.kind == OutputKind::kTerminal && flags.result.detail() == TableDetail::kUsual;
  const std::size_t columns = wraps ? console.columns() : std::numeric_limits<std::size_t>::max();
  flags.result.print({.text = [&] { return run_comparison(runs, columns, console.colors, console.glyphs); },
                      .json = [&] { return run_comparison_json(runs); },
                      .document = [&](TableFormat format) { return run_comparison_markup(runs, format); }},
                     console);
}

}  // namespace

void add_compare_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* verb = parent.add_subcommand("compare", "Every group's validation before and after, runs side by side");
  verb->add_option("RUN", flags->paths, "Folders of runs, or their metrics.jsonl")->type_name("")->required();
  flags->result.add_to(*verb, {ResultFormat::kMarkdown, ResultFormat::kCsv, ResultFormat::kLatex});
  verb->footer("  equipoise compare runs/dpo runs/gr-dpo");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { compare(*flags, console); }; });
}

}  // namespace equipoise

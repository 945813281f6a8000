#include "experiments/bandits/bandits_verb.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "client/command_line/result_output.h"
#include "common/base/output_lock.h"
#include "experiments/bandits/bandit_report.h"
#include "experiments/report/reproduction.h"

namespace equipoise {
namespace {

struct BanditFlags {
  std::string output = "bandits";
  std::string features = "swapped";
  reproduce::BanditOptions options;
  std::size_t jobs = std::max(1U, std::thread::hardware_concurrency());
  ResultFlags result;
};

reproduce::Progress progress_on(const Console& console) {
  if (console.kind != OutputKind::kTerminal) return nullptr;
  return [&console](std::size_t done, std::size_t all) {
    console.out << "\r" << done << " of " << all << " data sets" << (done == all ? "\n" : "") << std::flush;
  };
}

std::vector<std::string> scenario_names() {
  std::vector<std::string> names;
  for (const reproduce::Scenario& scenario : reproduce::paper_scenarios()) names.emplace_back(scenario.name);
  return names;
}

void reproduce_bandits(BanditFlags flags, const Console& console) {
  flags.options.features = log_linear::parse_feature_map(flags.features);
  reproduce::check_report_folder(flags.output, reproduce::bandit_report_names());
  const OutputLock lock =
      OutputLock::beside({.field = "--output", .path = flags.output}, {.program = "equipoise reproduce"});
  const auto begin = std::chrono::steady_clock::now();
  const Console progress = flags.result.progress_console(console);
  const reproduce::BanditResults results = run_bandits(flags.options, flags.jobs, progress_on(progress));
  const std::vector<reproduce::Claim> claims = judge_bandits(results);
  write_report_folder(flags.output, bandit_report_files(results, claims));
  const reproduce::Reproduction end{
      .claims = claims,
      .column_title = "scenario",
      .columns = scenario_names(),
      .seeds = flags.options.seeds,
      .took = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin),
      .report = flags.output + "/report.html"};
  flags.result.print({.text = [&] { return reproduction_text(end); }, .json = [&] { return reproduction_json(end); }},
                     console);
}

}  // namespace

void add_reproduce_bandits_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<BanditFlags>();
  CLI::App* verb = parent.add_subcommand("bandits", "The paper's synthetic experiments: three scenarios, six methods");
  verb->add_option("--output", flags->output, "Folder for report.html and the CSV files")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--seeds", flags->options.seeds, "How many, at least 2")->type_name("N")->capture_default_str();
  verb->add_option("--first-seed", flags->options.first_seed, "Where they begin")
      ->type_name("N")
      ->capture_default_str();
  verb->add_option("--iterations", flags->options.most_iterations, "Shorten longer runs; 0: all as published")
      ->type_name("N")
      ->capture_default_str();
  verb->add_option("--jobs", flags->jobs, "Threads")->type_name("N")->capture_default_str();
  verb->add_option("--features", flags->features, "Feature map: same, swapped or flipped")
      ->type_name("MAP")
      ->capture_default_str();
  flags->result.add_to(*verb);
  verb->footer("The report is one file for a browser; an earlier report in DIR is replaced.");
  verb->callback(
      [flags, &chosen] { chosen = [flags](const Console& console) { reproduce_bandits(*flags, console); }; });
}

}  // namespace equipoise

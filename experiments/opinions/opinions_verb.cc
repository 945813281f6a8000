#include "experiments/opinions/opinions_verb.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <thread>

#include "client/command_line/result_output.h"
#include "client/connection/private_service.h"
#include "client/data/globalopinionqa_file.h"
#include "client/data/survey_generator.h"
#include "client/data/survey_pairs.h"
#include "client/table/number_format.h"
#include "common/base/message_text.h"
#include "common/base/output_lock.h"
#include "experiments/opinions/experiment_folder.h"
#include "experiments/opinions/opinion_claims.h"
#include "experiments/opinions/opinion_report.h"
#include "experiments/opinions/opinion_runner.h"
#include "experiments/report/reproduction.h"

namespace equipoise {
namespace {

using reproduce::OpinionRun;
using reproduce::OpinionScale;
using reproduce::OpinionStanding;

struct OpinionFlags {
  std::string survey;  // empty: a made-up one
  std::vector<std::string> groups;
  std::string output = "opinions";
  std::uint64_t seeds = 3;
  std::uint64_t first_seed = 1;
  std::string model;  // empty: a small one of our own
  std::string jobs;   // empty: built in
  int workers = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 2U));
  bool quick = false;
  ResultFlags result;

  OpinionScale scale() const { return quick ? OpinionScale::kQuick : OpinionScale::kReduced; }
};

// As `make demo` has them: where prompts named the group, its opinions would be its own, and no two pull at one answer.
const SurveyPairOptions kMadeUpPairs{
    .train_fraction = 0.6, .split = SurveySplit::kByQuestion, .group_in_prompt = GroupInPrompt::kOmitted};

Survey made_up_survey(OpinionScale scale) {
  return generate_survey({.questions = scale == OpinionScale::kQuick ? 84UL : GeneratedSurveyOptions{}.questions});
}

bool has_extension(const std::string& file, const char* extension) {
  return std::filesystem::path(file).extension() == extension;
}

void read_survey(const OpinionFlags& flags, reproduce::OpinionOptions& options) {
  if (flags.survey.empty()) {
    options.survey = made_up_survey(flags.scale());
    options.survey_name = "a made-up survey (prompts do not name the group, validation asks unseen questions)";
    options.pairs = kMadeUpPairs;
    options.pairs.groups = flags.groups;
    return;
  }
  options.pairs.groups = flags.groups;
  options.survey_name = "the survey " + std::filesystem::path(flags.survey).filename().string();
  if (has_extension(flags.survey, ".jsonl")) {
    options.survey = read_opinionqa(flags.survey);
  } else if (has_extension(flags.survey, ".csv")) {
    options.survey = read_globalopinionqa(flags.survey).survey;
    if (flags.groups.empty()) options.pairs.groups = {kPaperCountries.begin(), kPaperCountries.end()};
  } else {
    throw std::invalid_argument("survey is " + quoted_text(flags.survey) +
                                ", expected a name that ends in .csv (GlobalOpinionQA) or .jsonl (OpinionQA)");
  }
}

// A model that two cores train in seconds.
ModelInitOptions model_shape(OpinionScale scale) {
  if (scale == OpinionScale::kQuick) {
    return {.vocab_size = 600,
            .hidden_size = 32,
            .intermediate_size = 64,
            .layers = 2,
            .heads = 2,
            .kv_heads = 1,
            .head_dim = 16};
  }
  return {.hidden_size = 128, .intermediate_size = 512, .layers = 3, .heads = 4, .kv_heads = 1, .head_dim = 32};
}

reproduce::OpinionOptions options_of(const OpinionFlags& flags) {
  reproduce::OpinionOptions options;
  read_survey(flags, options);
  options.output = flags.output;
  options.seeds = flags.seeds;
  options.first_seed = flags.first_seed;
  if (!flags.model.empty()) options.model = flags.model;
  options.shape = model_shape(flags.scale());
  options.workers = flags.workers;
  options.jobs = flags.jobs.empty() ? built_in_opinion_jobs(flags.scale()) : reproduce::read_opinion_jobs(flags.jobs);
  return options;
}

std::string position_text(const OpinionStanding& standing) {
  return std::to_string(standing.run) + "/" + std::to_string(standing.runs) + "  ";
}

std::string result_text(const OpinionRun& run) {
  const reproduce::OpinionEvaluation& end = run.evaluations.back();
  std::string text =
      "max group loss " + loss_text(max_group_loss(run.evaluations.front())) + " → " + loss_text(max_group_loss(end));
  const double accuracy = min_reward_accuracy(end);
  if (!std::isnan(accuracy)) text += "  min reward accuracy " + share_text(accuracy);
  return text;
}

void print_run(const OpinionStanding& standing, const OpinionRun& run, std::optional<std::chrono::seconds> took,
               const Console& console) {
  console.out << position_text(standing) << "seed " << standing.seed << "  " << standing.name << "  "
              << result_text(run) << "  " << (took ? duration_text(*took) : "finished before");
  if (took && standing.time_left && standing.run < standing.runs) {
    console.out << "  (" << duration_text(*standing.time_left) << " left)";
  }
  console.out << std::endl;
}

reproduce::OpinionResults run_all(const OpinionFlags& flags, const Console& console) {
  const reproduce::OpinionOptions options = options_of(flags);
  PrivateService service("");
  const auto run_job = [&](const v1::JobSpec& spec, const OpinionStanding& standing) {
    const auto display = make_display_among_many(console, position_text(standing));
    service.run(spec, *display);
  };
  const auto run_done = [&](const OpinionStanding& standing, const OpinionRun& run,
                            std::optional<std::chrono::seconds> took) { print_run(standing, run, took, console); };
  return run_opinions(options, {run_job, run_done});
}

void reproduce_opinions(const OpinionFlags& flags, const Console& console) {
  const OutputLock lock =
      OutputLock::of_folder({.field = "--output", .path = flags.output},
                            {.program = "equipoise reproduce", .job = "", .admits_runs_inside = true});
  const auto begin = std::chrono::steady_clock::now();
  const reproduce::OpinionResults results = run_all(flags, flags.result.progress_console(console));
  const std::vector<reproduce::Claim> claims = judge_opinions(results);
  write_report_folder(reproduce::ExperimentFolder(flags.output).report(), opinion_report_files(results, claims));
  const reproduce::Reproduction end{
      .claims = claims,
      .column_title = "family",
      .columns = {"DPO", "IPO"},
      .seeds = flags.seeds,
      .took = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin),
      .report = flags.output + "/report/report.html"};
  flags.result.print({.text = [&] { return reproduction_text(end); }, .json = [&] { return reproduction_json(end); }},
                     console);
}

void add_options(CLI::App& verb, OpinionFlags& flags) {
  verb.add_option("--survey", flags.survey, "GlobalOpinionQA (.csv) or OpinionQA (.jsonl); default: a made-up one")
      ->type_name("FILE");
  verb.add_option("--group", flags.groups,
                  "Only this group; may be repeated (default: of a .csv the paper's five countries, else all)")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb.add_option("--output", flags.output, "Folder for data, runs and the report")
      ->type_name("DIR")
      ->capture_default_str();
  verb.add_option("--seeds", flags.seeds, "How many, at least 2")->type_name("N")->capture_default_str();
  verb.add_option("--first-seed", flags.first_seed, "Where they begin")->type_name("N")->capture_default_str();
  verb.add_option("--model", flags.model, "Hugging Face folder to begin with; default: a new small Gemma a seed")
      ->type_name("DIR");
  verb.add_option("--jobs", flags.jobs, "Settings: a folder with sft.yaml, dpo.yaml, … gr-ipo.yaml; default: built in")
      ->type_name("DIR");
  verb.add_option("--np", flags.workers, "Ranks of a run")
      ->type_name("N")
      ->check(CLI::Range(1, kMostWorkers))
      ->capture_default_str();
  verb.add_flag("--quick", flags.quick, "A few steps of a tiny model, to see that it works");
  flags.result.add_to(verb);
}

}  // namespace

void add_reproduce_opinions_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<OpinionFlags>();
  CLI::App* verb = parent.add_subcommand("opinions", "The paper's language-model experiment on an opinion survey");
  add_options(*verb, *flags);
  verb->footer(
      "SFT, then DPO, IPO, IS-DPO, IS-IPO, GR-DPO and GR-IPO from its model, for each seed. Runs that DIR holds\n"
      "already are not repeated: the same command goes on after Ctrl-C, and takes further seeds.\n"
      "\n"
      "  equipoise reproduce opinions --survey global_opinions.csv --seeds 5");
  verb->callback(
      [flags, &chosen] { chosen = [flags](const Console& console) { reproduce_opinions(*flags, console); }; });
}

}  // namespace equipoise

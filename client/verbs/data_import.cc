#include <memory>

#include "client/command_line/verb.h"
#include "client/data/survey_import.h"
#include "client/report/survey_table.h"

namespace equipoise {
namespace {

struct ImportFlags {
  std::string file;
  std::string output;
  SurveyPairOptions pairs;
  bool by_question = false;
  bool omit_group = false;
};

void import(ImportFlags flags, const Console& console) {
  flags.pairs.split = flags.by_question ? SurveySplit::kByQuestion : SurveySplit::kByPair;
  flags.pairs.group_in_prompt = flags.omit_group ? GroupInPrompt::kOmitted : GroupInPrompt::kNamed;
  const SurveyImport result = import_opinionqa(flags.file, flags.output, flags.pairs);
  console.out << survey_table(result.groups, console.colors, console.glyphs)
              << "\ntrain:      " << result.train.string() << "\nvalidation: " << result.validation.string() << "\n";
}

}  // namespace

void add_data_import_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("import", "Turn a survey into train.jsonl and validation.jsonl");
  verb->require_subcommand(1);
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* format = verb->add_subcommand("opinionqa", "One answer distribution a line: question, options, group");
  format->add_option("FILE.jsonl", flags->file, "The survey")->type_name("")->required();
  format->add_option("--output", flags->output, "Folder for the two files")->type_name("DIR")->required();
  format->add_option("--seed", flags->pairs.seed, "Chooses the split and the rejected answers")->capture_default_str();
  format->add_option("--train-fraction", flags->pairs.train_fraction, "Share of the pairs to train on")
      ->type_name("SHARE")
      ->capture_default_str();
  format->add_option("--group", flags->pairs.groups, "Only this group; may be repeated (default: all but \"Overall\")")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  format->add_option("--pairs-per-question", flags->pairs.pairs_per_question, "Each with another rejected answer")
      ->type_name("N")
      ->capture_default_str();
  format->add_flag("--split-by-question", flags->by_question, "Validation asks only questions training never saw");
  format->add_flag("--omit-group", flags->omit_group, "Do not name the group in the prompt");
  format->footer("  equipoise data import opinionqa opinionqa.jsonl --output data --group Democrat --group Republican");
  format->callback([flags, &chosen] { chosen = [flags](const Console& console) { import(*flags, console); }; });
}

}  // namespace equipoise

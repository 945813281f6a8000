#include <memory>

#include "client/command_line/verb.h"
#include "client/data/survey_generator.h"
#include "client/data/survey_pairs.h"
#include "client/report/survey_table.h"
#include "common/base/output_lock.h"

namespace equipoise {
namespace {

struct GenerateFlags {
  std::string file;
  GeneratedSurveyOptions survey;
};

void generate(const GenerateFlags& flags, const Console& console) {
  const OutputLock lock =
      OutputLock::beside({.field = "FILE.jsonl", .path = flags.file}, {.program = "equipoise data generate"});
  const Survey survey = generate_survey(flags.survey);
  write_opinionqa(flags.file, survey);
  // A divided group has no majority.
  const SurveyLabels labels = flags.survey.divided > 0 ? SurveyLabels::kSampled : SurveyLabels::kMajority;
  const SurveyPairs pairs = make_survey_pairs(survey, {.labels = labels});
  console.out << survey_table(pairs.groups, console.colors, console.glyphs) << "\n"
              << survey.questions.size() << " questions, " << survey.answers.size() << " answers: " << flags.file
              << "\n";
}

}  // namespace

void add_data_generate_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* verb = parent.add_subcommand("generate", "Write a made-up survey whose groups disagree on known themes");
  verb->add_option("FILE.jsonl", flags->file, "Where to write it")->type_name("")->required();
  verb->add_option("--seed", flags->survey.seed, "The same seed gives the same survey")->capture_default_str();
  verb->add_option("--questions", flags->survey.questions, "How many")->type_name("N")->capture_default_str();
  verb->add_option("--groups", flags->survey.groups, "How many")->type_name("N")->capture_default_str();
  verb->add_option("--divided", flags->survey.divided, "So many of the groups agree on nothing")
      ->type_name("N")
      ->capture_default_str();
  verb->footer("`equipoise data import opinionqa` reads it.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { generate(*flags, console); }; });
}

}  // namespace equipoise

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/command_line/result_output.h"
#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/interruptible_work.h"
#include "client/data/globalopinionqa_file.h"
#include "client/data/preference_import.h"
#include "client/data/survey_import.h"
#include "client/report/group_tables.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "common/base/message_text.h"
#include "common/base/output_lock.h"
#include "common/dataset/data_files.h"

namespace equipoise {
namespace {

struct ImportFlags {
  std::string file;
  std::string output;
  SurveyPairOptions pairs;
  bool by_question = false;
  bool omit_group = false;
  std::string labels = "majority";
  bool all_groups = false;  // GlobalOpinionQA
  ResultFlags result;

  SurveyPairOptions pair_options() const {
    SurveyPairOptions options = pairs;
    options.split = by_question ? SurveySplit::kByQuestion : SurveySplit::kByPair;
    options.group_in_prompt = omit_group ? GroupInPrompt::kOmitted : GroupInPrompt::kNamed;
    options.labels = labels == "sampled" ? SurveyLabels::kSampled : SurveyLabels::kMajority;
    return options;
  }
};

// What of the file did not become a question or an answer.
std::string left_out(const GlobalOpinions& opinions) {
  std::string text;
  const auto add = [&text](std::size_t count, const std::string& what) {
    if (count > 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  };
  add(opinions.rows_without_question, "records without question or options");
  add(opinions.rows_with_many_options, "with more than " + std::to_string(kMaxOptions) + " options");
  add(opinions.answers_without_shares, "answers without shares");
  return text.empty() ? "" : "left out:   " + text + "\n";
}

// `opinions`: where the survey is from GlobalOpinionQA, what of its file is left out.
void report(const SurveyImport& result, const GlobalOpinions* opinions, const ImportFlags& flags,
            const Console& console) {
  const std::string train = result.train.string(), validation = result.validation.string();
  const auto text = [&] {
    return survey_table(result.groups, console.colors, console.glyphs) + "\ntrain:      " + train +
           "\nvalidation: " + validation + "\n" + (opinions == nullptr ? "" : left_out(*opinions));
  };
  const auto json = [&] {
    nlohmann::ordered_json value = {
        {"train", train}, {"validation", validation}, {"groups", survey_json(result.groups)}};
    if (opinions == nullptr) return json_document(value);
    value["left_out"] = {{"rows_without_question", opinions->rows_without_question},
                         {"rows_with_many_options", opinions->rows_with_many_options},
                         {"answers_without_shares", opinions->answers_without_shares}};
    return json_document(value);
  };
  flags.result.print({.text = text, .json = json}, console);
}

void add_pair_options(CLI::App& format, ImportFlags& flags, const std::string& default_groups) {
  format.add_option("--output", flags.output, "Folder for the two files")->type_name("DIR")->required();
  format.add_option("--seed", flags.pairs.seed, "Chooses the split and the rejected answers")->capture_default_str();
  format.add_option("--train-fraction", flags.pairs.train_fraction, "Share of the pairs to train on")
      ->type_name("SHARE")
      ->capture_default_str();
  format
      .add_option("--group", flags.pairs.groups, "Only this group; may be repeated (default: " + default_groups + ")")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  format.add_option("--pairs-per-question", flags.pairs.pairs_per_question, "Each with another rejected answer")
      ->type_name("N")
      ->capture_default_str();
  format.add_option("--labels", flags.labels, "Chosen is the most voted option, or drawn by the shares of the votes")
      ->type_name("majority|sampled")
      ->check(CLI::IsMember({"majority", "sampled"}))
      ->capture_default_str();
  format.add_option("--draws", flags.pairs.draws, "Pairs a question, with sampled labels")
      ->type_name("N")
      ->capture_default_str();
  format.add_flag("--split-by-question", flags.by_question, "Validation asks only questions training never saw");
  format.add_flag("--omit-group", flags.omit_group, "Do not name the group in the prompt");
  flags.result.add_to(format);
}

OutputLock locked(const std::string& flag, const std::string& path) {
  return OutputLock::beside({.field = flag, .path = path}, {.program = "equipoise data import"});
}

// Of the folder that a survey becomes two files in.
OutputLock locked_folder(const std::string& path) {
  return OutputLock::of_folder({.field = "--output", .path = path}, {.program = "equipoise data import"});
}

void import_opinionqa_file(const ImportFlags& flags, const Console& console) {
  const OutputLock lock = locked_folder(flags.output);
  const SurveyImport written = [&] {
    InterruptibleRead reading(flags.result.progress_console(console), "data import", data_bytes(flags.file));
    return import_opinionqa(flags.file, flags.output, flags.pair_options(), reading.on_bytes());
  }();
  report(written, nullptr, flags, console);
}

void add_opinionqa(CLI::App& verb, Action& chosen) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* format = verb.add_subcommand("opinionqa", "One answer distribution a line: question, options, group");
  format->add_option("FILE.jsonl", flags->file, "The survey")->type_name("")->required();
  add_pair_options(*format, *flags, "all but \"Overall\"");
  format->footer("  equipoise data import opinionqa opinionqa.jsonl --output data --group Democrat --group Republican");
  format->callback(
      [flags, &chosen] { chosen = [flags](const Console& console) { import_opinionqa_file(*flags, console); }; });
}

void import_globalopinionqa_file(const ImportFlags& flags, const Console& console) {
  SurveyPairOptions options = flags.pair_options();
  if (flags.all_groups && !options.groups.empty()) {
    throw std::invalid_argument("--all-groups and --group are given, expected one of them");
  }
  if (!flags.all_groups && options.groups.empty()) options.groups = {kPaperCountries.begin(), kPaperCountries.end()};
  check_survey_output(flags.file, flags.output);
  const OutputLock lock = locked_folder(flags.output);
  const GlobalOpinions opinions = [&] {
    InterruptibleRead reading(flags.result.progress_console(console), "data import", data_bytes(flags.file));
    return read_globalopinionqa(flags.file, reading.on_bytes());
  }();
  report(write_survey_pairs(make_survey_pairs(opinions.survey, options), flags.output), &opinions, flags, console);
}

void add_globalopinionqa(CLI::App& verb, Action& chosen) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* format = verb.add_subcommand("globalopinionqa", "A question a record, its answers by country (CSV)");
  format->add_option("FILE.csv", flags->file, "The survey, as Anthropic published it")->type_name("")->required();
  add_pair_options(*format, *flags, "the paper's: Nigeria, Egypt, India (Current national sample), China, Japan");
  format->add_flag("--all-groups", flags->all_groups, "Every country in the file");
  format->footer(
      "  equipoise data import globalopinionqa global_opinions.csv --output data --group Germany --group Spain");
  format->callback(
      [flags, &chosen] { chosen = [flags](const Console& console) { import_globalopinionqa_file(*flags, console); }; });
}

struct PreferenceImportFlags {
  PreferenceFlags input;
  std::string output;
  std::string validation;
  PreferenceOutput options;
  ResultFlags result;
};

void import_preference_files(const PreferenceImportFlags& flags, const Console& console) {
  PreferenceOutput output = flags.options;
  output.train = flags.output;
  if (!flags.validation.empty()) output.validation = flags.validation;
  check_preference_output(output);
  const OutputLock train_lock = locked("--output", flags.output);
  std::optional<OutputLock> validation_lock;
  if (output.validation) validation_lock.emplace(locked("--validation", flags.validation));
  const PreferenceCounts counts = [&] {
    InterruptibleRead reading(flags.result.progress_console(console), "data import", flags.input.bytes());
    return import_preferences(flags.input.paths(), flags.input.settings(), output, reading.on_bytes());
  }();
  const auto text = [&] {
    std::string lines = preference_table(counts, console.colors, console.glyphs) + "\n" +
                        counted(counts.train, "pair") + ": " + flags.output + "\n";
    if (output.validation) lines += counted(counts.validation, "pair") + ": " + flags.validation + "\n";
    for (const std::string& note : counts.notes) lines += printable(note) + "\n";
    return lines;
  };
  const auto json = [&] {
    nlohmann::ordered_json value = preference_json(counts);
    value["files"] = {{"train", flags.output}};
    if (output.validation) value["files"]["validation"] = flags.validation;
    return json_document(value);
  };
  flags.result.print({.text = text, .json = json}, console);
}

void add_preferences(CLI::App& verb, Action& chosen) {
  auto flags = std::make_shared<PreferenceImportFlags>();
  CLI::App* format = verb.add_subcommand("preferences", "Preference files of any format into one JSONL file");
  add_preference_flags(*format, flags->input);
  format->add_option("--output", flags->output, "Where to write the pairs")->type_name("FILE.jsonl")->required();
  format->add_option("--validation", flags->validation, "Where to keep some prompts back, with all of their pairs")
      ->type_name("FILE.jsonl");
  format->add_option("--train-fraction", flags->options.train_fraction, "Share of the prompts not kept back")
      ->type_name("SHARE")
      ->capture_default_str();
  format->add_option("--seed", flags->options.seed, "Chooses the prompts kept back")->capture_default_str();
  flags->result.add_to(*format);
  format->footer("  equipoise data import preferences hh-rlhf/train --output data/train.jsonl --group everybody");
  format->callback(
      [flags, &chosen] { chosen = [flags](const Console& console) { import_preference_files(*flags, console); }; });
}

}  // namespace

void add_data_import_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("import", "Turn a survey, or preferences in another format, into our JSONL");
  verb->require_subcommand(1);
  add_opinionqa(*verb, chosen);
  add_globalopinionqa(*verb, chosen);
  add_preferences(*verb, chosen);
}

}  // namespace equipoise

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "client/command_line/result_output.h"
#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/interruptible_work.h"
#include "client/data/log_linear_files.h"
#include "client/data/preference_import.h"
#include "client/data/survey_generator.h"
#include "client/data/survey_pairs.h"
#include "client/report/group_tables.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "common/base/message_text.h"
#include "common/base/output_lock.h"

namespace equipoise {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct CheckFlags {
  PreferenceFlags input;
  ResultFlags result;
};

std::string check_text(const CheckFlags& flags, const PreferenceCounts& counts, const Console& console) {
  std::string text = preference_table(counts, console.colors, console.glyphs) + "\n";
  for (std::size_t i = 0; i < flags.input.files.size(); ++i) {
    text += counted(counts.pairs_of_file[i], "pair") + ": " + flags.input.files[i] + "\n";
  }
  for (const std::string& note : counts.notes) text += printable(note) + "\n";
  return text;
}

std::string check_json(const CheckFlags& flags, const PreferenceCounts& counts) {
  OrderedJson value = preference_json(counts);
  OrderedJson files = OrderedJson::array();
  for (std::size_t i = 0; i < flags.input.files.size(); ++i) {
    files.push_back({{"file", flags.input.files[i]}, {"pairs", counts.pairs_of_file[i]}});
  }
  value["files"] = std::move(files);
  return json_document(value);
}

void check(const CheckFlags& flags, const Console& console) {
  const PreferenceCounts counts = [&] {
    InterruptibleRead reading(flags.result.progress_console(console), "data check", flags.input.bytes());
    return check_preferences(flags.input.paths(), flags.input.settings(), reading.on_bytes());
  }();
  flags.result.print(
      {.text = [&] { return check_text(flags, counts, console); }, .json = [&] { return check_json(flags, counts); }},
      console);
}

}  // namespace

void add_data_check_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<CheckFlags>();
  CLI::App* verb = parent.add_subcommand("check", "Read preference files and count their pairs by group");
  add_preference_flags(*verb, flags->input);
  flags->result.add_to(*verb);
  verb->footer("  equipoise data check train.jsonl validation.parquet --group-columns country,age");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { check(*flags, console); }; });
}

namespace {

struct GenerateFlags {
  std::string file;
  GeneratedSurveyOptions survey;
  ResultFlags result;
};

void generate(const GenerateFlags& flags, const Console& console) {
  const OutputLock lock =
      OutputLock::beside({.field = "FILE.jsonl", .path = flags.file}, {.program = "equipoise data generate"});
  const Survey survey = generate_survey(flags.survey);
  write_opinionqa(flags.file, survey);
  // A divided group has no majority.
  const SurveyLabels labels = flags.survey.divided > 0 ? SurveyLabels::kSampled : SurveyLabels::kMajority;
  const SurveyPairs pairs = make_survey_pairs(survey, {.labels = labels});
  const std::size_t questions = survey.questions.size(), answers = survey.answers.size();
  const auto text = [&] {
    return survey_table(pairs.groups, console.colors, console.glyphs) + "\n" +
           counted(static_cast<std::int64_t>(questions), "question") + ", " +
           counted(static_cast<std::int64_t>(answers), "answer") + ": " + flags.file + "\n";
  };
  const auto json = [&] {
    return json_document(
        {{"file", flags.file}, {"questions", questions}, {"answers", answers}, {"groups", survey_json(pairs.groups)}});
  };
  flags.result.print({.text = text, .json = json}, console);
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
  flags->result.add_to(*verb);
  verb->footer("`equipoise data import opinionqa` reads it.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { generate(*flags, console); }; });
}

namespace {

constexpr double kThetaBelow = 5.0;  // the paper's range

struct LogLinearFlags {
  std::string folder;
  std::string features = "swapped";
  std::string responses = "even";
  std::string preferring = "deterministic";
  std::uint32_t actions = 8;
  std::vector<std::string> rewards{"1,3,1,3", "3,1,3,1"};
  std::vector<std::uint64_t> sizes{60, 240};
  LogLinearFilesOptions files;
  ResultFlags result;
};

std::vector<double> numbers(const std::string& list) {
  std::vector<double> values;
  std::istringstream text(list);
  for (std::string one; std::getline(text, one, ',');) {
    double value = 0;
    if (!CLI::detail::lexical_cast(one, value)) {
      throw std::invalid_argument("--reward is " + list + ", expected numbers such as 1,3,1,3");
    }
    values.push_back(value);
  }
  return values;
}

void write_files(const LogLinearFlags& flags, const Console& console) {
  LogLinearFilesOptions options = flags.files;
  log_linear::Problem& problem = options.problem;
  problem.features = log_linear::parse_feature_map(flags.features);
  problem.actions = flags.actions;
  for (const std::string& reward : flags.rewards) problem.reward_KD.push_back(numbers(reward));
  log_linear::check_problem(problem);
  problem.initial_theta_D = log_linear::draw_theta(problem.features_dim(), kThetaBelow, options.train.seed);
  options.train.group_sizes_K = flags.sizes;
  if (flags.responses == "uneven") options.train.responses = log_linear::Responses::kUneven;
  if (flags.preferring == "bradley_terry") options.train.preferring = log_linear::Preferring::kBradleyTerry;
  const OutputLock lock =
      OutputLock::of_folder({.field = "DIR", .path = flags.folder}, {.program = "equipoise data log-linear"});
  const LogLinearFiles files = write_log_linear_files(options, flags.folder);
  const std::string train = files.train.string(), validation = files.validation.string(), test = files.test.string(),
                    job = files.job.string();
  const auto text = [&] {
    return "train:      " + train + "\nvalidation: " + validation + "\ntest:       " + test + "\njob:        " + job +
           "\n";
  };
  const auto json = [&] {
    return json_document({{"train", train}, {"validation", validation}, {"test", test}, {"job", job}});
  };
  flags.result.print({.text = text, .json = json}, console);
}

template <class List>
void add_list(CLI::App& verb, const std::string& name, List& values, const std::string& type, const std::string& what) {
  verb.add_option(name, values, what)
      ->type_name(type)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->capture_default_str();
}

void add_choice(CLI::App& verb, const std::string& name, std::string& value, const std::vector<std::string>& choices,
                const std::string& what) {
  verb.add_option(name, value, what)->check(CLI::IsMember(choices))->capture_default_str();
}

}  // namespace

void add_data_log_linear_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<LogLinearFlags>();
  CLI::App* verb =
      parent.add_subcommand("log-linear", "Draw the paper's synthetic preferences, with a job to train on");
  verb->add_option("DIR", flags->folder, "Folder for the four files")->type_name("")->required();
  add_choice(*verb, "--features", flags->features, {"same", "swapped", "flipped"}, "Feature map");
  verb->add_option("--actions", flags->actions, "How many")->type_name("N")->capture_default_str();
  add_list(*verb, "--reward", flags->rewards, "LIST", "Reward vector of a group; once for each group");
  add_list(*verb, "--size", flags->sizes, "N", "Training pairs of a group; once for each group");
  verb->add_option("--evaluation-size", flags->files.evaluation_size, "Validation and test pairs of each group")
      ->type_name("N")
      ->capture_default_str();
  add_choice(*verb, "--responses", flags->responses, {"even", "uneven"}, "Which two actions are compared");
  add_choice(*verb, "--preferring", flags->preferring, {"deterministic", "bradley_terry"}, "Which one is preferred");
  verb->add_option("--seed", flags->files.train.seed, "The same seed gives the same files")->capture_default_str();
  flags->result.add_to(*verb);
  verb->footer("  equipoise data log-linear bandit && equipoise train bandit/job.yaml --np 2");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { write_files(*flags, console); }; });
}

void add_data_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("data", "Make and check preference pairs; or a survey to try things with");
  verb->require_subcommand(1);
  add_data_import_verb(*verb, chosen);
  add_data_check_verb(*verb, chosen);
  add_data_generate_verb(*verb, chosen);
  add_data_log_linear_verb(*verb, chosen);
}

}  // namespace equipoise
